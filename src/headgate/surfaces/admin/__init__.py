"""The admin plane: keys, calls, usage, routes, reload and metrics, on a listener of its own."""
