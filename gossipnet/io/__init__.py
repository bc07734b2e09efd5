"""Trio adapters: sockets, threads and files around the sans-IO core. No protocol decisions here."""
