"""How well presentation attacks are told from people: terms and rates of ISO/IEC 30107-3."""
