"""Other users of the machine: shut out of the owner's socket, readers on the second, no TCP."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from mesh_harness import running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e

NOBODY = 65_534


def as_nobody(path: Path, request: bytes) -> bytes:
    """What a process of another user is answered on a socket, or its error's name."""
    code = (
        "import os,socket,sys\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "s=socket.socket(socket.AF_UNIX)\n"
        "try:\n"
        " s.connect(sys.argv[1]); s.sendall(bytes.fromhex(sys.argv[2])); print(s.recv(4096))\n"
        "except OSError as e: print(type(e).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(path), request.hex()],
        capture_output=True,
        timeout=30,
        cwd="/",
        check=True,
    )
    return done.stdout


def listening_tcp(pid: int) -> list[str]:
    """Local addresses of the TCP sockets that a process listens on (proc(5))."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.append(words[1])
    return found


def test_another_user_reads_on_the_second_socket_and_nowhere_else() -> None:
    need(os.geteuid() == 0 and sys.platform == "linux", "only root can act as another user")
    with running_mesh() as mesh, tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        second = Path(folder) / "read.sock"
        daemon = mesh.new()
        daemon.must("init", "test", "--name", "node0", "--no-passphrase")
        daemon.home.joinpath("config.toml").write_text(
            f'readonly_socket = "{second}"\nreadonly_mode = "0666"\n'
        )
        daemon.start()
        daemon.do("SET", "k", "v")
        assert second.stat().st_mode & 0o777 == 0o666
        assert as_nobody(daemon.socket, b"PING\r\n") == b"PermissionError\n"
        assert as_nobody(second, b"GET k\r\n") == b"b'$1\\r\\nv\\r\\n'\n"
        assert b"-NOPERM this socket only reads" in as_nobody(second, b"SET k x\r\n")
        assert b"-NOPERM" in as_nobody(second, b"GOSSIP INVITE\r\n")
        assert daemon.do("GET", "k") == b"v"
        told = json.loads(daemon.must("call", "--json", "GOSSIP", "AUDIT"))["reply"]
        seen = {(row["uid"], bool(row["readonly"])) for row in told["connections"]}
        assert (NOBODY, True) in seen
        assert "client-refused" in daemon.tail()

        # Nothing but the port for links listens on TCP, and clients get no answer there.
        assert daemon.process is not None
        assert listening_tcp(daemon.process.pid) == [f"0100007F:{daemon.port:04X}"]
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
            client.sendall(b"*1\r\n$4\r\nPING\r\n")
            assert client.recv(16) == b""
        assert daemon.stop() == 0
        assert not second.exists()


def test_no_core_file_holds_keys() -> None:
    need(sys.platform == "linux", "prctl and /proc are Linux's")
    # PR_GET_DUMPABLE (prctl(2)): without it no core is handed to a pipe either, and no other
    # process of this user can look into this one's memory.
    code = (
        "import ctypes; from gossipnet.daemon import seal_process; seal_process();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert asked.stdout == b"0\n"
    with running_mesh() as mesh:
        daemon = mesh.found()
        assert daemon.process is not None
        pid = daemon.process.pid
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[-3:-1] == ["0", "0"]
