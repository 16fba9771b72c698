"""All doors' events in PostgreSQL: a process of its own, on a server (`ostiary[archive]`)."""
