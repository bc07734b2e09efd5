"""What a node says of others when it cannot know, and of itself when it hardly has the time."""

import pytest

from gossipnet.config import split_address
from gossipnet.protocol.effects import Send
from gossipnet.protocol.wire import Push, Records, decode_untrusted
from tests.protocol.mesh import Net


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(12)
    return net


def test_a_node_that_starts_alone_calls_nobody_alive_until_it_has_met_one() -> None:
    net = settled(3)
    for machine in list(net):
        machine.kill()
    net[1].start()
    net.run(5)
    assert net[1].states() == {"node0": "suspect", "node1": "alive", "node2": "suspect"}
    net[0].start()
    net.until(lambda: net[1].states()["node0"] == "alive", 10)
    net[2].start()
    net.until(net.meshed, 10)


@pytest.mark.parametrize("after", [0.006, 0.012, 0.02, 0.05])
def test_whoever_stops_right_after_its_first_link_is_away_and_not_dead(after: float) -> None:
    net = settled(4)
    late = net.add("late", seeds=("node0:7117",))
    net.until(lambda: any(link.greeted for link in late.engine.links.values()), 5)
    net.run(after)
    late.stop()
    net.run(20)
    told = {machine.states().get("late", "unknown") for machine in net}
    assert "dead" not in told
    assert "suspect" not in told
    assert "away" in told


def test_behind_is_what_is_more_than_on_its_way() -> None:
    net = settled(2)
    for number in range(300):  # somebody writes all the time
        net[0].set(b"k%d" % number, b"v")
        net.run(0.01)
        assert net[0].row("node1")["behind"] == 0
    carry_out = net[0].carry_out

    def withhold(effect: object) -> None:
        if isinstance(effect, Send) and isinstance(
            decode_untrusted(effect.payload), Push | Records
        ):
            return
        carry_out(effect)  # type: ignore[arg-type]

    net[0].carry_out = withhold  # type: ignore[method-assign,assignment]
    net[0].set(b"withheld", b"v")
    net.until(lambda: net[0].row("node1")["behind"] == 1, 3)
    net[1].kill()
    net.run(3)
    for number in range(50):
        net[0].set(b"x%d" % number, b"v")
    assert net[0].row("node1")["state"] == "dead"
    assert net[0].row("node1")["behind"] is None  # nobody can know


def test_an_address_without_brackets_says_how_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"\[::1\]:7117"):
        split_address("::1:7117")
    assert split_address("::1") == ("::1", 7117)
    assert split_address("[::1]:7118") == ("::1", 7118)
    assert split_address("fe80::a1b2") == ("fe80::a1b2", 7117)
