"""Identities for links between drivers."""

from collections.abc import Callable

import pytest

from gossipnet.protocol.handshake import Transport


@pytest.fixture
def transports() -> Callable[[int], list[Transport]]:
    def make(count: int) -> list[Transport]:
        from gnplain import T

        return [T(f"node{n}") for n in range(count)]

    return make
