"""The command line: `headgate`. Nothing heavy is imported before a command needs it."""
