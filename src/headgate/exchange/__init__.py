"""L2: the life of one call as a state machine without I/O: events in, commands out."""
