"""What a test needs that may be absent: it then skips, or fails where everything is required.

A module of its own, because ``conftest`` names another file in every folder that has one.
"""

import os

import pytest


def need(condition: bool, reason: str) -> None:
    """Skip for `reason`; with GOSSIPNET_REQUIRE_ALL=1 fail instead."""
    if condition:
        return
    if os.environ.get("GOSSIPNET_REQUIRE_ALL") == "1":
        pytest.fail(f"GOSSIPNET_REQUIRE_ALL=1 and {reason}")
    pytest.skip(reason)
