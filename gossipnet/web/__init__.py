"""The web page: one node's view of the mesh in a browser on the same machine (extra ``web``).

A process of its own beside the daemon, started by a person, on loopback. Speaks to the daemon
through the local socket as that person, so it can show and do no more than they could; knows
nothing of the engine.
"""
