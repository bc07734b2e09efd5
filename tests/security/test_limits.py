"""The kinds of limit that a link and a process have, line by line: each is there and is counted."""

import pytest

from gossipnet.io import link
from gossipnet.io.accounts import Account, Ledger, LinkLimits
from gossipnet.io.admission import Admission, AdmissionLimits, network_of
from gossipnet.protocol import framing, session
from gossipnet.protocol.membership import MEMBERS_MAX
from gossipnet.state.clock import QUARANTINE_MS


def nothing() -> None:
    """Nobody is thrown out."""


def test_half_open_connections_of_one_network_have_a_limit() -> None:
    admission = Admission(AdmissionLimits(per_network=8))
    tickets = [admission.admit(f"8.8.8.{n}", nothing, 0.0) for n in range(12)]
    assert sum(ticket is not None for ticket in tickets) == 8
    assert admission.refused["network-full"] == 4
    assert admission.admit("9.9.9.9", nothing, 0.0) is not None
    first = tickets[0]
    assert first is not None
    admission.release(first)
    assert admission.admit("8.8.8.200", nothing, 0.0) is not None
    for ticket in tickets[1:8]:
        assert ticket is not None
        admission.release(ticket)
    assert len(admission._per_network) == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("8.8.8.1", "8.8.8.254", True),
        ("8.8.8.1", "8.8.9.1", False),
        ("2600:1:1:200::", "2600:1:1:2ff::", True),
        ("2600:1:1:200::", "2600:1:1:300::", False),
        ("10.0.0.1", "127.0.0.1", True),  # neither is one
    ],
)
def test_what_one_network_is(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same


def test_sixty_four_half_open_connections_are_all_whatever_the_networks() -> None:
    admission = Admission()
    for number in range(64):
        ticket = admission.admit(f"10.{number}.0.1", nothing, 0.0)
        assert ticket is not None
        ticket.silent = False
    assert admission.admit("10.200.0.1", nothing, 0.0) is None
    assert admission.half_open == 64


def test_a_ledger_tells_of_everything_that_it_bounds() -> None:
    ledger = Ledger(LinkLimits(messages=10, message_burst=10, sessions=1), Admission())
    account = ledger.open(0.0)
    assert isinstance(account, Account)
    assert ledger.proved(account, b"n" * 32)
    assert not ledger.proved(ledger.open(0.0), b"n" * 32)
    account.charge(100, 5000, 0.0)
    account.waited(1.5)
    told = ledger.status()
    assert told["messages"] == 100
    assert told["bytes"] == 5000
    assert told["pauses"] == 1
    assert told["paused_s"] == 1.5
    assert told["refused"] == {"sessions_of_one_member": 1}
    assert told["half_open"] == 0


def test_the_other_limits_are_what_is_written() -> None:
    """Figures that SECURITY.md states."""
    assert link.HANDSHAKE_SECONDS == 5.0
    assert link.WRITE_SECONDS == 10.0
    assert framing.FRAME_BYTES == 16_384
    assert framing.MESSAGE_BYTES == framing.OUTBOX_BYTES == 2 << 20
    assert session.REKEY_RECORDS == 1 << 20
    assert session.REKEY_BYTES == 1 << 30
    assert MEMBERS_MAX == 16_384
    assert QUARANTINE_MS == 60_000
