"""The Redis protocol and its commands, without a socket."""
