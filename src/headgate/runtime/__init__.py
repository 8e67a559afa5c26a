"""L4: processes, the driver of calls, the clock, wiring and background tasks."""
