"""What a peer chose does not become a log line of its own."""

import io
import json

import pytest

from gossipnet.cli.terminal import put_json
from gossipnet.io.logs import log_event, start_logging, stop_logging


def test_a_peer_s_text_is_one_line_whatever_ends_a_line() -> None:
    stream = io.StringIO()
    writer = start_logging("info", "text", stream)
    for end in ("\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\x1b[2J", "\x9b2J"):
        log_event("member-moved", f"a is now at x{end}00:00:00.000 member-dead    b is dead")
    stop_logging(writer)
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 9
    assert all(line.isprintable() and "member-moved" in line for line in lines)


def test_json_moves_no_cursor_and_is_still_the_same_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "a\x9b2J\x85b\u2028c\u202ed\x7f\U000e0001ü→🙂"
    put_json({"name": name})
    text = capsys.readouterr().out
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert json.loads(text) == {"v": 1, "name": name}
    assert "ü→🙂" in text
