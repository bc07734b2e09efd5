"""Deterministic simulation: the production engine under a virtual clock, network and disk.

One seed decides everything: the same seed gives the same trace hash in any process, whatever
PYTHONHASHSEED says. Engine, replica, certificates and signatures are the real ones; sessions and
sockets are not here: a link is a byte stream with TCP's manners, and its peer is known by
construction. Nothing in this package reads a clock, opens a file or a socket.
"""
