"""``gossipnet demo``: three real daemons on this machine agree, one is killed and catches up.

Every command is shown before its result, and it is the very command that runs, so that watching the
demo is learning to do without it. What is claimed is checked; the first thing that does not hold
ends the demo with the daemons' logs and exit code 1.
"""

import argparse
import contextlib
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from gossipnet.cli.demo_ground import interruptible
from gossipnet.cli.demo_machines import Machine, Machines, StepFailed
from gossipnet.cli.options import Command
from gossipnet.cli.terminal import colour, next_step, put_json, say

_ADDS = 100
_MORE = 42
_BACK_AFTER_SECONDS = 5.0
_LOOK_SECONDS = 0.1

_COMMENTS = {
    "found": "A mesh begins on one machine. Its keys never leave it.",
    "invite": "A token lets one machine in, once. Any member's address will do to use it.",
    "relay": "The third one asks the second one, which passes it on: there is no server.",
    "see": "Everyone knows everyone.",
    "write": "Write on one machine. The local socket is spoken to as Redis is.",
    "read": "Read on the others: a read never leaves the machine.",
    "count": f"All three add {_ADDS} to one counter, at the same time, without asking each other.",
    "sum": "Nothing was lost, and all three show the same sum.",
    "kill": "Kill one of them, without warning.",
    "go on": "The others go on writing: there is no quorum to lose.",
    "notice": "They notice, and agree on it.",
    "return": "Start it again. It needs no token: it is a member.",
    "caught up": "It reads what was written while it was dead.",
    "alive": "And everyone sees everyone again.",
}


class Stage:
    """What the audience sees, and how long each step took.

    Attributes:
      steps: Rows ``{"step", "ok", "seconds"}`` of the steps begun so far.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._to_stderr = as_json
        self.steps: list[dict[str, object]] = []

    def tell(self, text: str = "", tint: str | None = None) -> None:
        """One line."""
        stream = sys.stderr if self._to_stderr else sys.stdout
        print(colour(text, tint, stream) if tint and text else text, file=stream, flush=True)

    def comment(self, name: str) -> None:
        """A remark for learners."""
        self.tell(f"# {_COMMENTS[name]}", "dim")

    def command(self, words: Sequence[str], after: str = "") -> None:
        """A command that is about to run."""
        self.tell(f"$ {shlex.join(words)}{after}", "bold")

    def result(self, text: str) -> None:
        """What a command said."""
        for line in text.rstrip("\n").splitlines():
            self.tell(line)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step: timed, and named if it fails."""
        began = time.monotonic()
        row: dict[str, object] = {"step": name, "ok": False}
        self.steps.append(row)
        self.tell()
        self.tell(f"=== {len(self.steps)}. {name}", "green")
        try:
            yield
            row["ok"] = True
        finally:
            row["seconds"] = round(time.monotonic() - began, 3)


class Story:
    """The steps, in order, on three machines."""

    def __init__(self, machines: Machines, stage: Stage, *, redis_cli: bool) -> None:
        self.machines = machines
        self.stage = stage
        self._redis_cli = redis_cli
        self.first, self.second, self.third = machines

    def tell(self) -> None:
        """Everything. Raises StepFailed when something does not hold."""
        stage = self.stage
        with stage.step("found a mesh"):
            stage.comment("found")
            self._show("gossipnet", "init", "demo", *self._named(self.first), "--no-passphrase")
            self._start(self.first)
        with stage.step("let two more machines in"):
            stage.comment("invite")
            self._enter(self.second, through=self.first)
            stage.comment("relay")
            self._enter(self.third, through=self.second)
            stage.comment("see")
            self._everyone_alive()
        with stage.step("write on one, read on the others"):
            self._write_and_read()
        with stage.step("count on all three at the same time"):
            self._count()
        with stage.step("kill one, and go on"):
            self._kill()
        with stage.step("bring it back"):
            self._bring_back()

    def _named(self, machine: Machine) -> tuple[str, ...]:
        return "--name", machine.name, "--home", machine.name

    def _show(self, *words: str) -> str:
        """Show a command, run it, show and return what it said."""
        self.stage.command(words)
        said, _ = self.machines.run(words)
        self.stage.result(said)
        return said

    def _call(self, machine: Machine, *words: str) -> list[str]:
        """Words that send a command to a machine's local socket."""
        if self._redis_cli:
            return ["redis-cli", "-s", machine.socket, *words]
        return ["gossipnet", "call", "--home", machine.name, *words]

    def _start(self, machine: Machine) -> None:
        self.stage.command(machine.run_words, f" 2>> {machine.log.name} &")
        again = bool(machine.log_lines())
        lines = self.machines.start(machine)
        for line in lines[-1:] if again or machine is not self.first else lines:
            self.stage.tell(line)

    def _enter(self, machine: Machine, through: Machine) -> None:
        invite = ["gossipnet", "invite", "--home", self.first.name]
        self.stage.command(invite)
        token, talk = self.machines.run(invite, together=False)
        token = token.strip()
        short = f"{token[:12]}...{token[-12:]}"  # it is long, and begins like every other
        self.stage.result(short)
        self.stage.result(talk)
        join = ["gossipnet", "join", token, *self._named(machine), through.address]
        self.stage.tell(f"$ {shlex.join(join).replace(token, short)}", "bold")
        said, _ = self.machines.run(join)
        self.stage.result(said)
        self._start(machine)

    def _states(self, machine: Machine) -> dict[str, str]:
        with machine.client() as client:
            return {row["name"]: row["state"] for row in client.members()}

    def _everyone_alive(self) -> None:
        wanted = {machine.name: "alive" for machine in self.machines}
        for machine in self.machines:

            def sees_all(machine: Machine = machine) -> bool:
                seen = self._states(machine)
                if seen != wanted:
                    raise StepFailed(f"{machine.name} sees {seen}")
                return True

            self.machines.eventually(sees_all, f"{machine.name} sees all three alive")
        self._show("gossipnet", "members", "--home", self.third.name)

    def _comes_to_read(self, machine: Machine, key: str, value: str) -> None:
        """Wait for a value, then show that it is there."""

        def reads() -> bool:
            with machine.client() as client:
                seen = client.get(key)
            if seen != value.encode():
                raise StepFailed(f"{seen!r}")
            return True

        self.machines.eventually(reads, f"{machine.name} reads {value!r} at {key}")
        said = self._show(*self._call(machine, "GET", key))
        if said.rstrip("\n") != value:
            raise StepFailed(f"{machine.name} read {value!r} at {key}, and then {said!r}")

    def _write_and_read(self) -> None:
        self.stage.comment("write")
        self._show(*self._call(self.first, "SET", "greeting", "hello from atlas"))
        self.stage.comment("read")
        for machine in (self.second, self.third):
            self._comes_to_read(machine, "greeting", "hello from atlas")

    def _count(self) -> None:
        self.stage.comment("count")
        commands = [self._adding(machine) for machine in self.machines]
        for words in commands:
            self.stage.command(words, " &")
        self.stage.command(["wait"])
        outputs = self.machines.run_at_once(commands)
        last = [said.split()[-1] for said in outputs if said.split()]
        self.stage.tell(f"# their last answers, each knowing a part: {', '.join(last)}", "dim")
        self.stage.comment("sum")
        for machine in self.machines:
            self._comes_to_read(machine, "visits", str(len(commands) * _ADDS))

    def _adding(self, machine: Machine) -> list[str]:
        if self._redis_cli:  # -r repeats: a hundred commands, each durable before its answer
            return ["redis-cli", "-s", machine.socket, "-r", str(_ADDS), "INCR", "visits"]
        return self._call(machine, "INCRBY", "visits", str(_ADDS))

    def _kill(self) -> None:
        self.stage.comment("kill")
        process = self.third.process
        self.stage.command(["kill", "-9", str(process.pid if process else 0)], "   # cedar")
        self.machines.kill(self.third)
        killed = time.monotonic()
        self.stage.comment("go on")
        self._show(*self._call(self.first, "SET", "news", "written while cedar was dead"))
        self._show(*self._call(self.second, "INCRBY", "visits", str(_MORE)))
        self.stage.comment("notice")
        for machine in (self.first, self.second):

            def knows(machine: Machine = machine) -> bool:
                state = self._states(machine).get(self.third.name)
                if state != "dead":
                    raise StepFailed(f"{machine.name} calls it {state}")
                return True

            self.machines.eventually(knows, f"{machine.name} calls {self.third.name} dead")
        after = time.monotonic() - killed
        self.stage.tell(f"# known to both after {after:.1f} s", "dim")
        self._show("gossipnet", "members", "--home", self.first.name)

    def _bring_back(self) -> None:
        self.stage.comment("return")
        began = time.monotonic()
        self._start(self.third)
        self.stage.comment("caught up")
        total = str(3 * _ADDS + _MORE)
        self._comes_to_read(self.third, "news", "written while cedar was dead")
        self._comes_to_read(self.third, "visits", total)
        after = time.monotonic() - began
        self.stage.tell(f"# started, caught up and shown within {after:.1f} s", "dim")
        self._comes_to_read(self.third, "greeting", "hello from atlas")
        for machine in (self.first, self.second):
            self._comes_to_read(machine, "visits", total)
        self.stage.comment("alive")
        self._everyone_alive()


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--once", action="store_true", help="end after the last step; exit code 0 if all of it held"
    )


def _execute(arguments: argparse.Namespace) -> int:
    stage = Stage(as_json=arguments.json)
    with interruptible(), Machines(("atlas", "birch", "cedar"), os.environ) as machines:
        redis_cli = has_redis_cli()
        stage.tell("Three machines, atlas, birch and cedar, each a process with a home of its own.")
        if not redis_cli:
            stage.tell("(redis-cli is not installed; `gossipnet call` does its part)")
        stage.command(["cd", str(machines.folder)])
        try:
            Story(machines, stage, redis_cli=redis_cli).tell()
        except StepFailed as failure:
            for line in machines.tails():
                say(line)
            if arguments.json:
                put_json({"held": False, "steps": stage.steps})
            step = f"step {len(stage.steps)}, {stage.steps[-1]['step']}"
            raise StepFailed(f"the demo failed at {step}: {failure}") from None
        stage.tell()
        stage.tell("All of it held.", "green")
        if arguments.json:
            put_json({"held": True, "steps": stage.steps})
        if not arguments.once:
            _keep_running(machines, stage, redis_cli=redis_cli)
    next_step("gossipnet init   founds a mesh of your own")
    return 0


def has_redis_cli() -> bool:
    """Whether a redis-cli is there that works."""
    if shutil.which("redis-cli") is None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = ["redis-cli", "--version"]  # of the user's own PATH, as the demo shows it
        done = subprocess.run(words, capture_output=True, timeout=10, check=False)  # noqa: S603
        return done.returncode == 0
    return False


def _keep_running(machines: Machines, stage: Stage, *, redis_cli: bool) -> None:
    """Leave the mesh to the person, until Ctrl-C; a daemon that ends comes back after a while."""
    first, second, third = machines
    pid = third.process.pid if third.process else 0
    stage.tell()
    stage.tell("The mesh runs on until Ctrl-C. In another terminal:")
    stage.tell()
    if sys.prefix != sys.base_prefix:
        path = os.path.join(sys.prefix, "bin")
        stage.tell(f"  export PATH={shlex.quote(path)}:$PATH")
    stage.tell(f"  cd {shlex.quote(str(machines.folder))}")
    hints = [
        (f"gossipnet watch --home {first.name}", "changes, live; leave it open"),
        (f"gossipnet set --home {second.name} colour blue", "on one machine"),
        (f"gossipnet get --home {third.name} colour", "on another"),
        (f"gossipnet members --home {first.name}", ""),
        (f"gossipnet log --home {first.name}", "what happened so far"),
        (f"kill -9 {pid}", f"{third.name}; it comes back by itself after 5 s"),
    ]
    if redis_cli:
        hints.insert(0, (f"redis-cli -s {first.socket}", "a prompt"))
    width = max(len(command) for command, _ in hints)
    for command, remark in hints:
        stage.tell(f"  {command:<{width}}  {f'# {remark}' if remark else ''}".rstrip())
    with contextlib.suppress(KeyboardInterrupt):
        _attend(machines, stage)
    stage.tell()
    stage.tell("Stopping the daemons and removing their folder.")


def _attend(machines: Machines, stage: Stage) -> None:
    """Start again, a while later, whatever daemon a curious person has ended."""
    due: dict[str, float] = {}
    while True:
        for machine in machines:
            if not machine.ended():
                continue
            if machine.name not in due:
                machine.expected = False
                due[machine.name] = time.monotonic() + _BACK_AFTER_SECONDS
                stage.tell(f"{machine.name} {machine.how_it_ended()}; it comes back in 5 s")
            elif time.monotonic() >= due[machine.name]:
                del due[machine.name]
                try:
                    stage.tell(machines.start(machine)[-1])
                except StepFailed as failure:
                    machine.expected, due[machine.name] = False, math.inf
                    stage.tell(f"{machine.name} does not come back: {failure}")
        time.sleep(_LOOK_SECONDS)


COMMANDS = {
    "demo": Command(
        _configure,
        _execute,
        "gossipnet demo            then play with it until Ctrl-C\n"
        "gossipnet demo --once     ends by itself; exit code 0 if all of it held",
    )
}
