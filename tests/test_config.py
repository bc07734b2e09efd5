"""Settings: precedence, and every mistake told at once with its place and its remedy."""

from pathlib import Path

import pytest

from gossipnet.config import (
    SOCKET_PATH_LIMIT,
    Settings,
    home_path,
    join_address,
    load,
    split_address,
)
from gossipnet.errors import ConfigError
from gossipnet.resp.pressure import Caps


def refused(home: Path, env: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load({"home": str(home), **flags}, env or {})
    return str(caught.value)


def test_defaults_need_nothing(tmp_path: Path) -> None:
    settings = load({"home": str(tmp_path)}, {})
    assert settings.home == tmp_path
    assert settings.socket == tmp_path / "gossipnet.sock"
    assert settings.listen == "0.0.0.0:7117"
    assert settings.durability == "always"
    assert settings.join == settings.advertise == ()


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'listen = "127.0.0.1:1000"\ndurability = "every-second"\nzone = "file"\n'
        'join = ["one", "two:9"]\n[log]\nlevel = "debug"\n[limits]\nclients = 5\n'
    )
    env = {
        "GOSSIPNET_ZONE": "env",
        "GOSSIPNET_LISTEN": "127.0.0.1:2000",
        "GOSSIPNET_LOG_FORMAT": "json",
    }
    settings = load({"home": str(tmp_path), "listen": "127.0.0.1:3000", "join": None}, env)
    assert settings.listen == "127.0.0.1:3000"
    assert settings.zone == "env"
    assert settings.durability == "every-second"
    assert settings.join == ("one:7117", "two:9")
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert settings.max_clients == 5


def test_no_limit_may_be_above_what_the_protocol_carries(tmp_path: Path) -> None:
    written = {name: str(value) for name, value in Caps()._asdict().items()}
    env = {f"GOSSIPNET_LIMITS_{name.upper()}": value for name, value in written.items()}
    settings = load({"home": str(tmp_path)}, env)
    for name, value in Caps()._asdict().items():
        assert getattr(settings, f"limits_{name}") == value
        assert Settings._field_defaults[f"limits_{name}"] == value
        if name in ("key", "value", "batch", "query_buffer"):
            one_more = {f"GOSSIPNET_LIMITS_{name.upper()}": str(value + 1)}
            assert "the most that the protocol can carry" in refused(tmp_path, one_more)


def test_lists_in_the_environment_are_separated_by_commas(tmp_path: Path) -> None:
    settings = load({"home": str(tmp_path)}, {"GOSSIPNET_JOIN": "a:1, [::1]:2,c"})
    assert settings.join == ("a:1", "[::1]:2", "c:7117")


def test_home_comes_from_flag_then_variable_then_data_folder(tmp_path: Path) -> None:
    env = {"GOSSIPNET_HOME": "/var/g", "XDG_DATA_HOME": "/data"}
    assert home_path(str(tmp_path), env) == tmp_path
    assert home_path(None, env) == Path("/var/g")
    assert home_path(None, {"XDG_DATA_HOME": "/data"}) == Path("/data/gossipnet")
    fallback = Path("~/.local/share/gossipnet").expanduser()
    assert home_path(None, {}) == home_path(None, {"XDG_DATA_HOME": "relative"}) == fallback


def test_relative_paths_start_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('socket = "run/s.sock"\n')
    assert load({"home": str(tmp_path)}, {}).socket == tmp_path / "run/s.sock"
    assert load({"home": str(tmp_path), "socket": "s.sock"}, {}).socket == Path.cwd() / "s.sock"


def test_unknown_key_names_file_line_and_the_right_name(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('# mine\nlistn = "0.0.0.0:7117"\n')
    text = refused(tmp_path)
    assert f"{tmp_path}/config.toml, line 2: listn is not a setting: did you mean listen?" in text


def test_unknown_key_in_a_table_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[log]\nlevl = "info"\n')
    assert "line 2: log.levl is not a setting: did you mean log.level?" in refused(tmp_path)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('durability = "fast"\nlisten = 7117\ncolour = 1\n')
    text = refused(tmp_path, {"GOSSIPNET_ZONE": "x" * 65}, join=["host:99999"])
    assert text.startswith("5 settings are wrong:")
    assert "line 1: durability is 'fast': choose always or every-second" in text
    assert "line 2: listen is not text" in text
    assert "line 3: colour is not a setting: known are listen, advertise" in text
    assert "$GOSSIPNET_ZONE is not a zone" in text
    assert "--join: 'host:99999' is not an address: a port is a number up to 65535" in text


def test_a_slip_in_a_variable_is_refused_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    load(
        {"home": str(tmp_path)},
        {"GOSSIPNET_PORT": "tcp://10.0.0.1:7117", "GOSSIPNET_SERVICE_HOST": "10.0.0.1"},
    )
    text = refused(tmp_path, {"GOSSIPNET_DURABILTY": "always"})
    assert text == "$GOSSIPNET_DURABILTY is not a setting: did you mean $GOSSIPNET_DURABILITY?"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"listen = \n", "is not valid TOML: Invalid value (at line 1"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"advertise = [1]\n", "is not a list of addresses"),
        (b'advertise = ["0.0.0.0:0"]\n', "cannot be dialled"),
        (b"socket = 3\n", "is not a path"),
        (b"limits.key = 65537\n", "limits.key is 65537: give 1 byte to 64 KiB, the most that the"),
        (b"limits.value = '2MiB'\n", "limits.value is '2MiB': give 1 byte to 1 MiB, the most"),
        (b"limits.batch = 10\n", "limits.batch is 10: give 1 KiB to 1 MiB, the most that the"),
        (b"limits.query_buffer = 1\n", "limits.query_buffer is 1: give 64 KiB to 1 MiB"),
        (b"limits.output_buffer = 1\n", "limits.output_buffer is 1: give 1 MiB to 1 GiB"),
        (b"limits.memory = '1MiB'\n", "is '1MiB': a node needs 64 MiB at least; 0 sets no limit"),
        (b"[limits]\nmemroy = 1\n", "limits.memroy is not a setting: did you mean limits.memory?"),
        (b"[limits]\nclients = true\n", "limits.clients is True: give a whole number"),
        (b"[log]\nlevel = 'warn'\n", "did you mean warning?"),
    ],
)
def test_bad_files_are_told_apart(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    text = refused(tmp_path)
    assert message in text
    assert str(tmp_path / "config.toml") in text


def test_a_socket_path_that_the_system_cannot_take_is_told(tmp_path: Path) -> None:
    text = refused(tmp_path, socket="/tmp/" + "s" * SOCKET_PATH_LIMIT)
    assert f"the system allows {SOCKET_PATH_LIMIT}" in text
    assert "--socket" in text


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:7200", "127.0.0.1", 7200),
        ("[::1]:7117", "::1", 7117),
        ("[fe80::1%eth0]:9", "fe80::1%eth0", 9),
        ("::1", "::1", 7117),
        ("atlas.lan", "atlas.lan", 7117),
        (":7200", "", 7200),
    ],
)
def test_addresses(written: str, host: str, port: int) -> None:
    assert split_address(written) == (host, port)
    assert split_address(join_address(host, port)) == (host, port)


@pytest.mark.parametrize(
    "written", ["a:b", "[::1", "[::1]7", "a b:1", "x" * 254, "a:-1", "a:123456", "h\x1b:1", "7117"]
)
def test_what_is_not_an_address(written: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        split_address(written)
