"""Deterministic simulation of whole meshes: the production engine under virtual time and network."""
