"""The way to the store's thread and back, against trio's own ways of leaving the loop."""

import time
from collections.abc import Iterator
from statistics import median

import trio

from benchmarks.daemons import folder
from benchmarks.figures import Row, run_alone
from gossipnet.io.database import open_database
from gossipnet.io.store import Store
from gossipnet.protocol.effects import ReadLog


def measure(quick: bool) -> Iterator[Row]:
    """One read of nothing at a time: the way there and back is all that costs."""
    times = 300 if quick else 3000
    hop, thread = trio.run(_both, times)
    yield Row(
        "store thread, there and back",
        hop * 1e6,
        "us",
        "trio.to_thread",
        thread * 1e6,
        note="idle; the commit's own transaction and fsync come on top",
    )


async def _both(times: int) -> tuple[float, float]:
    with folder() as path:
        store = Store(open_database(path / "state.db"), "always")
        store.start()
        arrived = trio.Event()

        def deliver(_done: object) -> None:
            arrived.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(store.run, deliver)
            hops, threads = [], []
            for number in range(1, times + 1):
                arrived = trio.Event()
                started = time.perf_counter()
                store.read(ReadLog(number, (), 0, 1))
                await arrived.wait()
                hops.append(time.perf_counter() - started)
                started = time.perf_counter()
                await trio.to_thread.run_sync(int)
                threads.append(time.perf_counter() - started)
            nursery.cancel_scope.cancel()
        await store.stop()
    return median(hops), median(threads)


if __name__ == "__main__":
    run_alone(measure)
