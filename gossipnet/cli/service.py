"""``gossipnet service``: the daemon under systemd, hardened.

Writes one unit file and nothing else; starting it is one command that is told. The unit's text is
data here, so that `deploy/systemd/gossipnet.service` can be compared with it by a test.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from gossipnet.cli.options import Command
from gossipnet.cli.terminal import next_step, put, say
from gossipnet.errors import NotFound, UserError

_NAME = "gossipnet.service"

_SYSTEM = """\
[Unit]
Description=gossipnet: state that machines share with no server
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2s
TimeoutStartSec=120s
TimeoutStopSec=30s
WatchdogSec=30s

# SIGTERM says "back soon" to the other members; `gossipnet leave` signs off for good.
KillSignal=SIGTERM
{where}
LimitNOFILE=65536
LimitCORE=0

# It needs a folder, a TCP port and a Unix socket, and nothing else of the machine.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy={target}
"""

_OWN_USER = """
DynamicUser=yes
StateDirectory=gossipnet
StateDirectoryMode=0700
RuntimeDirectory=gossipnet
RuntimeDirectoryMode=0750
Environment=GOSSIPNET_HOME=/var/lib/gossipnet
Environment=GOSSIPNET_SOCKET=/run/gossipnet/gossipnet.sock
# The first start joins with this one-use token; later starts do not need it:
#   LoadCredential=token:/etc/gossipnet/token
#   ExecStart= with --token-file %d/token
"""


def unit(command: str, *, user: bool, home: Path | None) -> str:
    """The unit's text.

    Args:
      command: The absolute command line that runs the daemon.
      user: For the user's own service manager, on the user's home.
      home: The home folder; None for the system's ``/var/lib/gossipnet``.
    """
    if user:
        where = f'\nEnvironment="GOSSIPNET_HOME={home}"\nReadWritePaths="{home}"\n'
        text = _SYSTEM.format(
            command=command, where=where, protect_home="no", target="default.target"
        )
        # A user's manager may not do these, and would not start the unit.
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(_SYSTEM_ONLY))
    return _SYSTEM.format(
        command=command, where=_OWN_USER, protect_home="yes", target="multi-user.target"
    )


_SYSTEM_ONLY = (
    "Wants=network",
    "After=network",
    "CapabilityBoundingSet",
    "AmbientCapabilities",
    "PrivateDevices",
    "ProtectClock",
    "ProtectKernel",
    "ProtectControlGroups",
    "ProtectHostname",
    "ProtectProc",
    "RemoveIPC",
)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("install", "show", "remove"))
    parser.add_argument(
        "--user", action="store_true", help="for your own login, not for the whole machine"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="write the unit there, not to systemd's folder"
    )


def _execute(arguments: argparse.Namespace) -> int:
    from gossipnet.cli.options import home_of

    home = home_of(arguments).absolute() if arguments.user else None
    if home is not None and not str(home).isprintable():
        raise UserError(f"{str(home)!r} cannot stand in a unit: choose another --home")
    text = unit(_command(), user=arguments.user, home=home)
    if arguments.action == "show":
        put(text.rstrip("\n"))
        return 0
    folder = arguments.to or _folder(arguments.user)
    if arguments.action == "install" and not arguments.user:
        _check_reachable(Path(sys.prefix))
    path = folder / _NAME
    if arguments.action == "remove":
        _remove(path)
        say(f"removed {path}")
        return 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}; --user installs for your login alone"
        ) from None
    say(f"wrote {path}")
    manager = "systemctl --user" if arguments.user else "sudo systemctl"
    next_step(f"{manager} daemon-reload && {manager} enable --now gossipnet", always=True)
    return 0


def _check_reachable(prefix: Path) -> None:
    """The unit hides homes and runs as a user of its own: it could not start a program in one."""
    if prefix.is_relative_to("/root") or prefix.is_relative_to("/home"):
        raise UserError(
            f"the service could not read {prefix}: install gossipnet outside of homes first "
            "(python3 -m venv /opt/gossipnet && /opt/gossipnet/bin/pip install gossipnet), or take "
            "--user"
        )


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        raise NotFound(f"there is no {path}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be removed: {error.strerror}") from None


def _folder(user: bool) -> Path:
    if not user:
        return Path("/etc/systemd/system")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "systemd" / "user"


def _command() -> str:
    """The command line of this very program; an escaped ``%`` is one to systemd."""
    program = shlex.join([sys.executable, "-m", "gossipnet", "run", "--log-format", "text"])
    return program.replace("%", "%%")


COMMANDS = {
    "service": Command(
        _configure,
        _execute,
        "gossipnet service show\n"
        "sudo gossipnet service install\n"
        "gossipnet service install --user     for your login alone",
        json=False,
    )
}
