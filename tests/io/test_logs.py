"""The log: one line an event, never in the way of the loop, never a flood."""

import io
import json
import threading
from collections.abc import Iterator

import pytest

from gossipnet.io import logs
from gossipnet.io.logs import LogWriter, log_event, start_logging, stop_logging


class Stream(io.StringIO):
    """A stream that can be blocked, as a terminal is after Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.open.wait(30)
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def writer(stream: Stream) -> Iterator[LogWriter]:
    started = start_logging("info", "text", stream)
    yield started
    stream.open.set()
    stop_logging(started)


def lines(writer: LogWriter, stream: Stream) -> list[str]:
    writer.flush()
    return stream.getvalue().splitlines()


def test_an_event_is_one_line_for_people(writer: LogWriter, stream: Stream) -> None:
    log_event("member-join", "rpi joined from 192.0.2.7:7117", node="abcdefghij")
    log_event("disk-full", "no room", "error")
    log_event("detail", "not wanted", "debug")
    first, second = lines(writer, stream)
    assert first.split(" ", 1)[1] == "member-join    rpi joined from 192.0.2.7:7117  [abcdefghij]"
    assert second.split(" ", 1)[1] == "disk-full      error: no room"


def test_an_event_is_one_json_object_for_machines(stream: Stream) -> None:
    writer = start_logging("debug", "json", stream)
    log_event("x", 'quote " and\nline', "debug", node="n")
    stop_logging(writer)
    row = json.loads(stream.getvalue())
    assert row.pop("time").endswith("Z")
    assert row == {"level": "debug", "event": "x", "text": 'quote " and\nline', "node": "n"}


def test_a_peer_cannot_move_the_cursor(writer: LogWriter, stream: Stream) -> None:
    log_event("member-join", "\x1b[2Jevil\u202e")
    assert "\x1b" not in stream.getvalue()
    assert r"\x1b[2Jevil\u202e" in lines(writer, stream)[0]


def test_a_blocked_stream_stops_nobody_and_the_loss_is_told(
    writer: LogWriter, stream: Stream
) -> None:
    stream.open.clear()
    writer.line("first")
    assert stream.reached.wait(10)
    for number in range(logs.QUEUE_LINES + 50):  # returns at once, which is the point
        writer.line(f"line {number}")
    assert writer.dropped == 50
    stream.open.set()
    writer.flush()
    writer.line("last")
    assert lines(writer, stream)[-2:] == ["gossipnet: 50 log lines were lost here", "last"]


def test_one_kind_cannot_drown_the_others(writer: LogWriter, stream: Stream) -> None:
    for number in range(1000):
        log_event("link-refused", f"number {number}")
    log_event("member-dead", "nas")
    written = lines(writer, stream)
    assert len(written) == int(logs.BURST_LINES) + 1
    assert writer.suppressed == 1000 - int(logs.BURST_LINES)
    assert "member-dead" in written[-1]


def test_what_was_held_back_is_told_when_the_kind_may_speak_again(
    writer: LogWriter, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        log_event("k", f"number {number}")
    monkeypatch.setattr(logs, "LINES_PER_SECOND", 1e9)
    log_event("k", "again")
    assert lines(writer, stream)[-1].endswith("again (10 more like this were not shown)")


def test_kinds_are_bounded(writer: LogWriter) -> None:
    for number in range(2000):
        log_event(f"kind-{number}", "x")
    assert len(writer._rates) <= logs.MAX_KINDS


def test_nobody_listens_any_more(writer: LogWriter, stream: Stream) -> None:
    stream.close()  # writing raises ValueError, as it raises OSError on a broken pipe
    log_event("a", "b")
    writer.flush()
    writer.close()
    assert not writer._thread.is_alive()


def test_a_long_text_is_cut(writer: LogWriter, stream: Stream) -> None:
    log_event("a", "x" * 100_000)
    assert len(lines(writer, stream)[0]) < 2 * logs.MAX_TEXT
