"""One file a command family; each adds its rows to the command table."""
