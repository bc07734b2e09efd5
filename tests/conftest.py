"""Fixtures shared by every test; what tests import is in modules with names of their own."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.needs import need

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell: children would inherit that Ctrl-C means nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Reads one official vector file by its name; skips where the vectors are absent."""
    folder = Path(os.environ.get("GOSSIPNET_VECTORS", ROOT.parent / "shared" / "vectors"))

    def read(name: str) -> Any:
        path = folder / name
        need(path.exists(), f"the official test vectors are not at {folder}")
        return json.loads(path.read_text())

    return read
