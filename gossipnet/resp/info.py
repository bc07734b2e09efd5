"""INFO: what Redis's clients and dashboards look for, and sections of our own.

Redis's fields keep their names and stay true: what does not exist here is left out or zero.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gossipnet.resp.commands.connection import REDIS_VERSION
from gossipnet.state.conflicts import KINDS
from gossipnet.version import version

if TYPE_CHECKING:
    from gossipnet.resp.service import Service

Lines = dict[str, Any]

_CRDT = frozenset(
    {"epoch", "logs", "records", "held", "quarantined", "forks", "converged", "lag_s", "clock"}
)
"""Which rows of `MeshPort.status` belong to the section Crdt; all others are in Mesh."""


def _server(service: "Service") -> Lines:
    up = max(0, service.wall_ms - service.started_ms) // 1000
    return {
        "redis_version": REDIS_VERSION,
        "redis_mode": "standalone",
        "gossipnet_version": version(),
        "os": sys.platform,
        "arch_bits": 64,
        "multiplexing_api": "trio",
        "server_time_usec": service.wall_ms * 1000,
        "uptime_in_seconds": up,
        "uptime_in_days": up // 86_400,
        "tcp_port": 0,
    }


def _clients(service: "Service") -> Lines:
    sessions = service.sessions.values()
    return {
        "connected_clients": len(service.sessions),
        "maxclients": service.max_clients,
        "blocked_clients": len(service.blocking),
        "pubsub_clients": sum(
            session.streams or len(session.subscriptions) > 0 for session in sessions
        ),
        "watching_clients": sum(bool(session.watched) for session in sessions),
        "total_watched_keys": sum(len(session.watched) for session in sessions),
    }


def _memory(service: "Service") -> Lines:
    return {"maxmemory": service.pressure.caps.memory, "maxmemory_policy": "noeviction"}


def _persistence(_service: "Service") -> Lines:
    return {"loading": 0, "aof_enabled": 1, "aof_last_write_status": "ok"}


def _stats(service: "Service") -> Lines:
    lines: Lines = {
        "total_connections_received": service.connections,
        "total_commands_processed": service.commands,
        "rejected_connections": service.counters["clients_refused"],
        "evicted_keys": 0,
        "pubsub_channels": len(service.channels.active(lambda _channel: True)),
        "tracking_clients": len(service.tracking),
        "tracking_total_keys": service.tracking.keys,
        "pubsub_patterns": service.channels.pattern_count,
    }
    return {**lines, **dict(sorted(service.counters.items()))}


def _replication(_service: "Service") -> Lines:
    # Clients that look for a master to write to must find one: every node is.
    return {"role": "master", "connected_slaves": 0}


def _modules(_service: "Service") -> Lines:
    return {}


def _keyspace(service: "Service") -> Lines:
    keyspace = service.keyspace
    keys = len(keyspace)
    if not keys:
        return {}
    expires, left_ms = keyspace.volatile()
    return {"db0": f"keys={keys},expires={expires},avg_ttl={left_ms // max(expires, 1)}"}


def _mesh(service: "Service") -> Lines:
    status = {**service.mesh.status(), **service.extra_status()}
    return _flat({name: value for name, value in status.items() if name not in _CRDT})


def _crdt(service: "Service") -> Lines:
    status = service.mesh.status()
    lines = _flat({name: value for name, value in status.items() if name in _CRDT})
    lines = {f"crdt_{name}": value for name, value in lines.items()}
    counts = service.keyspace.conflicts.counts
    lines["crdt_conflicts"] = sum(counts.values())
    lines.update({f"crdt_conflicts_{kind}": counts[kind] for kind in KINDS})
    return lines


def _flat(rows: Mapping[str, Any], prefix: str = "") -> Lines:
    """Nested rows as lines ``outer_inner``, values on one line each."""
    lines: Lines = {}
    for name, value in rows.items():
        if isinstance(value, Mapping):
            lines.update(_flat(value, f"{prefix}{name}_"))
        elif isinstance(value, bool):
            lines[prefix + name] = int(value)
        elif isinstance(value, list | tuple | set | frozenset):
            lines[prefix + name] = ",".join(map(str, value))
        else:
            lines[prefix + name] = "" if value is None else value
    return lines


SECTIONS: dict[str, Callable[["Service"], Lines]] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "CPU": _modules,
    "Modules": _modules,
    "Keyspace": _keyspace,
    "Mesh": _mesh,
    "Crdt": _crdt,
}
_ALL = frozenset({"all", "default", "everything"})


def document(service: "Service", wanted: list[str]) -> str:
    """INFO's text.

    Args:
      service: Of whom.
      wanted: Names of sections, in any case; none for all.
    """
    names = {name.lower() for name in wanted}
    everything = not names or bool(names & _ALL)
    parts = []
    more = service.info()
    for title, section in SECTIONS.items():
        if everything or title.lower() in names:
            lines = {**section(service), **more.get(title, {})}
            parts.append(
                f"# {title}\r\n"
                + "".join(f"{name}:{_one_line(value)}\r\n" for name, value in lines.items())
            )
    return "\r\n".join(parts)


def _one_line(value: object) -> str:
    return str(value).replace("\r", " ").replace("\n", " ")
