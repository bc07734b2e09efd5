"""The command line: what people type, and what they read.

Standard output carries data, standard error carries talk. Knows the blocking client, the
identity's files and, for `run` and `sim` alone, the daemon and the simulator, each loaded only by
the command that needs it.
"""
