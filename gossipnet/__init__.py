"""State that your machines share with no server.

`open_node` embeds a peer in a trio program; `connect` is a small blocking client of a daemon that
already runs. `Register`, `Counter`, `Set`, `Map`, `SortedSet`, `List` and `Stream` are handles of
what keys of an embedded node hold. All are loaded on first use, so that ``import gossipnet.client``
brings in neither trio nor cryptography.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gossipnet.client import connect as connect
    from gossipnet.handles import Counter as Counter
    from gossipnet.handles import List as List
    from gossipnet.handles import Map as Map
    from gossipnet.handles import Register as Register
    from gossipnet.handles import Set as Set
    from gossipnet.handles import SortedSet as SortedSet
    from gossipnet.handles import Stream as Stream
    from gossipnet.node import open_node as open_node

    __version__: str

_HANDLES = ("Counter", "List", "Map", "Register", "Set", "SortedSet", "Stream")
__all__ = [
    "Counter",
    "List",
    "Map",
    "Register",
    "Set",
    "SortedSet",
    "Stream",
    "__version__",
    "connect",
    "open_node",
]


def __getattr__(name: str) -> Any:
    if name == "connect":
        from gossipnet.client import connect

        return connect
    if name == "open_node":
        from gossipnet.node import open_node

        return open_node
    if name in _HANDLES:
        from gossipnet import handles

        return getattr(handles, name)
    if name == "__version__":
        from gossipnet.version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
