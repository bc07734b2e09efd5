"""Whether a record's operations can be applied at all, before any of them is.

A record is applied whole or not at all, and what an operation says it has seen must lie within what
its record says it depends on: else replicas with different heads would apply it differently.
"""

from math import isnan

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.body import (
    Body,
)
from gossipnet.state.operations import (
    KEYLESS,
    STEPS_AND_VALUES,
    AnyOperation,
    Checkpoint,
    Dots,
    ElementRef,
    Endorse,
    GroupAck,
    GroupCreate,
    GroupDestroy,
    HashIncrement,
    Increment,
    ListInsert,
    ListRemove,
    ListSet,
    OpenLog,
    PathRefs,
    Renew,
    ScoreIncrement,
    ScoreSet,
    SeenRefs,
    SketchAdd,
    StreamAdd,
    StreamTop,
)
from gossipnet.state.record import Record
from gossipnet.state.types import loglog
from gossipnet.state.types.number import from_wire
from gossipnet.state.types.places import OFFSET_MAX


def check_operations(body: Body, record: Record) -> None:
    """Refuse what no honest author writes.

    Raises:
      RemoteProtocolError: ``bad-record``.
    """
    heads = [record.seq, *(seq for _log, seq in body.logs)]
    names = [log for log, _seq in body.logs]
    if len(set(names)) != len(names) or record.log in names:
        raise RemoteProtocolError("bad-record", "names a log twice")
    for place, operation in enumerate(body.operations):
        if isinstance(operation, OpenLog):
            if place or record.seq != 1:
                raise RemoteProtocolError("bad-record", "opens a log in its midst")
        elif isinstance(operation, Checkpoint | Endorse):
            if not all(isinstance(other, KEYLESS) for other in body.operations):
                raise RemoteProtocolError("bad-record", "a checkpoint among other operations")
            if isinstance(operation, Checkpoint):
                _check_checkpoint(operation)
        elif not isinstance(operation, Renew):
            _check(operation, heads, record.seq, place)
        elif place:  # one at most: each costs signatures
            raise RemoteProtocolError("bad-record", "renews in its midst")


def _check_checkpoint(operation: Checkpoint) -> None:
    logs = [log for log, _seq, _hash in operation.heads]
    if logs != sorted(set(logs)) or operation.excused != sorted(set(operation.excused)):
        raise RemoteProtocolError("bad-record", "a checkpoint that is not in order")


def _check(operation: AnyOperation, heads: list[int], own: int, place: int) -> None:
    if isinstance(operation, Increment | HashIncrement):
        if from_wire(operation.by) is None:
            raise RemoteProtocolError("bad-record", "not a number")
        return
    if isinstance(operation, ScoreIncrement):
        if isnan(operation.by):
            raise RemoteProtocolError("bad-record", "not a number")
        return
    if isinstance(operation, ListInsert):
        _check_path(operation.path, heads)
        if operation.path[-1][1] != 0:
            raise RemoteProtocolError("bad-record", "inserts at another author's place")
        if operation.path[-1][2] + len(operation.values) - 1 > OFFSET_MAX:
            # Nobody could name such an element: whoever removed it would write an unsound record.
            raise RemoteProtocolError("bad-record", "inserts beyond the last place")
        steps = len(operation.path)
        if steps > 1 and steps * len(operation.values) > STEPS_AND_VALUES:
            raise RemoteProtocolError("bad-record", "inserts too much in one deep place")
        return
    if isinstance(operation, StreamAdd | StreamTop | GroupAck | GroupCreate | GroupDestroy):
        _check_stream(operation, heads)
        return
    if isinstance(operation, SketchAdd):
        _check_seen(operation.begun, heads)
        if not loglog.sound(operation.hits):
            raise RemoteProtocolError("bad-record", "no register of a HyperLogLog")
        return
    assert not isinstance(operation, KEYLESS)
    _check_seen(operation.seen, heads)
    if isinstance(operation, ListSet):
        _check_element(operation.element, heads, own, place)
    if isinstance(operation, ListRemove):
        for first, last in operation.spans:
            _check_element(first, heads, own, place)
            if last is not None:
                _check_element(last, heads, own, place)
    if isinstance(operation, ScoreSet) and any(isnan(score) for _name, score in operation.pairs):
        raise RemoteProtocolError("bad-record", "a score that is no number")


def _check_stream(
    operation: StreamAdd | StreamTop | GroupAck | GroupCreate | GroupDestroy, heads: list[int]
) -> None:
    if isinstance(operation, StreamAdd):
        ids = [entry[:2] for entry in operation.entries]
        if len(set(ids)) != len(ids) or any(len(fields) % 2 for *_id, fields in operation.entries):
            raise RemoteProtocolError("bad-record", "entries that no stream can have")
    if isinstance(operation, GroupCreate | GroupDestroy):
        _check_seen(operation.seen, heads)
    if isinstance(operation, GroupCreate):
        _check_seen(operation.generations, heads)
    if isinstance(operation, GroupAck):
        _check_seen(operation.created, heads)


def _check_path(path: PathRefs, heads: list[int]) -> None:
    if any(ref >= len(heads) for _number, ref, _offset in path):
        raise RemoteProtocolError("bad-record", "names a log outside its table")


def _check_element(name: ElementRef, heads: list[int], own: int, place: int) -> None:
    path, seq, within = name
    _check_path(path, heads)
    ref = path[-1][1]
    # An element that this record itself inserts later on could be there before it is inserted.
    if seq > heads[ref] or (ref == 0 and (seq, within) >= (own, place)):
        raise RemoteProtocolError("bad-record", "names an element that it does not depend on")


def _check_seen(seen: SeenRefs | Dots, heads: list[int]) -> None:
    for ref, seq, *_place in seen:
        if ref >= len(heads) or seq > heads[ref]:
            raise RemoteProtocolError("bad-record", "has seen what it does not depend on")
