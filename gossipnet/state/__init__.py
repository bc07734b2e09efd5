"""Replicated state: signed logs, dots, clocks, and the keyspace of CRDTs.

No I/O, no time of its own.
"""
