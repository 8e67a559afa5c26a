"""L1: pure decisions. Values in, values out; clocks are passed in as integer ns."""
