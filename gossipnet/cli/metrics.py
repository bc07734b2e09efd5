"""``gossipnet metrics``: a node's numbers for Prometheus, on paper, in a file or over HTTP.

A process of its own beside the daemon: it asks the local socket once per scrape, so the daemon
itself listens on TCP for nobody but its peers. Takes `prometheus_client` (the extra ``metrics``)
for the format and the HTTP server. Names follow Prometheus's conventions: one prefix, base units,
``_total`` on counters alone, labels from closed sets.
"""

import argparse
import ipaddress
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from gossipnet.cli.connection import open_client
from gossipnet.cli.options import Command, add_socket, listen_address
from gossipnet.cli.terminal import plain, say
from gossipnet.config import split_address
from gossipnet.errors import UsageError, UserError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

STATES = ("alive", "suspect", "dead", "away", "left", "revoked")
_PORT = 9117
_ASK_SECONDS = 5.0

Facts = dict[str, Any]


def _configure(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--listen",
        type=listen_address,
        metavar="HOST:PORT",
        help="answer scrapes over HTTP until Ctrl-C",
    )
    where.add_argument(
        "--write", metavar="FILE", type=Path, help="for node_exporter's textfile collector"
    )
    parser.add_argument(
        "--per-peer", action="store_true", help="also one series for each linked peer"
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    try:
        import prometheus_client as prometheus
    except ImportError:
        raise UserError(
            "metrics need prometheus_client: pip install 'gossipnet[metrics]' brings it"
        ) from None
    registry = prometheus.CollectorRegistry()
    registry.register(_Scrape(lambda: _ask(arguments), per_peer=arguments.per_peer))
    if arguments.listen:
        _serve(arguments, registry)
        return 0
    _ask(arguments)  # a scrape tells of a daemon that is away by gossipnet_up; a person is told
    if arguments.write:
        try:
            prometheus.write_to_textfile(str(arguments.write), registry)
        except OSError as error:
            raise UserError(f"{arguments.write} cannot be written: {error.strerror}") from None
        return 0
    print(prometheus.generate_latest(registry).decode(), end="")
    return 0


def _serve(arguments: argparse.Namespace, registry: Any) -> None:
    import prometheus_client as prometheus

    host, port = split_address(arguments.listen, _PORT)
    try:
        loopback = ipaddress.ip_address(host or "0.0.0.0").is_loopback  # noqa: S104
    except ValueError:
        loopback = host == "localhost"
    try:
        server, thread = prometheus.start_http_server(port, host, registry)
    except OSError as error:
        raise UsageError(f"{arguments.listen} cannot be listened on: {error.strerror}") from None
    say(f"metrics at http://{host}:{server.server_port}/metrics; Ctrl-C ends it")
    if not loopback:
        say("everyone who reaches this address can read them: they name members, but no keys")
    ending = threading.Event()
    signal.signal(signal.SIGTERM, _sets(ending))
    try:
        ending.wait()
    except KeyboardInterrupt:
        say()
    server.shutdown()
    thread.join()
    server.server_close()


def _sets(event: threading.Event) -> Callable[[int, FrameType | None], None]:
    return lambda _number, _frame: event.set()


def _ask(arguments: argparse.Namespace) -> Facts:
    with open_client(arguments, timeout=_ASK_SECONDS) as client:
        info = client.call("INFO", "everything").decode(errors="replace")
        return {
            "status": plain(client.status()),
            "members": client.members(),
            "peers": plain(client.call("GOSSIP", "PEERS")),
            "info": dict(
                line.split(":", 1) for line in info.splitlines() if ":" in line and line[0] != "#"
            ),
        }


class _Scrape:
    """What `prometheus_client` asks for series at each scrape."""

    def __init__(self, ask: Callable[[], Facts], *, per_peer: bool) -> None:
        self._ask = ask
        self._per_peer = per_peer

    def describe(self) -> list["Metric"]:
        """Nothing: what there is, is known only when the daemon has been asked."""
        return []

    def collect(self) -> Iterator["Metric"]:
        """All series; only ``gossipnet_up 0`` where no daemon answers."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            facts = self._ask()
        except UserError:
            yield GaugeMetricFamily("gossipnet_up", _UP, value=0)
            return
        yield GaugeMetricFamily("gossipnet_up", _UP, value=1)
        yield from series(facts)
        if self._per_peer:
            yield from peer_series(facts)


_UP = "Whether the daemon answered on its local socket."


def series(facts: Facts) -> Iterator["Metric"]:
    """The node's series: a fixed number of them, whatever the size of the mesh."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    status, info = facts["status"], facts["info"]
    build = InfoMetricFamily("gossipnet_build", "Which gossipnet this is.")
    build.add_metric([], {"version": str(info.get("gossipnet_version", ""))})
    yield build
    node = InfoMetricFamily("gossipnet_node", "Which node this is.")
    node.add_metric([], {name: str(status.get(name, "")) for name in ("name", "mesh", "node_id")})
    yield node
    states = Counter(str(row.get("state")) for row in facts["members"])
    members = GaugeMetricFamily("gossipnet_members", "Members by state.", labels=["state"])
    for state in STATES:
        members.add_metric([state], states[state])
    yield members
    for name, told, value in _gauges(status, info):
        if value is not None:
            yield GaugeMetricFamily(name, told, value=float(value))
    for name, told, value in _totals(status, info):
        if value is not None:
            yield CounterMetricFamily(name, told, value=float(value))
    happened = CounterMetricFamily(
        "gossipnet_happenings", "What the node counts, each under its name.", labels=["kind"]
    )
    for name, count in sorted(_counted(status)):
        happened.add_metric([name], count)
    yield happened
    conflicts = CounterMetricFamily(
        "gossipnet_conflicts", "Concurrent writes that were merged.", labels=["kind"]
    )
    for name, value in info.items():
        if name.startswith("crdt_conflicts_"):
            conflicts.add_metric([name.removeprefix("crdt_conflicts_")], float(value))
    yield conflicts


def _gauges(status: Facts, info: dict[str, str]) -> list[tuple[str, str, Any]]:
    clock, trust = status.get("clock") or {}, status.get("trust") or {}
    return [
        ("gossipnet_ready", "Whether the node serves.", status.get("ready")),
        ("gossipnet_converged", "Whether nothing is known to be missing.", status.get("converged")),
        ("gossipnet_lag_seconds", "For how long something has been missing.", status.get("lag_s")),
        ("gossipnet_links", "Links to other members.", status.get("links")),
        ("gossipnet_neighbours", "Links of the overlay.", status.get("neighbours")),
        ("gossipnet_store_keys", "Keys.", status.get("keys")),
        ("gossipnet_store_records", "Records of all logs.", status.get("records")),
        ("gossipnet_store_logs", "Logs of authors.", status.get("logs")),
        ("gossipnet_held_records", "Records that wait for others.", status.get("held")),
        (
            "gossipnet_quarantined_records",
            "Records stamped too far ahead of this clock.",
            status.get("quarantined"),
        ),
        ("gossipnet_uncommitted_records", "Records on their way to disk.", status["uncommitted"]),
        ("gossipnet_disk_healthy", "Whether the disk takes writes.", status.get("disk") == "ok"),
        (
            "gossipnet_disk_backlog_bytes",
            "Bytes that wait for the disk.",
            status.get("disk_backlog_bytes"),
        ),
        ("gossipnet_clock_offset_seconds", "Peers' clocks less this.", clock.get("offset_s")),
        (
            "gossipnet_certificate_expiry_timestamp_seconds",
            "When this node's certificate ends.",
            (status.get("certificate") or {}).get("not_after"),
        ),
        ("gossipnet_forked_logs", "Logs with two histories.", trust.get("forks")),
        (
            "gossipnet_root_version",
            "Version of the root.",
            (trust.get("root") or {}).get("version"),
        ),
        (
            "gossipnet_root_share",
            "Share of members on this root, 0 to 1.",
            (trust.get("root") or {}).get("share"),
        ),
        ("gossipnet_uptime_seconds", "Since the daemon's start.", status.get("uptime_s")),
        ("gossipnet_memory_bytes", "Resident memory.", info.get("used_memory_rss")),
        ("gossipnet_clients", "Connections to the local socket.", info.get("connected_clients")),
    ]


def _totals(status: Facts, info: dict[str, str]) -> list[tuple[str, str, Any]]:
    costs = status.get("costs") or {}
    busy = [float(info[name]) for name in ("used_cpu_sys", "used_cpu_user") if name in info]
    return [
        ("gossipnet_drops", "All that was dropped, of every kind.", status.get("drops")),
        ("gossipnet_commits", "Group commits.", status.get("commits")),
        ("gossipnet_link_messages", "Messages from peers.", costs.get("messages")),
        ("gossipnet_link_received_bytes", "Bytes from peers.", costs.get("bytes")),
        ("gossipnet_link_paused_seconds", "Peers were made to wait.", costs.get("paused_s")),
        ("gossipnet_handshakes", "Handshakes that held.", costs.get("handshakes")),
        ("gossipnet_commands", "Commands of clients.", info.get("total_commands_processed")),
        ("gossipnet_cpu_seconds", "Processor time.", sum(busy)),
    ]


def _counted(status: Facts) -> Iterator[tuple[str, float]]:
    for group in ("counters", "io", "disk_damage"):
        for name, count in (status.get(group) or {}).items():
            if isinstance(count, int | float):
                yield name, count
    for name, count in ((status.get("costs") or {}).get("refused") or {}).items():
        yield f"refused_{name}", count


def peer_series(facts: Facts) -> Iterator["Metric"]:
    """Series of each linked peer; as many as the node has links."""
    from prometheus_client.core import GaugeMetricFamily

    for field, name, told, unit in (
        ("rtt_ms", "gossipnet_peer_rtt_seconds", "Round trip to a peer.", 0.001),
        ("behind", "gossipnet_peer_behind_operations", "What a peer lacks, as it said.", 1.0),
        ("queued_bytes", "gossipnet_peer_queued_bytes", "What waits for a peer.", 1.0),
    ):
        family = GaugeMetricFamily(name, told, labels=["peer"])
        for row in facts["peers"]:
            if row.get(field) is not None:
                family.add_metric([str(row["name"])], float(row[field]) * unit)
        yield family


COMMANDS = {
    "metrics": Command(
        _configure,
        _execute,
        "gossipnet metrics\n"
        "gossipnet metrics --listen 127.0.0.1:9117      then http://127.0.0.1:9117/metrics\n"
        "gossipnet metrics --write /var/lib/node_exporter/gossipnet.prom",
        json=False,
    )
}
