"""Signatures are remembered while simulations run, and verified anew for whoever comes after."""

import pytest

from gossipnet.identity.signing import remember_verified
from gossipnet.sim.mesh import remember_once


@pytest.fixture(scope="session", autouse=True)
def _forget_signatures():
    yield
    remember_verified(0)
    remember_once.cache_clear()
