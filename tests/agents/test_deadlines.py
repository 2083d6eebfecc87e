"""The deadline index of a partition: due in order, gone with an abort, rebuilt from the tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.agents.deadlines import NEVER, Deadlines
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Transfer
from streams.ledger.rows import HoldRow, ParkedRow, Position
from streams.ledger.state import Due
from streams.ledger.vocabulary import Input


def hold(expires: int, open: int = 10, closing: bool = False) -> HoldRow:
    return HoldRow(1, "a", None, "EUR", 10, open, 10 - open, 0, 0, expires, closing)


def parked(id_: bytes, deadline: int) -> ParkedRow:
    intent = Transfer("a", "k", "b", 1, "EUR", sequence=3)
    return ParkedRow(id_, intent, Position(Input.INTENTS, 0, 1), deadline)


A, B, C = sorted(transfer_id("a", key) for key in "abc")


def test_deadlines_come_in_order_of_time_then_id() -> None:
    """Two deadlines of one instant run in the order of their ids, so that a replay decides the same."""
    index = Deadlines()
    index.hold(B, hold(100))
    index.park("a", 3, parked(A, 100))
    index.hold(C, hold(50))
    assert [(d.deadline, d.id, d.sequence) for d in index.due(100, 10)] == [(50, C, None), (100, A, 3), (100, B, None)]
    assert [d.id for d in index.due(100, 2)] == [C, A]
    assert index.due(49, 10) == ()


def test_only_a_closing_hold_has_no_deadline() -> None:
    """Its expiry has been written. One that is captured whole still expires, lest a refusal reopen it."""
    index = Deadlines()
    index.hold(A, hold(100))
    index.hold(B, hold(100, open=0))
    index.hold(C, hold(100, closing=True))
    index.commit()
    assert [d.id for d in index.due(100, 10)] == [A, B]
    index.hold(B, None)
    index.hold(A, hold(100, closing=True))
    assert list(index.due(1000, 10)) == []


def test_an_aborted_batch_leaves_no_deadline_and_takes_none_away() -> None:
    """An abort gives back exactly what was there before the batch."""
    index = Deadlines()
    index.hold(A, hold(100))
    index.commit()
    index.hold(A, None)
    index.hold(B, hold(50))
    assert [d.id for d in index.due(200, 10)] == [B]
    index.abort()
    assert [d.id for d in index.due(200, 10)] == [A]
    assert index.earliest == 100


def test_a_restored_index_equals_the_one_that_was_built_step_by_step() -> None:
    """A restart changes nothing about what falls due."""
    index = Deadlines()
    index.restore([(A, hold(70)), (B, hold(60, closing=True))], [(("a", 4), parked(C, 65))])
    assert list(index.due(70, 10)) == [Due(65, C, "a", 4), Due(70, A, "a", None)]
    assert Deadlines().earliest == NEVER


Changes = st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))), max_size=8)


@given(st.lists(st.tuples(Changes, st.booleans()), max_size=8), st.integers(0, 25), st.integers(1, 5))
def test_the_index_gives_what_a_plain_dictionary_gives(
    batches: list[tuple[list[tuple[int, int | None]], bool]], time: int, limit: int
) -> None:
    """Whatever commits and aborts came before, due() is the sorted list of the committed and present deadlines."""
    index, truth = Deadlines(), dict[bytes, int]()
    for changes, commits in batches:
        inside = dict(truth)
        for number, deadline in changes:
            id_ = bytes([number]) * 16
            index.hold(id_, None if deadline is None else hold(deadline))
            inside.pop(id_, None)
            if deadline is not None:
                inside[id_] = deadline
            wanted = sorted((when, name) for name, when in inside.items() if when <= time)[:limit]
            assert [(d.deadline, d.id) for d in index.due(time, limit)] == wanted
        if commits:
            truth = inside
            index.commit()
        else:
            index.abort()
        assert index.earliest == min(truth.values(), default=NEVER)
