"""Settings: flags over ``GOSSIPNET_*`` over ``HOME/config.toml``, checked as a whole.

Every problem is reported at once, each with where it stands and what to do. Reads one file and
opens nothing else; knows nothing of what the settings are used for. Imports little, because every
command pays for it: ``tomllib`` and ``difflib`` come in only when they are needed.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gossipnet.config_values import CHECKS
from gossipnet.config_values import DEFAULT_PORT as DEFAULT_PORT
from gossipnet.config_values import join_address as join_address
from gossipnet.config_values import nearest as nearest
from gossipnet.config_values import split_address as split_address
from gossipnet.errors import ConfigError

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
      limits_key: Bytes of the longest key that clients of the socket may write.
      limits_value: Bytes of the largest value that they may write.
      limits_batch: Bytes that one command or one transaction of theirs may write.
      limits_query_buffer: Bytes of one command that are kept until it is complete.
      limits_output_buffer: Bytes of replies that are kept for a client that does not read.
      limits_memory: Bytes of memory above which writes that add are refused; 0: no limit.
      readonly_socket: A second local socket, whose clients only read; None: none.
      readonly_mode: Permission bits of its file: who may write the file may connect.
      readonly_group: Name of the group that its file is given to, or empty.
      blob_budget: Bytes that chunks of large values may take on this disk.
      blob_linger: Seconds for which chunks that no key names are kept.
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
    limits_key: int = 64 << 10
    limits_value: int = 1 << 20
    limits_batch: int = 1 << 20
    limits_query_buffer: int = 1 << 20
    limits_output_buffer: int = 32 << 20
    limits_memory: int = 0
    pq: str = "prefer"
    key_command: str | None = None
    mesh_secret: Path | None = None
    readonly_socket: Path | None = None
    readonly_mode: int = 0o660
    readonly_group: str = ""
    blob_budget: int = 10 << 30
    blob_linger: float = 600.0
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
        if "readonly_socket" in values:
            problems += _socket_problem(values["readonly_socket"], "readonly_socket")
    if problems:
        raise ConfigError(_told(problems))
    return Settings(home=home, **values)


def _dotted(name: str) -> str:
    return name.replace("log_", "log.").replace("blob_", "blob.").replace("limits_", "limits.")


# In the file, names before the dot are tables.
_FILE_KEYS = {name: "limits.clients" if name == "max_clients" else _dotted(name) for name in CHECKS}
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
            checked = CHECKS[name](value)
        except ValueError as error:
            problems.append(f"{where} {error}" if _continues(error) else f"{where}: {error}")
            continue
        values[name] = source.base / checked if isinstance(checked, Path) else checked


def _continues(error: ValueError) -> bool:
    return str(error).startswith("is ")


def _from_flags(flags: Mapping[str, object]) -> _Source:
    found = _Source(Path.cwd())
    for name in CHECKS:
        value = flags.get(name)
        if value is not None:
            found.add(name, value, "--" + name.replace("_", "-"))
    return found


def _from_env(env: Mapping[str, str], problems: list[str]) -> _Source:
    found = _Source(Path.cwd())
    known = {name.upper(): name for name in CHECKS}
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
        # That of the folder, too: without rights in it nobody sees whether there is such a file.
        told = f"{path} cannot be read ({error.strerror}): check its owner and mode, and those of"
        problems.append(f"{told} the folders above; each user needs a home of his own")
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


def _socket_problem(path: Path, setting: str = "socket") -> list[str]:
    length = len(os.fsencode(path))
    if length <= SOCKET_PATH_LIMIT:
        return []
    return [
        f"the socket path {path} has {length} bytes and the system allows {SOCKET_PATH_LIMIT}: "
        f"choose a shorter home, or a shorter one with --{setting.replace('_', '-')}, "
        f"GOSSIPNET_{setting.upper()}, or `{setting}` in config.toml"
    ]


def _told(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} settings are wrong:" + "".join(f"\n  {line}" for line in problems)
