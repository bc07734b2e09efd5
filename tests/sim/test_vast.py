"""Overlay and broadcast of large meshes in zones: everybody hears, and few links cross."""

from gossipnet.sim.vast import Vast, grows_like_log


def test_broadcast_reaches_all_and_cost_grows_like_the_logarithm() -> None:
    costs = []
    for nodes in (60, 240):
        vast = Vast(1, nodes, 4)
        vast.form(25.0)
        costs.append(vast.measure(4))
    small, large = costs
    assert small.missed == large.missed == 0
    assert large.last_hop <= 8
    assert large.crossing <= 1.5 * small.crossing
    assert large.crossing_per_write <= 1.5 * small.crossing_per_write
    assert grows_like_log(costs)
