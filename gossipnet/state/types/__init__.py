"""One file a CRDT: how its operations apply and what it shows."""
