"""Which gossipnet this is, as the installed package says. Imports nothing of the package."""

import os
import sys

_FOLDER, _END = "gossipnet-", ".dist-info"


def version() -> str:
    """Such as ``0.1.0``; ``0+source`` for a source tree that was never installed.

    Reads it off the name of the folder that every installer writes (PyPA, "Recording installed
    projects"): `importlib.metadata` would bring in a mail and a zip parser, 1 MiB of them.
    """
    for path in sys.path:
        try:
            names = os.listdir(path or ".")
        except OSError:
            continue
        for name in names:
            if name.startswith(_FOLDER) and name.endswith(_END):
                return name[len(_FOLDER) : -len(_END)]
    return "0+source"
