"""``gossipnet sim``: the production engine under virtual time and network."""

import argparse
import gc
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from gossipnet.cli.durations import parse_duration
from gossipnet.cli.options import Command
from gossipnet.cli.terminal import put, put_json, say

if TYPE_CHECKING:
    from gossipnet.sim.scenario import Options

NODES_MAX = 10_000
"""More than 1,000 take hours on one core, but for ``--scenario zones``."""


def _count(written: str) -> int:
    return _within(written, 0, 1_000_000)


def _nodes(written: str) -> int:
    return _within(written, 1, NODES_MAX)


def _seed(written: str) -> int:
    return _within(written, 0, (1 << 64) - 1)


def _within(written: str, low: int, high: int) -> int:
    try:
        number = int(written)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from {low} to {high}")
    return number


def _share(written: str) -> float:
    try:
        percent = written.endswith("%")
        share = float(written.rstrip("%")) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 0.9:
        raise argparse.ArgumentTypeError(
            f"{written!r} is not a share from 0 to 0.9: write 0.25 or 25%"
        )
    return share


def _configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--nodes", type=_nodes, default=None, metavar="N", help="machines (default 20)")
    add(
        "--scenario",
        metavar="NAME",
        help="one of those behind the published figures: detect, massacre, kills, loss, starve, "
        "broadcast, zones, heal-30s, heal-10m or heal-48h; beside it only --nodes, --seed, --json "
        "and --plot count",
    )
    add("--plot", metavar="FOLDER", help="with --scenario: draw what was found there, as SVG")
    add("--seed", type=_seed, default=1, metavar="S", help="decides everything (default 1)")
    add(
        "--duration",
        type=parse_duration,
        default=60.0,
        metavar="TIME",
        help="virtual time in all; faults end after 60%% of it (default 60s)",
    )
    add("--writes", type=_count, metavar="N", help="ledger entries in all (default 5 each second)")
    network = parser.add_argument_group("the network")
    network.add_argument("--loss", type=_share, default=0.0, metavar="P", help="of segments")
    network.add_argument(
        "--latency",
        type=parse_duration,
        default=0.025,
        metavar="TIME",
        help="the longest one way; each pair has its own (default 25ms)",
    )
    network.add_argument(
        "--jitter", type=parse_duration, default=0.002, metavar="TIME", help="default 2ms"
    )
    network.add_argument(
        "--duplicate", type=_share, default=0.0, metavar="P", help="gossip messages sent twice"
    )
    faults = parser.add_argument_group("what goes wrong")
    faults.add_argument(
        "--crash",
        type=_count,
        metavar="N",
        help="machines that stop until the end of the faults (default 1, none for a single node)",
    )
    faults.add_argument(
        "--power-loss",
        type=_share,
        default=0.0,
        metavar="P",
        help="share of the crashes in which the machine vanishes and unsynced writes are lost",
    )
    faults.add_argument("--partition", type=_count, default=0, metavar="N", help="partitions")
    faults.add_argument("--pause", type=_count, default=0, metavar="N", help="frozen processes")
    faults.add_argument("--reset", type=_count, default=0, metavar="N", help="links that break")
    faults.add_argument(
        "--skew",
        type=parse_duration,
        default=0.001,
        metavar="TIME",
        help="how wrong clocks are, at most, either way",
    )
    faults.add_argument(
        "--swarm",
        action="store_true",
        help="draw network, faults and load from the seed instead; only --nodes and --seed count",
    )


def _options(arguments: argparse.Namespace) -> "Options":
    from gossipnet.sim.faults import Plan
    from gossipnet.sim.route import (
        Conditions,
    )
    from gossipnet.sim.scenario import WORK_SHARE, Options
    from gossipnet.sim.swarm import draw

    if arguments.swarm:
        return draw(arguments.seed, arguments.nodes)
    crashes = arguments.crash
    if crashes is None:
        crashes = min(1, arguments.nodes - 1)
    writes = arguments.writes
    return Options(
        nodes=arguments.nodes,
        seed=arguments.seed,
        duration=arguments.duration,
        conditions=Conditions(
            latency=(min(0.005, arguments.latency / 2), arguments.latency),
            jitter=arguments.jitter,
            loss=arguments.loss,
            duplicate=arguments.duplicate,
        ),
        plan=Plan(
            crashes=crashes,
            power=arguments.power_loss,
            stay_down=True,
            partitions=arguments.partition,
            pauses=arguments.pause,
            resets=arguments.reset,
        ),
        skew=arguments.skew,
        entries=round(5 * WORK_SHARE * arguments.duration) if writes is None else writes,
        operations=max(1, 200 // arguments.nodes),
    )


def _replay(arguments: argparse.Namespace) -> str:
    """The command that does the same again: every option that is not its default."""
    parser = argparse.ArgumentParser()
    _configure(parser)
    words = ["gossipnet", "sim"]
    for action in parser._actions:
        value = getattr(arguments, action.dest, None)
        if action.dest in ("help",) or value is None:
            continue
        if action.dest not in ("nodes", "seed") and value == action.default:
            continue
        words.append(action.option_strings[0])
        if value is not True:
            words.append(f"{value:g}" if isinstance(value, float) else str(value))
    return shlex.join(words)


def _named(arguments: argparse.Namespace) -> int:
    """One of the scenarios behind the published figures."""
    from gossipnet.errors import UsageError
    from gossipnet.sim.anchors import SCENARIOS
    from gossipnet.sim.plot import svg

    if arguments.scenario not in SCENARIOS:
        raise UsageError(
            f"there is no scenario {arguments.scenario!r}; there are {', '.join(SCENARIOS)}"
        )
    scenario, nodes = SCENARIOS[arguments.scenario]
    gc.disable()
    finding = scenario(arguments.nodes or nodes, arguments.seed)
    if arguments.plot:
        for name, chart in finding.charts.items():
            (Path(arguments.plot) / f"{name}.svg").write_text(svg(chart))
    if arguments.json:
        put_json(finding.as_json())
    else:
        for line in finding.as_text():
            put(line)
    return 0 if finding.met else 1


def _simulate(arguments: argparse.Namespace) -> int:
    from gossipnet.sim.scenario import Simulation

    # Almost nothing that a simulation makes is garbage: looking for it takes a fifth of the time.
    gc.set_threshold(200_000, 20, 100)
    if arguments.scenario:
        return _named(arguments)
    if arguments.nodes is None:
        arguments.nodes = 20
    simulation = Simulation(_options(arguments))
    try:
        report = simulation.run()
    except Exception:
        say(f"the simulated program broke at {simulation.world.now:.6f} s of seed {arguments.seed}")
        say(f"replay with: {_replay(arguments)}")
        raise
    if arguments.json:
        put_json(report.as_json())
    else:
        for line in report.as_text():
            put(line)
    if report.ok:
        return 0
    for check in report.failures:
        say(f"failed: {check.name}: {check.complaint}")
    say(f"seed {arguments.seed}; replay with: {_replay(arguments)}")
    return 1


COMMANDS: dict[str, Command] = {
    "sim": Command(
        _configure,
        _simulate,
        "gossipnet sim --nodes 100 --loss 25%\n"
        "gossipnet sim --nodes 30 --partition 2 --crash 3 --seed 7 --json\n"
        "gossipnet sim --swarm --nodes 5 --seed 1234    whatever this seed brings",
    )
}
