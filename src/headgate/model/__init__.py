"""L0: immutable values. Standard library and msgspec only; no clock, no I/O, no randomness."""
