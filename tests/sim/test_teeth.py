"""The checks have teeth: each planted fault is found within a few seeds, by the check meant for it.

A simulator that finds nothing may be simulating nothing. Here the program is broken on purpose, one
line at a time, and the same runs that pass unbroken must fail.
"""

import itertools

import pytest

from gossipnet.protocol import judgement
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.detection import Detection
from gossipnet.protocol.effects import Committed
from gossipnet.protocol.engine import Engine
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.sync import Sync
from gossipnet.sim.disk import Disk
from gossipnet.sim.machine import Machine
from gossipnet.sim.scenario import Simulation
from gossipnet.sim.swarm import draw
from gossipnet.sim.workload import UNIQUE
from gossipnet.state.clock import HybridClock
from gossipnet.state.core import Core
from gossipnet.state.operations import Increment, SetAdd
from gossipnet.state.replica import Replica

SEEDS = 30


def disk_says_done_too_early(patch):
    def commit(self, effect):
        self._pending.append(effect)
        self._world.after(0.0, self._deliver, Committed(effect.number))
        self._world.after(0.5, self._begin, self._life)

    patch.setattr(Disk, "commit", commit)


def own_records_leave_before_their_commit(patch):
    flush = Commits.flush

    def early(self):
        flush(self)
        for number, records in list(self._own):
            if number > getattr(self, "pushed", 0):
                self.pushed = number
                self.durable(records)

    patch.setattr(Commits, "flush", early)
    disk_is_slow(patch)


def disk_is_slow(patch):
    begin = Disk._begin

    def slow(self, life):
        self._fsync = (0.3, 0.6)
        begin(self, life)

    patch.setattr(Disk, "_begin", slow)


def epoch_is_kept_after_a_power_failure(patch):
    stop = Machine._stop

    def forgetful(self, *, power):
        epoch = self.disk.meta.get("epoch")
        stop(self, power=power)
        if epoch is not None and self.process is None:
            self.disk.meta["epoch"] = epoch

    patch.setattr(Machine, "_stop", forgetful)
    # Without this the node learns in time that others have more of its log than it does.
    patch.setattr(Engine, "_on_greeted", lambda self, link, hello: None)


def some_additions_are_forgotten(patch):
    apply = Core.apply
    count = itertools.count()

    def forgetful(self, operation, table, seq, place):
        if isinstance(operation, SetAdd) and next(count) % 50 == 0:
            return
        apply(self, operation, table, seq, place)

    patch.setattr(Core, "apply", forgetful)


def some_increments_count_twice(patch):
    apply = Core.apply
    count = itertools.count()

    def twice(self, operation, table, seq, place):
        apply(self, operation, table, seq, place)
        if isinstance(operation, Increment) and next(count) % 40 == 0:
            place += 1
            apply(self, operation, table, seq, place)

    patch.setattr(Core, "apply", twice)


def ties_go_to_whoever_was_met_first(patch):
    patch.setattr(Core, "order_of", lambda self, dot: (0, (dot >> 56).to_bytes(8, "big")))


def gaps_are_skipped(patch):
    """A record is applied without those it names."""
    import gossipnet.state.replica as module

    decode = module.decode_body_untrusted

    def take(self, arrived, body, known, wall, outcome):
        head = 0 if known is None else known.head
        if known is not None and arrived.seq == head + 1 and body is None:
            real = decode(arrived.body)
            named = [self.logs.by_id.get(log) for log, _seq in real.logs]
            if all(log is not None for log in named):
                log = known
                outcome.applied.append(module.AppliedRecord(arrived.log, arrived.seq, arrived.data))
                return self._apply(arrived, real, log)
        return original(self, arrived, body, known, wall, outcome)

    original = Replica._take
    patch.setattr(Replica, "_take", take)


def nothing_is_ever_pulled(patch):
    patch.setattr(Sync, "_pull", lambda self, link, wanted: None)
    patch.setattr(Sync, "missing", lambda self, link, ranges, delay: None)


def nobody_dials_the_lost(patch):
    patch.setattr(Overlay, "_seek_lost", lambda self: None)
    patch.setattr(Overlay, "_seek_neighbours", lambda self: None)


def nobody_is_ever_declared_dead(patch):
    patch.setattr(Judgement, "declare", lambda self, member, why: None)


def one_impatient_accuser_is_a_judge(patch):
    patch.setattr(Detection, "_patience", lambda self, link: 0.6)
    patch.setattr(judgement, "WINDOW_SILENCE", 0.0)
    patch.setattr(Judgement, "_majority", lambda self, held: True)
    patch.setattr(Judgement, "linked", lambda self, node: False)


def timers_never_rest(patch):
    deadline = Engine.deadline
    patch.setattr(Engine, "deadline", lambda self: min(deadline(self), 5.0))


def stamps_go_back(patch):
    patch.setattr(HybridClock, "tick", lambda self, wall_ms: wall_ms << 16)


def keys_are_written_behind_the_log(patch):
    """A local read changes state: what no record says is on one replica only."""
    ticket = Engine.ticket
    count = itertools.count()

    def impatient(self):
        if next(count) % 60 == 0 and UNIQUE in self.keyspace.entries:
            self.keyspace.entries.pop(UNIQUE)
        return ticket(self)

    patch.setattr(Engine, "ticket", impatient)


DIVERGED = "always_equal_vectors_have_equal_state"
LEDGER = "always_ledger_is_consistent"
PROTOCOL = "always_honest_peers_keep_the_protocol"
EQUAL = "eventually_equal_after_healing"
FORMED = "eventually_formed"
LOST = "finally_no_acknowledged_write_is_lost"

MUTANTS = {
    disk_says_done_too_early: {LOST, EQUAL, PROTOCOL},
    own_records_leave_before_their_commit: {PROTOCOL, LOST, EQUAL, DIVERGED},
    epoch_is_kept_after_a_power_failure: {PROTOCOL, EQUAL, DIVERGED},
    some_additions_are_forgotten: {DIVERGED, LEDGER, LOST},
    some_increments_count_twice: {DIVERGED, LOST},
    ties_go_to_whoever_was_met_first: {DIVERGED},
    gaps_are_skipped: {DIVERGED, LEDGER, PROTOCOL, LOST},
    nothing_is_ever_pulled: {EQUAL, FORMED},
    nobody_dials_the_lost: {EQUAL, FORMED},
    nobody_is_ever_declared_dead: {"always_crashes_are_known"},
    one_impatient_accuser_is_a_judge: {"always_no_false_death"},
    timers_never_rest: {"always_timers_rest"},
    stamps_go_back: {PROTOCOL},
    keys_are_written_behind_the_log: {DIVERGED, LEDGER, LOST},
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_planted_fault_is_found(mutant, monkeypatch):
    mutant(monkeypatch)
    for seed in range(SEEDS):
        options = draw(seed, 5, 100)
        options.plan.crashes = max(options.plan.crashes, 3)
        options.entries = max(options.entries, 60)
        if mutant is nobody_is_ever_declared_dead:
            options.plan.stay_down, options.duration = True, 60.0
        report = Simulation(options).run()
        found = {check.name for check in report.failures}
        if found:
            assert found & MUTANTS[mutant], (seed, report.failures)
            return
    pytest.fail(f"{SEEDS} seeds did not find it")
