"""The server: what it can do, how it is, what time it is."""

from typing import TYPE_CHECKING

from gossipnet.resp.glob import matcher
from gossipnet.resp.info import document
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import OK, CommandError, Reply, Text
from gossipnet.resp.table import HEAVY, NUMBERED, STREAMS, Command, container

if TYPE_CHECKING:
    from gossipnet.resp.session import Session
    from gossipnet.state.keyspace import Keyspace

_KEY_BYTES = 220  # what one small key costs this process, measured
_PART_BYTES = 150  # and one field or member
_FIXED = "settings are flags, GOSSIPNET_* and config.toml; restart the daemon to change them"


def _find(session: "Session", name: bytes) -> Command | None:
    outer, _bar, inner = name.lower().partition(b"|")
    command = session.service.table.get(outer)
    return command.subcommands.get(inner) if command is not None and inner else command


# ---------------------------------------------------------------- COMMAND


def _row(command: Command) -> Reply:
    first, last, step = command.keys
    movable = last in (NUMBERED, STREAMS)
    return [
        command.name.encode(),
        command.arity,
        {*command.shown_flags, *(["movablekeys"] if movable else [])},
        *((0, 0, 0) if movable else (first, last, step)),
        {f"@{category}" for category in _categories(command)},
        [],
        [],
        [_row(inner) for inner in command.subcommands.values()],
    ]


def _categories(command: Command) -> set[str]:
    """Redis's ACL categories, which some clients sort commands by."""
    flags = set(command.shown_flags)
    found = {command.group if command.group != "generic" else "keyspace"}
    found |= {"read"} & {"read" if "readonly" in flags else ""}
    found |= {"write"} & {"write" if "write" in flags else ""}
    found |= {"admin"} & {"admin" if "admin" in flags else ""}
    return found | {"fast" if "fast" in flags else "slow"}


def _docs_of(command: Command) -> Reply:
    told: dict[bytes, Reply] = {
        b"summary": command.summary.encode(),
        b"since": command.since.encode(),
        b"group": command.group.encode(),
    }
    if command.subcommands:
        told[b"subcommands"] = {
            inner.name.encode(): _docs_of(inner) for inner in command.subcommands.values()
        }
    elif command.usage:
        told[b"arguments"] = [_argument(word) for word in command.usage.split(" ")]
    return told


def _argument(word: str) -> Reply:
    # redis-cli shows these one after the other as its hint: together they are the usage line.
    name = word.encode()
    return {b"name": name, b"type": b"string", b"display_text": name}


def _command(session: "Session", _args: list[bytes]) -> Reply:
    return [_row(command) for command in session.service.table.values()]


def _count(session: "Session", _args: list[bytes]) -> Reply:
    return len(session.service.table)


def _info_of(session: "Session", args: list[bytes]) -> Reply:
    if len(args) == 2:
        return _command(session, args)
    found = [_find(session, name) for name in args[2:]]
    return [None if command is None else _row(command) for command in found]


def _docs(session: "Session", args: list[bytes]) -> Reply:
    table = session.service.table
    found = [_find(session, name) for name in args[2:]] if len(args) > 2 else table.values()
    return {command.name.encode(): _docs_of(command) for command in found if command is not None}


def _list(session: "Session", args: list[bytes]) -> Reply:
    names = list(session.service.table)
    if len(args) == 2:
        return names
    if len(args) != 5 or args[2].upper() != b"FILTERBY":
        raise CommandError(SYNTAX)
    kind, value = args[3].upper(), args[4]
    if kind == b"MODULE":
        return []
    if kind == b"ACLCAT":
        category = value.decode("utf-8", "surrogateescape").lower()
        table = session.service.table
        return [name for name in names if category in _categories(table[name])]
    if kind == b"PATTERN":
        return list(filter(matcher(value.lower()), names))
    raise CommandError(SYNTAX)


def _getkeys(session: "Session", args: list[bytes]) -> Reply:
    words = args[2:]
    command = session.service.table.get(words[0].lower())
    if command is not None and command.subcommands and len(words) > 1:
        command = command.subcommands.get(words[1].lower())
    if command is None:
        raise CommandError("ERR Invalid command specified")
    if not command.keys[0]:
        raise CommandError("ERR The command has no key arguments")
    if not command.fits(len(words)):
        raise CommandError("ERR Invalid number of arguments specified for command")
    return command.keys_of(words)


# ---------------------------------------------------------------- the rest


def _info(session: "Session", args: list[bytes]) -> Reply:
    wanted = [word.decode("utf-8", "surrogateescape") for word in args[1:]]
    return Text(document(session.service, wanted).encode())


def _time(session: "Session", _args: list[bytes]) -> Reply:
    seconds, thousandths = divmod(session.service.wall_ms, 1000)
    return [b"%d" % seconds, b"%d" % (thousandths * 1000)]


def _config_get(session: "Session", args: list[bytes]) -> Reply:
    settings = session.service.settings()
    found: dict[bytes, bytes] = {}
    for pattern in args[2:]:
        matches = matcher(pattern.lower())
        found.update({name: value for name, value in settings.items() if matches(name)})
    return found


def _config_set(session: "Session", args: list[bytes]) -> Reply:
    if len(args) % 2:
        raise CommandError(SYNTAX)
    known = session.service.settings()
    for name, value in zip(args[2::2], args[3::2], strict=True):
        setting, shown = name.lower(), name[:64].decode("utf-8", "surrogateescape")
        if setting not in known:
            raise CommandError(
                f"ERR Unknown option or number of arguments for CONFIG SET - '{shown}'"
            )
        try:
            if setting != b"notify-keyspace-events":
                raise CommandError(_FIXED)
            session.service.notify(value.decode("ascii", "replace"))
        except CommandError as error:
            raise CommandError(
                f"ERR CONFIG SET failed (possibly related to argument '{shown}') - {error.text}"
            ) from None
    return OK


def _sizes(keyspace: "Keyspace", key: bytes, kind: str) -> list[int]:
    """Bytes of each part of a collection."""
    if kind == "hash":
        return [len(name) + len(value) for name, value in keyspace.hash_items(key)]
    if kind == "zset":
        return [len(member) + 8 for member in keyspace.scores(key)]
    if kind == "list":
        return list(map(len, keyspace.list_slice(key, 0, keyspace.list_len(key))))
    if kind == "stream":
        stream = keyspace.stream(key)
        return [] if stream is None else [sum(map(len, entry[4])) for entry in stream.entries]
    return [len(member) for member in keyspace.members(key)]


def _usage(session: "Session", args: list[bytes]) -> Reply:
    if len(args) not in (3, 5) or (len(args) == 5 and args[3].upper() != b"SAMPLES"):
        raise CommandError(SYNTAX)
    keyspace, key = session.keyspace, args[2]
    kind = keyspace.type_of(key)
    if kind is None:
        return None
    if kind == "string":
        return _KEY_BYTES + len(key) + len(keyspace.text(key) or b"")
    parts = _sizes(keyspace, key, kind)
    return _KEY_BYTES + len(key) + sum(parts) + _PART_BYTES * len(parts)


def _slow_get(session: "Session", args: list[bytes]) -> Reply:
    error = "ERR count should be greater than or equal to -1"
    count = integer(args[2], -1, error=error) if len(args) == 3 else 10
    return [
        [slow.number, slow.at_s, slow.micros, slow.words, slow.address, slow.name]
        for slow in session.service.slow.newest(count)
    ]


def _slow_len(session: "Session", _args: list[bytes]) -> Reply:
    return len(session.service.slow)


def _slow_reset(session: "Session", _args: list[bytes]) -> Reply:
    session.service.slow.clear()
    return OK


def _lolwut(_session: "Session", _args: list[bytes]) -> Reply:
    return Text(b"o--o--o\n \\ | /\n   o    everybody knows by now\n")


_ANY = "loading stale"
_LIST = "[FILTERBY MODULE module-name | ACLCAT category | PATTERN pattern]"
# fmt: off
_COMMAND = [
    Command("command|count", _count, 2, "", "How many commands there are.", "2.8.13", _ANY),
    Command("command|info", _info_of, -2, "[command-name ...]", "What commands take and touch.",
            "2.8.13", _ANY, cost=HEAVY),
    Command("command|docs", _docs, -2, "[command-name ...]", "What commands do.", "7.0.0", _ANY,
            cost=HEAVY),
    Command("command|list", _list, -2, _LIST, "The names of all commands.", "7.0.0", _ANY),
    Command("command|getkeys", _getkeys, -4, "command [arg ...]",
            "The keys in a call of a command.", "2.8.13", _ANY),
]
# fmt: on

# fmt: off
ROWS = [
    container("command", "About commands.", _COMMAND, since="2.8.13", flags=_ANY, bare=_command),
    Command("info", _info, -1, "[section [section ...]]", "How this node is.", "1.0.0", _ANY,
            cost=HEAVY // 4),
    Command("time", _time, 1, "", "The time here, in unix seconds and microseconds.", "2.6.0",
            "loading stale fast"),
    Command("lolwut", _lolwut, -1, "[VERSION version]", "A picture.", "5.0.0", "readonly fast"),
    container("config", "About settings.", [
        Command("config|get", _config_get, -3, "parameter [parameter ...]",
                "Settings that Redis's clients ask for.", "2.0.0", "admin noscript loading stale"),
        Command("config|set", _config_set, -4, "parameter value [parameter value ...]",
                "Sets notify-keyspace-events until the daemon ends; nothing else.", "2.0.0",
                "admin noscript loading stale"),
    ], since="2.0.0"),
    container("slowlog", "About commands that took long.", [
        Command("slowlog|get", _slow_get, -2, "[count]", "The last of them, newest first.",
                "2.2.12", "admin loading stale"),
        Command("slowlog|len", _slow_len, 2, "", "How many there are.", "2.2.12",
                "admin loading stale"),
        Command("slowlog|reset", _slow_reset, 2, "", "Forgets them.", "2.2.12",
                "admin loading stale"),
    ], since="2.2.12"),
    container("memory", "About memory.", [
        Command("memory|usage", _usage, -3, "key [SAMPLES count]",
                "About how many bytes a key takes here.", "4.0.0", "readonly", (2, 2, 1),
                HEAVY // 4),
    ], since="4.0.0"),
]
# fmt: on
