"""What a token allows is what the machine that used it may do, and nothing more."""

import pytest
import redis
from mesh_harness import eventually, running_mesh

pytestmark = pytest.mark.e2e


def test_a_sensor_writes_its_own_keys_and_reads_what_it_may() -> None:
    with running_mesh(1) as mesh:
        first = mesh[0]
        first.do("SET", "secret", "plans")
        first.do("SET", "config:rate", "5")
        token = first.must("invite", "--allow", "read:config", "--allow", "write:sensors:").strip()
        sensor = mesh.new("sensor")
        sensor.must("join", token, "--name", "sensor", first.address)
        sensor.start()
        mesh.everyone_alive()

        sensor.do("SET", "sensors:1", "21.5")
        mesh.reads("sensors:1", b"21.5")
        eventually(lambda: sensor.do("GET", "config:rate") == b"5", "it reads what it may")
        for words in (
            ("SET", "config:rate", "0"),
            ("SET", "sensors", "no segment below it"),
            ("SET", "sensorsX:1", "another prefix"),
            ("DEL", "secret"),
            ("RENAME", "sensors:1", "stolen"),
            ("GET", "secret"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                sensor.do(*words)
        with sensor.redis() as client, client.pipeline() as pipe:
            pipe.set("sensors:2", "1").set("secret", "overwritten")
            with pytest.raises(redis.RedisError):
                pipe.execute()
        assert first.do("GET", "secret") == b"plans"
        assert first.do("GET", "config:rate") == b"5"
        assert first.do("EXISTS", "stolen", "sensorsX:1") == 0
        invited = sensor.cli("invite")
        assert invited.returncode == 4, invited.stderr
