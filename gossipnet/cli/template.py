"""``gossipnet template``: a file made from the shared state, and made again when that changes.

Jinja2 (the extra ``template``), in its sandbox and strict about unknown names. The keys a template
asks for while it renders are the keys that are watched, so nothing has to be declared. The file is
replaced in one step and only if its text differs, and only then is the reload command run.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossipnet.cli.connection import open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.feed import Feed
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import say
from gossipnet.errors import UsageError, UserError

if TYPE_CHECKING:
    from gossipnet.client import Client

_QUEUE = 1024
_RELOAD_SECONDS = 60.0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="TEMPLATE TARGET [-- COMMAND [ARG...]]",
        help="a Jinja2 template, the file to write, and what to run after it has changed; options "
        "of gossipnet stand before them",
    )
    parser.add_argument("--once", action="store_true", help="write it once and end")
    parser.add_argument(
        "--debounce",
        type=parse_duration,
        default=0.5,
        metavar="TIME",
        help="gather changes for this long before writing (500ms)",
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    source, target, command = _split(arguments.words)
    with open_client(arguments) as client:
        patterns = _write(client, source, target, command)
    if arguments.once:
        return 0
    say(f"writes {target} when {', '.join(sorted(patterns)) or 'nothing'} changes; Ctrl-C ends it")
    try:
        while True:
            patterns = _follow(arguments, source, target, command, patterns)
    except KeyboardInterrupt:
        say()
    return 0


def _split(words: list[str]) -> tuple[Path, Path, list[str]]:
    at = words.index("--") if "--" in words else len(words)
    if at != 2:
        raise UsageError("say which file to write, as in: gossipnet template in.j2 out.conf")
    return Path(words[0]), Path(words[1]), words[at + 1 :]


def _follow(
    arguments: argparse.Namespace,
    source: Path,
    target: Path,
    command: list[str],
    patterns: set[str],
) -> set[str]:
    """Write at every change until the template asks for other keys; those."""
    feed = Feed(lambda: open_client(arguments), _QUEUE)
    feed.keys([os.fsencode(pattern) for pattern in sorted(patterns)])
    changed = True  # between the last writing and the beginning of the watch
    while True:
        if not changed:
            feed.next()
            time.sleep(arguments.debounce)
            feed.waiting()
        changed = False
        try:
            with open_client(arguments) as client:
                asked = _write(client, source, target, command)
        except UserError as error:
            say(f"{target} stays as it is: {error}")
            continue
        if asked != patterns:
            return asked


class State:
    """What a template may ask for; each question is remembered as a pattern to watch."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.asked: set[str] = set()

    def _one(self, key: str, *words: str) -> Any:
        from gossipnet.client import ReplyError, as_text

        self.asked.add("".join(f"\\{c}" if c in "*?[]\\" else c for c in key))
        try:
            return as_text(self._client.call(words[0], key, *words[1:]))
        except ReplyError as error:
            raise ReplyError(f"{error} (the key {key!r})") from None

    def get(self, key: str, default: str | None = None) -> str | None:
        """The string at ``key``."""
        value: str | None = self._one(key, "GET")
        return default if value is None else value

    def fields(self, key: str) -> dict[str, str]:
        """The fields of a hash."""
        return dict(self._one(key, "HGETALL"))

    def crowd(self, key: str) -> list[str]:
        """The members of a set, sorted."""
        return sorted(self._one(key, "SMEMBERS"))

    def elements(self, key: str) -> list[str]:
        """The elements of a list."""
        return list(self._one(key, "LRANGE", "0", "-1"))

    def ranking(self, key: str) -> list[str]:
        """The members of a sorted set by score."""
        return list(self._one(key, "ZRANGE", "0", "-1"))

    def keys(self, pattern: str) -> list[str]:
        """The keys that match, sorted."""
        from gossipnet.client import as_text

        self.asked.add(pattern)
        return [as_text(key) for key in self._client.keys(pattern)]

    def members(self, state: str | None = "alive") -> list[dict[str, Any]]:
        """Rows of ``gossipnet members``; all of them with ``state=None``."""
        return [row for row in self._client.members() if state in (None, row["state"])]


def render(client: "Client", source: Path) -> tuple[str, set[str]]:
    """The text, and the patterns of the keys that it was made of.

    Raises:
      UserError: The template is not there, is wrong, or asks for what is not there.
    """
    try:
        import jinja2
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError:
        raise UserError(
            "templates need Jinja2: pip install 'gossipnet[template]' brings it"
        ) from None
    from gossipnet.client import ReplyError

    state = State(client)
    environment = SandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # configuration files, not HTML
    )
    environment.globals = {
        "get": state.get,
        "hash": state.fields,
        "set": state.crowd,
        "list": state.elements,
        "zset": state.ranking,
        "keys": state.keys,
        "members": state.members,
        "range": range,
    }
    try:
        return environment.from_string(source.read_text()).render(), state.asked
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{source}, line {error.lineno}: {error.message}") from None
    except jinja2.TemplateError as error:
        raise UserError(f"{source}: {error.message}") from None
    except ReplyError as error:
        raise UserError(f"{source}: {error}") from None
    except OSError as error:
        raise UserError(f"{source} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{source} is not UTF-8 text") from None


def _write(client: "Client", source: Path, target: Path, command: list[str]) -> set[str]:
    text, asked = render(client, source)
    if _replace(target, text):
        say(f"wrote {target}")
        if command:
            _reload(command)
    return asked


def _replace(target: Path, text: str) -> bool:
    """Put the text there in one step, with the mode of the old file; False if it was the same."""
    try:
        if target.exists() and target.read_bytes() == text.encode():
            return False
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as fresh:
            try:
                fresh.write(text.encode())
                fresh.flush()
                os.fchmod(fresh.fileno(), mode)
                os.fsync(fresh.fileno())
                os.replace(fresh.name, target)
            except BaseException:
                os.unlink(fresh.name)
                raise
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}") from None
    return True


def _reload(command: list[str]) -> None:
    try:
        done = subprocess.run(command, timeout=_RELOAD_SECONDS, check=False)  # noqa: S603
    except OSError as error:
        raise UserError(f"{command[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        say(f"{command[0]}: killed after {_RELOAD_SECONDS:g} s")
        return
    if done.returncode:
        say(f"{command[0]}: exit code {done.returncode}")


COMMANDS = {
    "template": Command(
        _configure,
        _execute,
        "gossipnet template upstreams.j2 /etc/nginx/upstreams.conf -- systemctl reload nginx\n"
        "gossipnet template --once hosts.j2 hosts\n"
        "a template asks get('key'), hash('key'), set('key'), list('key'), keys('pattern'),\n"
        "members(); for example: {% for h in set('web') %}server {{ h }};{% endfor %}",
        json=False,
    )
}
