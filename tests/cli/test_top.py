"""``gossipnet top``: what its screens show, at several sizes, and what its keys do."""

import pytest

from gossipnet.cli.top_frame import Line, frame, short_bytes, sparkline
from gossipnet.cli.top_model import Model, Sample


def member(
    name: str, state: str = "alive", rtt: float | None = 1.0, behind: int = 0
) -> dict[str, object]:
    return {
        "name": name,
        "id": f"id-of-{name}",
        "state": state,
        "address": "192.0.2.1:7117",
        "rtt_ms": rtt,
        "behind": behind,
        "roles": ["member"],
        "zone": "attic",
        "version": "gossipnet/0.1.0",
    }


def sample(at: float = 0.0, count: int = 3, commands: int = 0, **status: object) -> Sample:
    told = {
        "mesh": "home",
        "name": "n0",
        "node_id": "id-of-n0",
        "keys": 1234,
        "converged": True,
        "lag_s": 0.0,
        "disk": "ok",
        "drops": 0,
        "certificate_days": 89.6,
        "uptime_s": 61.0,
        "commits": commands,
        "costs": {"bytes": commands * 1000},
    }
    peer = {"name": "n1", "address": "192.0.2.1:7117", "direction": "out", "eager": True}
    event = {"seq": 1, "wall": 0.0, "kind": "link-up", "level": "debug", "text": "n1 is linked"}
    return Sample(
        at,
        told | status,
        [member(f"n{number}") for number in range(count)],
        [peer | {"id": "id-of-n1", "rtt_ms": 2.5, "queued_bytes": 2048, "since_s": 5.0}],
        [
            event,
            event | {"seq": 2, "level": "warning", "kind": "member-dead", "text": "n2 is dead"},
        ],
        {"total_commands_processed": str(commands), "used_memory_rss": "50000000"},
    )


@pytest.fixture
def model() -> Model:
    model = Model()
    model.take(sample())
    return model


def shown(model: Model, width: int = 100, height: int = 24) -> list[str]:
    return ["".join(piece.text for piece in line) for line in frame(model, width, height)]


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (40, 10), (20, 5), (1, 1)])
@pytest.mark.parametrize("keys", ["", "l", "e", "?", "/n1", "\n"])
def test_every_screen_fits_its_size(model: Model, size: tuple[int, int], keys: str) -> None:
    model.take(sample(1.0, count=100))
    for key in keys:
        model.press("enter" if key == "\n" else key)
    width, height = size
    lines: list[Line] = frame(model, width, height)
    assert len(lines) <= height
    assert all(sum(len(piece.text) for piece in line) <= width for line in lines)


def test_the_header_says_how_it_is(model: Model) -> None:
    text = "\n".join(shown(model))
    for told in ("home", "node n0", "3 members: 3 alive", "1,234 keys", "50.0 MB", "converged"):
        assert told in text
    assert "certificate 90 d" in text
    model.take(sample(1.0, converged=False, lag_s=2.5, disk="full", drops=7))
    text = "\n".join(shown(model))
    assert "behind for 2.5 s" in text
    assert "disk full" in text
    assert "drops 7" in text


def test_rates_are_per_second_and_survive_a_restart(model: Model) -> None:
    model.take(sample(2.0, commands=500))
    assert model.rates["commands"][-1] == 250
    assert "cmd/s 250" in "\n".join(shown(model))
    model.take(sample(3.0, commands=3))  # counts from zero again
    assert model.rates["commands"][-1] == 0


def test_members_links_and_events(model: Model) -> None:
    assert any(line.startswith("n0*   alive") for line in shown(model))
    model.press("l")
    assert any("n1" in line and "eager" in line and "2.0 kB" in line for line in shown(model))
    model.press("tab")
    lines = shown(model)
    dead = next(i for i, line in enumerate(lines) if "n2 is dead" in line)
    linked = next(i for i, line in enumerate(lines) if "n1 is linked" in line)
    assert dead < linked  # newest first


def test_narrow_screens_leave_out_the_last_columns(model: Model) -> None:
    assert any("VERSION" in line for line in shown(model, 140))
    narrow = shown(model, 50)
    assert any("ADDRESS" in line for line in narrow)
    assert not any("VERSION" in line for line in narrow)


def test_the_cursor_stays_in_sight_and_in_range(model: Model) -> None:
    model.take(sample(1.0, count=100))
    for _ in range(30):
        model.press("pagedown")
    assert model.chosen == 99
    assert any("n99" in line for line in shown(model))
    model.take(sample(2.0, count=2))
    assert model.chosen == 1
    for _ in range(3):
        model.press("up")
    assert model.chosen == 0


def test_a_filter_is_typed_kept_and_taken_back(model: Model) -> None:
    for key in ("/", "n", "2", "x", "backspace", "enter"):
        model.press(key)
    assert [row["name"] for row in model.rows()] == ["n2"]
    assert "only 'n2'" in shown(model)[-1]
    model.press("escape")
    assert len(model.rows()) == 3
    for key in ("/", "q", "enter"):
        assert model.press(key)  # q is a letter here
    assert any("nothing to show under this filter" in line for line in shown(model))


def test_sorting_goes_through_the_columns(model: Model) -> None:
    assert model.sample is not None
    model.sample.members[0]["rtt_ms"] = None
    model.sample.members[1]["rtt_ms"] = 9.0
    model.press("s")
    model.press("s")
    assert model.sort == "rtt_ms"
    assert [row["name"] for row in model.rows()] == ["n2", "n1", "n0"]  # unknown last


def test_a_row_alone_and_its_id_on_the_clipboard(model: Model) -> None:
    model.press("down")
    model.press("enter")
    assert any("id-of-n1" in line for line in shown(model))
    assert model.clipboard() == "id-of-n1"
    assert "copied id-of-n1" in shown(model)[-1]
    model.press("escape")
    assert model.detail is None


def test_pause_keeps_the_picture(model: Model) -> None:
    model.press("p")
    model.take(sample(9.0, count=50))
    assert model.sample is not None
    assert len(model.sample.members) == 3
    assert "PAUSED" in shown(model)[-1]


def test_trouble_is_told_and_the_last_picture_kept(model: Model) -> None:
    model.trouble = "no daemon answers"
    lines = shown(model)
    assert lines[-1] == "no daemon answers"
    assert any("n0*" in line for line in lines)
    assert shown(Model())[0] == "asking the daemon"


def test_hostile_names_move_no_cursor(model: Model) -> None:
    assert model.sample is not None
    model.sample.members[0]["name"] = "\x1b[2Jevil\x9b"
    assert "".join(shown(model)).isprintable()
    model.press("enter")
    assert "".join(shown(model)).isprintable()


def test_small_things() -> None:
    assert sparkline([0, 1, 2, 4], 6) == "   ▂▄█"
    assert sparkline([0.0], 3) == "   "
    assert [short_bytes(n) for n in (0, 999, 1000, 2.5e6, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 MB",
        "3000.0 GB",
    ]
