"""``HOST:PORT`` as people write it and as sockets want it. Resolves nothing."""

DEFAULT_PORT = 7117


def split_address(written: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[V6]:PORT``, ``HOST`` or ``:PORT`` (all addresses).

    Raises:
      ValueError: Not such an address; the text says why.
    """
    host, port = written, ""
    if written.startswith("["):
        host, closed, rest = written[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{written!r} is not an address: an IPv6 host is written [HOST]:PORT")
        port = rest[1:]
    elif written.count(":") == 1:
        host, _, port = written.partition(":")
    if len(host) > 253 or any(letter.isspace() for letter in host):
        raise ValueError(f"{written!r} is not an address: write HOST:PORT")
    if not port:
        return host, default_port
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"{written!r} is not an address: a port is a number up to 65535")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """The text form; an IPv6 host gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
