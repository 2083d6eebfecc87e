"""Holds, captures, releases and expiry. ``World`` checks open + capturing + captured + released = amount each time."""

from __future__ import annotations

import pytest

from streams.ledger.decision import LegCannotBeApplied
from streams.ledger.intents import Capture, Close, Configure, Freeze, Hold, Release
from streams.ledger.journal import Figures
from streams.ledger.vocabulary import Kind, LegKind, Outcome
from tests.ledger.world import DAY, SECOND, World, id_of

HOLD = Hold("ann", "hold", 600, "EUR", "bob", expires_in_seconds=100)
ID = id_of(HOLD)


@pytest.fixture
def world() -> World:
    """Ann has 1,000, of which 600 are held for Bob for 100 seconds."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    world.applied(HOLD)
    return world


def capture(amount: int | None = None, key: str = "capture", payee: str | None = None) -> Capture:
    """A capture of the hold."""
    return Capture("ann", key, ID, amount, payee)


def shares(world: World) -> tuple[int, int, int, int, bool]:
    """open, capturing, captured, released, closing."""
    row = world.states[0].holds[ID]
    return row.open, row.capturing, row.captured, row.released, row.closing


def test_a_hold_reserves_the_funds(world: World) -> None:
    """APPLIED: the amount is pending at the payer, no leg is sent, the hold is known by the record's sequence."""
    record = world.applied(HOLD._replace(idempotency_key="second", amount=100))
    assert (record.kind, record.step, record.pending) == (Kind.HOLD, 0, record.sequence)
    assert record.figures == Figures(700, 0, 1_000)
    assert world.last.legs == []
    assert world.send(HOLD._replace(idempotency_key="third", amount=301)).reason == "insufficient_funds"


def test_a_capture_only_moves_open_to_capturing(world: World) -> None:
    """[!] Step 1 of a capture changes no figure, so nothing is reserved twice."""
    record = world.send(capture(200))
    assert (record.outcome, record.step, record.figures) == (Outcome.PENDING, 1, None)
    assert (record.origin, record.origin_pending) == (ID, world.states[0].holds[ID].pending)
    assert shares(world) == (400, 200, 0, 0, False)
    assert world.account("ann").debits_pending == 600


def test_a_settled_capture_is_posted_from_the_hold(world: World) -> None:
    """Partial captures add up; what is not captured stays held."""
    world.settled(capture(200))
    assert shares(world) == (400, 0, 200, 0, False)
    assert world.figures("ann") == (400, 200, 1_000)
    world.settled(capture(None, "rest"))
    assert world.figures("ann") == (0, 600, 1_000)
    assert world.balance("bob") == 600
    assert ID not in world.states[0].holds


def test_a_capture_names_another_payee_or_the_holds(world: World) -> None:
    """A payee of the capture's own goes before the hold's."""
    world.open("cyd")
    world.settled(capture(100, "a", "cyd"))
    world.settled(capture(100, "b"))
    assert (world.balance("cyd"), world.balance("bob")) == (100, 100)


def test_a_refused_capture_is_open_again(world: World) -> None:
    """COMPENSATED without figures: the money stays pending in the hold, and can be captured again."""
    world.send(capture(200, "bad", "nobody"))
    _, compensated = world.deliver()
    assert (compensated.outcome, compensated.figures) == (Outcome.COMPENSATED, None)
    assert shares(world) == (600, 0, 0, 0, False)
    world.settled(capture(600, "good"))


def test_expiry_releases_only_what_is_open(world: World) -> None:
    """[!] A capture under way at the expiry is not cut off: it is posted afterwards."""
    world.send(capture(200))
    world.wait(100)
    expired, _ = world.tick()
    assert (expired.outcome, expired.kind, expired.amount, expired.transfer) == (
        Outcome.EXPIRED,
        Kind.HOLD,
        400,
        ID,
    )
    assert expired.figures == Figures(200, 0, 1_000)
    assert shares(world) == (0, 200, 0, 400, True)
    assert [record.outcome for record in world.deliver()] == [Outcome.SETTLED, Outcome.POSTED]
    assert world.figures("ann") == (0, 200, 1_000)
    assert world.states[0].holds == {}


def test_a_capture_refused_after_the_expiry_is_released(world: World) -> None:
    """[!] A closing hold keeps nothing: what a late refusal brings back leaves the pending debits, not stranded."""
    world.send(capture(200, payee="nobody"))
    world.wait(100)
    world.tick()
    _, compensated = world.deliver()
    assert compensated.figures == Figures(0, 0, 1_000)
    assert world.states[0].holds == {}


def test_a_capture_racing_its_expiry_is_decided_by_partition_time(world: World) -> None:
    """A microsecond before the expiry it is taken; with it, the expiry runs first and the capture is refused."""
    world.wait(100)
    world.now -= 1
    assert world.send(capture(100, "before")).outcome is Outcome.PENDING
    world.now += 1
    assert world.send(capture(100, "with")).reason == "hold_not_open"
    assert [record.outcome for record in world.last.records] == [Outcome.EXPIRED, Outcome.REJECTED]
    assert world.send(capture(100, "after")).reason == "hold_not_open"


def test_a_hold_expires_once(world: World) -> None:
    """Once closing, later records do not expire it again."""
    world.send(capture(200))
    world.wait(100)
    world.tick()
    world.wait(100)
    assert [record.outcome for record in world.tick()] == [Outcome.TICKED]


def test_a_hold_wholly_under_capture_closes_at_its_expiry(world: World) -> None:
    """Nothing is open to release, yet the record says that the hold is over."""
    world.send(capture(payee="nobody"))
    world.wait(100)
    expired, _ = world.tick()
    assert (expired.outcome, expired.amount, expired.figures) == (Outcome.EXPIRED, 0, Figures(600, 0, 1_000))
    world.deliver()
    assert world.figures("ann") == (0, 0, 1_000)


def test_a_hold_that_is_open_again_after_a_refusal_still_expires(world: World) -> None:
    """The refusal does not lose the deadline."""
    world.send(capture(payee="nobody"))
    world.deliver()
    world.wait(100)
    assert [record.outcome for record in world.tick()] == [Outcome.EXPIRED, Outcome.TICKED]
    assert world.figures("ann") == (0, 0, 1_000)


def test_a_release_gives_back_what_is_open(world: World) -> None:
    """Part by part, or all that is left."""
    record = world.applied(Release("ann", "part", ID, 100))
    assert (record.amount, record.origin, record.figures) == (100, ID, Figures(500, 0, 1_000))
    record = world.applied(Release("ann", "all", ID))
    assert (record.amount, record.figures) == (500, Figures(0, 0, 1_000))
    assert world.send(Release("ann", "more", ID)).reason == "hold_not_open"


def test_a_release_never_touches_what_is_being_captured(world: World) -> None:
    """[!] Released whole while a capture is under way: the hold closes, and the capture still ends either way."""
    world.send(capture(200))
    assert world.applied(Release("ann", "all", ID)).amount == 400
    assert shares(world) == (0, 200, 0, 400, True)
    assert world.send(capture(1, "late")).reason == "hold_not_open"
    assert world.send(Release("ann", "twice", ID)).reason == "hold_not_open"
    world.deliver()
    assert world.figures("ann") == (0, 200, 1_000)


def test_a_whole_release_during_a_capture_of_all_releases_what_comes_back(world: World) -> None:
    """[!] Nothing is open, yet the word is kept: a refusal afterwards releases instead of holding again."""
    world.send(capture(payee="nobody"))
    assert world.applied(Release("ann", "all", ID)).amount == 0
    world.deliver()
    assert world.figures("ann") == (0, 0, 1_000)
    assert world.states[0].holds == {}


def test_a_partial_release_of_all_that_is_open_does_not_close(world: World) -> None:
    """An amount releases that amount: what a refused capture brings back is open again."""
    world.send(capture(200, payee="nobody"))
    world.applied(Release("ann", "part", ID, 400))
    assert world.send(Release("ann", "again", ID, 1)).reason == "hold_not_open"
    world.deliver()
    assert shares(world) == (200, 0, 0, 400, False)
    world.settled(capture(200, "third"))


def test_a_frozen_account_releases_but_does_not_capture(world: World) -> None:
    """A freeze stops debits; giving back is none."""
    world.applied(Freeze("ann", "freeze"))
    assert world.send(capture(1)).reason == "account_frozen"
    assert world.applied(Release("ann", "all", ID)).amount == 600


def test_an_account_with_a_hold_does_not_close(world: World) -> None:
    """Held money is pending."""
    world.open("cyd", minimum_balance=-10)
    hold = Hold("cyd", "h", 10, "EUR")
    world.applied(hold)
    assert world.send(Close("cyd", "close")).reason == "account_not_empty"
    world.applied(Release("cyd", "r", id_of(hold)))
    world.applied(Close("cyd", "close again"))
    assert world.send(Release("cyd", "r2", id_of(hold))).reason == "account_closed"


def test_a_hold_is_its_own_accounts_alone(world: World) -> None:
    """Another account of the partition does not find it."""
    assert world.send(Capture("bob", "steal", ID)).reason == "hold_not_found"
    assert world.send(Release("bob", "free", ID)).reason == "hold_not_found"


def test_a_hold_that_is_over_is_told_from_one_that_never_was(world: World) -> None:
    """hold_not_open as long as its key is known, hold_not_found after."""
    world.applied(Release("ann", "all", ID))
    assert world.send(capture(1, "a")).reason == "hold_not_open"
    world.wait(31 * DAY)
    assert world.send(capture(1, "b")).reason == "hold_not_found"


def test_a_hold_lasts_from_one_second_to_the_window(world: World) -> None:
    """invalid_expiry outside; the window is the partition's."""
    world.applied(Configure("window", 1, 60, 10, 1))
    for seconds, reason in [(0, "invalid_expiry"), (1, None), (60, None), (61, "invalid_expiry")]:
        hold = Hold("ann", f"h{seconds}", 1, "EUR", expires_in_seconds=seconds)
        assert world.send(hold).reason == reason
    assert world.states[0].next_deadline() == world.now + 1 * SECOND


def test_more_than_500_deadlines_of_one_moment_run_over_several_inputs_in_order() -> None:
    """At most 500 an input, in (deadline, id) order; the rest with the next record."""
    world = World()
    world.open("ann", minimum_balance=None)
    holds = [Hold("ann", f"h{n}", 1, "EUR", expires_in_seconds=5 + n % 3) for n in range(600)]
    state = world.states[0]
    for hold in holds:
        world.decide_quietly(hold)
    expected = [due.id for due in state.due(world.now + 10 * SECOND, 1_000)]
    assert expected == [id_of(hold) for hold in sorted(holds, key=lambda hold: (hold.expires_in_seconds, id_of(hold)))]
    world.wait(10)
    first, second = world.tick(), world.tick()
    assert (len(first), len(second)) == (501, 101)
    assert [record.transfer for record in first[:-1] + second[:-1]] == expected


def test_a_capture_whose_hold_does_not_capture_halts(world: World) -> None:
    """An answer to a capture that the hold knows nothing of is not applied to other money."""
    world.send(capture(200))
    world.states[0].holds[ID] = world.states[0].holds[ID]._replace(pending=1)
    credit, answer = world.legs[0], world.legs[0]._replace(kind=LegKind.SETTLED)
    with pytest.raises(LegCannotBeApplied, match="is not capturing"):
        world.deliver_leg(answer)
    assert credit.kind == "CREDIT"
