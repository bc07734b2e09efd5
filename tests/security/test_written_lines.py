"""What a peer chose does not become a log line of its own."""

import io

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
