"""Which commands there are, in the order in which help shows them. Data only, imports nothing."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One command.

    Attributes:
      module: Where it lives under `gossipnet.cli`; loaded only when it is called.
      summary: One line for help.
    """

    module: str
    summary: str


GROUPS: dict[str, dict[str, Entry]] = {
    "Start": {
        "init": Entry("init", "found a mesh and this machine's identity"),
        "run": Entry("run", "run the daemon in the foreground"),
        "service": Entry("service", "have systemd run the daemon"),
        "invite": Entry("invite", "print a token that lets one more machine in"),
        "join": Entry("join", "enter a mesh with a token"),
        "request": Entry("handover", "ask to be let in, by a file carried to an issuer"),
        "sign": Entry("handover", "certify the machine that made a request"),
        "install": Entry("handover", "enter a mesh with the certificate that was carried back"),
        "invites": Entry("invites", "which tokens there are, and whom they let in"),
        "renew": Entry("renew", "have this node's certificate renewed now"),
        "revoke": Entry("revoke", "shut a member out, for good"),
        "root": Entry("root", "the keys that speak for the mesh: show, rotate, sign, import"),
        "leave": Entry("leave", "sign this machine off the mesh"),
    },
    "Look": {
        "members": Entry("mesh", "who is in the mesh, and how they are"),
        "status": Entry("status", "this node's health in a few lines"),
        "top": Entry("top", "a live view of members, links and events"),
        "web": Entry("web", "the same in a browser on this machine, and more"),
        "peers": Entry("mesh", "the links of this node"),
        "owner": Entry("mesh", "which living member a key, job or shard belongs to"),
        "why": Entry("evidence", "why a member is suspected or dead, and who said so"),
        "trace": Entry("evidence", "where the newest write of a key has arrived, and when"),
        "log": Entry("events", "what happened, newest last"),
        "watch": Entry("watch", "changes to keys as they arrive"),
        "wait": Entry("wait", "until the mesh is as a script needs it"),
        "check": Entry("check", "one verdict for a monitoring system"),
        "metrics": Entry("metrics", "numbers for Prometheus, printed, written or served"),
        "doctor": Entry("doctor", "look at what usually goes wrong, and say what to do"),
    },
    "Use": {
        "get": Entry("values", "print the value of a key"),
        "set": Entry("values", "set a key"),
        "del": Entry("values", "delete keys"),
        "incr": Entry("values", "add to a counter"),
        "keys": Entry("values", "list keys"),
        "blob": Entry("blob", "large values: put, get, ls, rm"),
        "call": Entry("call", "send any command to the local socket"),
        "proxy": Entry("proxy", "the local socket over loopback TCP, behind a password"),
        "dns": Entry("dns", "answer DNS questions about members and services"),
        "on": Entry("on", "run a command on each change of a key or event of the mesh"),
        "template": Entry("template", "write a file from keys, again whenever they change"),
        "shell": Entry("shell", "a prompt with history and completion"),
    },
    "Keep": {
        "backup": Entry("backup", "copy this node's state, also while the daemon runs"),
        "restore": Entry("backup", "put a backup back"),
        "export": Entry("exchange", "write all keys as lines of JSON"),
        "import": Entry("exchange", "write the keys of such lines"),
        "verify": Entry("backup", "check every sum, hash and signature of a home or a backup"),
    },
    "Try": {
        "demo": Entry("demo", "three daemons on this machine: watch them agree"),
        "bench": Entry("bench", "measure reads, writes and propagation on your own mesh"),
        "completion": Entry("completion", "completion of words for bash, zsh or fish"),
        "sim": Entry("simulate", "simulate a mesh from one seed"),
        "version": Entry("version", "print the version"),
    },
}

COMMANDS: dict[str, Entry] = {
    name: entry for group in GROUPS.values() for name, entry in group.items()
}
