"""Many doors, one roster: what they tell each other over the building's broker. Pure: no clock,
thread, socket or file."""
