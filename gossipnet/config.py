"""Settings: flags over ``GOSSIPNET_*`` over ``HOME/config.toml``, checked as a whole.

Every problem is reported at once, each with where it stands and what to do. Reads one file and
opens nothing else; knows nothing of what the settings are used for. Imports little, because every
command pays for it: ``tomllib`` and ``difflib`` come in only when they are needed.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gossipnet.errors import ConfigError

DEFAULT_PORT = 7117
CONFIG_FILE = "config.toml"
SOCKET_FILE = "gossipnet.sock"

# sun_path holds the path and a closing zero byte: unix(7) on Linux, sys/un.h on macOS.
SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107

_OUTSIDE = frozenset(
    {"HOME", "PASSPHRASE", "RECOVERY", "TOKEN", "VECTORS", "REQUIRE_ALL"}
)  # not settings of a daemon


class Settings(NamedTuple):
    """What one daemon or one command runs with.

    Attributes:
      home: The home folder, absolute.
      listen: ``HOST:PORT`` for links; port 0 takes any free one.
      advertise: ``HOST:PORT`` that others should dial; empty: found out by itself.
      join: ``HOST:PORT`` of members to dial at start and for ever after.
      socket: The local socket.
      durability: ``always`` (fsync before the reply) or ``every-second``.
      zone: Name of the site, or empty.
      log_level: ``debug``, ``info``, ``warning`` or ``error``.
      log_format: ``text`` or ``json``, one line an event.
      mesh_secret: File with the mesh's secret; None: ``mesh.secret`` in the home, if it is there.
      key_command: Prints the node's key file, in place of ``identity.key``; None: no command.
      pq: Hybrid post-quantum handshakes: ``off``, ``prefer`` or ``require``.
      max_clients: Most connections the local socket serves at once.
      notify_keyspace_events: Which changes of keys are told on channels, in Redis's letters.
    """

    home: Path
    socket: Path
    listen: str = f"0.0.0.0:{DEFAULT_PORT}"
    advertise: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    durability: str = "always"
    zone: str = ""
    log_level: str = "info"
    log_format: str = "text"
    max_clients: int = 1000
    pq: str = "prefer"
    key_command: str | None = None
    mesh_secret: Path | None = None
    notify_keyspace_events: str = ""


def home_path(flag: str | None, env: Mapping[str, str]) -> Path:
    """The home folder: ``--home``, else ``$GOSSIPNET_HOME``, else under the user's data folder.

    Args:
      flag: What ``--home`` said, or None.
      env: The process's environment.

    Returns:
      An absolute path; nothing says that it exists.

    Raises:
      ConfigError: The flag is there and empty.
    """
    if flag is not None and not flag.strip():
        # Most often `--home "$UNSET"`, which must not fall upon the node that lives at the default.
        raise ConfigError("--home is empty: name a folder, or leave the option out")
    written = flag or env.get("GOSSIPNET_HOME")
    if written:
        return Path(written).expanduser().absolute()
    data = env.get("XDG_DATA_HOME") or ""
    # The base directory specification: a relative value is to be ignored.
    base = Path(data) if data.startswith("/") else Path("~/.local/share").expanduser()
    return base / "gossipnet"


def load(flags: Mapping[str, object], env: Mapping[str, str]) -> Settings:
    """Settle every setting from its three sources.

    Args:
      flags: By the names of `Settings`; a missing name or None means "not given".
      env: The process's environment; ``GOSSIPNET_LOG_LEVEL`` sets ``log.level``, and lists are
        separated by commas.

    Raises:
      ConfigError: Something is unknown or has a bad value. The text lists every such thing.
    """
    flag = flags.get("home")
    home = home_path(str(flag) if flag is not None else None, env)
    problems: list[str] = []
    values: dict[str, Any] = {}
    sources = (
        _from_file(home / CONFIG_FILE, problems),
        _from_env(env, problems),
        _from_flags(flags),
    )
    for source in sources:
        _take(source, values, problems)
    if not problems:
        values.setdefault("socket", home / SOCKET_FILE)
        problems += _socket_problem(values["socket"])
    if problems:
        raise ConfigError(_told(problems))
    return Settings(home=home, **values)


def split_address(written: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[V6]:PORT``, ``HOST`` or ``:PORT`` (all addresses).

    Raises:
      ValueError: Not such an address; the text says why.
    """
    host, port = written, ""
    if written.startswith("["):
        host, closed, rest = written[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{written!r} is not an address: an IPv6 host is written [HOST]:PORT")
        port = rest[1:]
    elif written.count(":") == 1:
        host, _, port = written.partition(":")
    if len(host) > 253 or any(not letter.isprintable() or letter.isspace() for letter in host):
        raise ValueError(f"{written[:60]!r} is not an address: write HOST:PORT")
    if not port:
        return host, default_port
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"{written[:60]!r} is not an address: a port is a number up to 65535")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """The text form; an IPv6 host gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that ``word`` was most likely meant to be, if any is close."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


# ---------------------------------------------------------------- one value


def _listen_address(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('is not text: write "HOST:PORT"')
    host, port = split_address(value)
    return join_address(host or "0.0.0.0", port)  # noqa: S104 - the documented meaning of :PORT


def _dial_addresses(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise ValueError('is not a list of addresses: write ["HOST:PORT", ...]')
    return tuple(_dial_address(part) for part in value)


def _dial_address(written: str) -> str:
    host, port = split_address(written)
    if not host or port == 0:
        raise ValueError(f"{written!r} cannot be dialled: give a host and a port above 0")
    return join_address(host, port)


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        near = nearest(value, list(choices)) if isinstance(value, str) else None
        hint = f" (did you mean {near}?)" if near else ""
        raise ValueError(f"is {value!r}: choose {' or '.join(choices)}{hint}")

    return check


def _zone(value: object) -> str:
    if isinstance(value, str) and len(value) <= 64 and value.isprintable():
        return value
    raise ValueError("is not a zone: use up to 64 printable characters")


def _event_flags(value: object) -> str:
    if isinstance(value, str) and set(value) <= set("KEAg$lshzxetdmn"):
        return value
    raise ValueError(
        f"is {value!r}: use letters of KEAg$lshzxetdmn, as in Redis; KEA tells of everything"
    )


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value).expanduser()
    raise ValueError("is not a path")


def _command(value: object) -> str:
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return value
    raise ValueError('is not a command: write "PROGRAM ARGUMENT ..."')


def _client_count(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 100_000:
        return number
    raise ValueError(f"is {value!r}: give a whole number from 1 to 100000")


_CHECKS: dict[str, Callable[[object], Any]] = {
    "listen": _listen_address,
    "advertise": _dial_addresses,
    "join": _dial_addresses,
    "socket": _path,
    "durability": _one_of("always", "every-second"),
    "zone": _zone,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("text", "json"),
    "max_clients": _client_count,
    "key_command": _command,
    "pq": _one_of("off", "prefer", "require"),
    "mesh_secret": _path,
    "notify_keyspace_events": _event_flags,
}
# In the file, names before the dot are tables.
_FILE_KEYS = {
    name: "limits.clients" if name == "max_clients" else name.replace("log_", "log.")
    for name in _CHECKS
}
_BY_FILE_KEY = {key: name for name, key in _FILE_KEYS.items()}


# ---------------------------------------------------------------- the three sources


class _Source:
    """What one source says, by the names of `Settings`.

    Attributes:
      values: As written there.
      where: How a message names the place of each.
      base: What a relative path there is relative to.
    """

    def __init__(self, base: Path) -> None:
        self.values: dict[str, object] = {}
        self.where: dict[str, str] = {}
        self.base = base

    def add(self, name: str, value: object, where: str) -> None:
        self.values[name], self.where[name] = value, where


def _take(source: _Source, values: dict[str, Any], problems: list[str]) -> None:
    """Check what one source says and let it win over what came before."""
    for name, value in source.values.items():
        where = source.where[name]
        try:
            checked = _CHECKS[name](value)
        except ValueError as error:
            problems.append(f"{where} {error}" if _continues(error) else f"{where}: {error}")
            continue
        values[name] = source.base / checked if isinstance(checked, Path) else checked


def _continues(error: ValueError) -> bool:
    return str(error).startswith("is ")


def _from_flags(flags: Mapping[str, object]) -> _Source:
    found = _Source(Path.cwd())
    for name in _CHECKS:
        value = flags.get(name)
        if value is not None:
            found.add(name, value, "--" + name.replace("_", "-"))
    return found


def _from_env(env: Mapping[str, str], problems: list[str]) -> _Source:
    found = _Source(Path.cwd())
    known = {name.upper(): name for name in _CHECKS}
    for variable in sorted(env):
        if not variable.startswith("GOSSIPNET_") or not env[variable]:
            continue
        suffix = variable.removeprefix("GOSSIPNET_")
        if suffix in known:
            found.add(known[suffix], env[variable], f"${variable}")
        elif suffix not in _OUTSIDE:
            # Container platforms set GOSSIPNET_PORT and the like for a service of this name, so
            # only what looks like a slip of the pen is refused.
            near = nearest(suffix, [*known, *_OUTSIDE])
            if near and _alike(suffix, near):
                problems.append(f"${variable} is not a setting: did you mean $GOSSIPNET_{near}?")
    return found


def _alike(word: str, other: str) -> bool:
    import difflib

    return difflib.SequenceMatcher(None, word, other).ratio() > 0.75


def _from_file(path: Path, problems: list[str]) -> _Source:
    found = _Source(path.parent)
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return found
    except UnicodeDecodeError:
        problems.append(f"{path} is not UTF-8 text: save it as UTF-8")
        return found
    except OSError as error:
        problems.append(f"{path} cannot be read ({error.strerror}): check its owner and mode")
        return found
    import tomllib

    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path} is not valid TOML: {error}")
        return found
    lines = _line_numbers(text)
    for key, value in _flat(parsed):
        where = f"{path}{f', line {lines[key]}' if key in lines else ''}: {key}"
        name = _BY_FILE_KEY.get(key)
        if name is None:
            near = nearest(key, list(_BY_FILE_KEY))
            remedy = f"did you mean {near}?" if near else f"known are {', '.join(_BY_FILE_KEY)}"
            problems.append(f"{where} is not a setting: {remedy}")
        else:
            found.add(name, value, where)
    return found


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _line_numbers(text: str) -> dict[str, int]:
    """Where each dotted key is set. tomllib does not say, so plain lines are read for it."""
    numbers: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = stripped.strip("[]").split("#")[0].strip().strip("]").strip() + "."
            numbers.setdefault(table[:-1], number)
        elif "=" in stripped and not stripped.startswith("#"):
            key = ".".join(part.strip(" \"'") for part in stripped.split("=")[0].split("."))
            numbers.setdefault(table + key, number)
    return numbers


# ---------------------------------------------------------------- the whole


def _socket_problem(path: Path) -> list[str]:
    length = len(os.fsencode(path))
    if length <= SOCKET_PATH_LIMIT:
        return []
    return [
        f"the socket path {path} has {length} bytes and the system allows {SOCKET_PATH_LIMIT}: "
        "choose a shorter one with --socket, or `socket` in config.toml"
    ]


def _told(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} settings are wrong:" + "".join(f"\n  {line}" for line in problems)
