"""SCAN shows every key that is there, however often keys came and went before."""

from random import Random

from sites import Sites

from gossipnet.state.scan import ScanOrder


def test_no_key_is_forgotten_when_the_order_is_swept() -> None:
    """Every key that comes back makes an entry; each sweep of them must spare the newest."""
    sites = Sites(1)
    keyspace = sites.replicas["A"].keyspace
    for number in range(1000):
        key = b"key%d" % (number % 3)
        keyspace.delete(key)
        keyspace.set(key, b"value")
        shown = keyspace.scan(0, 10_000)[1]
        assert set(shown) == set(keyspace.keys()), f"after {number + 1} writes"


def test_keys_that_stay_are_never_missed_while_others_come_and_go() -> None:
    rng = Random(1)
    live: dict[bytes, int] = {}
    order = ScanOrder()

    def come(key: bytes) -> None:
        if key not in live:
            order.append(key, live, len(live))
            live[key] = 1

    stay = {b"stay%d" % number for number in range(50)}
    for key in stay:
        come(key)
    cursor, seen = 0, set()
    for _page in range(50):
        for _ in range(40):
            key = b"guest%d" % rng.randrange(20)
            live.pop(key, None)
            come(key)
        cursor, page = order.page(cursor, 7, live)
        seen.update(page)
        if cursor == 0:
            break
    assert stay <= seen
