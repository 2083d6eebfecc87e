"""The microsecond before and the microsecond after: windows, buckets, expiries, and ids that come back."""

from __future__ import annotations

from typing import Any

import pytest

from streams.ledger.ids import transfer_id
from streams.ledger.intents import Capture, Freeze, Hold, Intent, OpenAccount, Reverse, SetLimits, Transfer
from tests.ledger.pair import Pair

SECOND = 1_000_000
WINDOW = 30 * 86_400 * SECOND
MINUTE = 60


@pytest.fixture
def pair() -> Pair:
    """alice with 100 EUR and bob with none, in one partition; every step is checked against the model."""
    pair = Pair(1)
    pair.time -= pair.time % (3_600 * SECOND)
    for account, floor in [("world", None), ("alice", 0), ("bob", 0)]:
        pair.send(OpenAccount(account, "open", "EUR", minimum_balance=floor))
    pair.send(Transfer("world", "fund", "alice", 100, "EUR"))
    pair.carry_all()
    return pair


def outcome(pair: Pair, intent: Intent) -> tuple[str, str | None]:
    """Send an intent; the outcome and reason of its own record."""
    pair.send(intent)
    record: dict[str, Any] = pair.journal[0][-1]
    return record["outcome"], record["reason"]


def test_a_key_is_remembered_for_the_whole_window_and_not_longer(pair: Pair) -> None:
    """The window starts at the final step; in its last microsecond the key is a duplicate, then it is free."""
    pay = Transfer("alice", "pay", "bob", 10, "EUR")
    pair.send(pay)
    pair.time += 7 * SECOND
    pair.tick(0)
    pair.carry_all()
    pair.time += WINDOW - 1
    assert outcome(pair, pay) == ("DUPLICATE", None)
    pair.time += 1
    assert outcome(pair, pay) == ("PENDING", None)
    pair.check_end()


def test_a_transfer_can_be_reversed_until_the_end_of_its_window(pair: Pair) -> None:
    """In the last microsecond yes, then it is not found."""
    pair.send(Transfer("alice", "pay", "bob", 10, "EUR"))
    pair.carry_all()
    pair.time += WINDOW - 1
    assert outcome(pair, Reverse("bob", "r1", transfer_id("alice", "pay"), 1)) == ("PENDING", None)
    pair.time += 1
    again = Reverse("bob", "r2", transfer_id("alice", "pay"), 1)
    assert outcome(pair, again) == ("REJECTED", "transfer_not_found")
    pair.check_end()


def test_a_reversal_takes_the_newest_of_two_transfers_with_one_id() -> None:
    """A forgotten key comes back while the payee's clock is behind: its first row still stands, the newest counts."""
    pair = Pair(8)
    assert pair.home(b"alice") != pair.home(b"bob")
    for account, floor in [("alice", None), ("bob", 0)]:
        pair.send(OpenAccount(account, "open", "EUR", minimum_balance=floor))
    pair.send(Transfer("alice", "pay", "bob", 10, "EUR"))
    pair.carry_all()
    pair.time += WINDOW
    pair.send(Transfer("alice", "pay", "bob", 7, "EUR"))
    pair.carry_all()
    pair.time -= WINDOW
    pair.send(Reverse("bob", "r1", transfer_id("alice", "pay")))
    record = pair.journal[pair.home(b"bob")][-1]
    assert (record["outcome"], record["amount"]) == ("PENDING", 7)
    pair.check_end()


def test_the_oldest_velocity_bucket_counts_whole_and_then_not_at_all(pair: Pair) -> None:
    """A window of an hour has 60 buckets of a minute: a debit counts until its bucket is the 60th before this one."""
    pair.send(SetLimits("alice", "limits", None, 0, None, 10, None, 3_600))
    assert outcome(pair, Transfer("alice", "a", "bob", 10, "EUR")) == ("PENDING", None)
    pair.time += 3_600 * SECOND - 1
    assert outcome(pair, Transfer("alice", "b", "bob", 1, "EUR")) == ("REJECTED", "velocity_amount_exceeded")
    pair.time += 1
    assert outcome(pair, Transfer("alice", "c", "bob", 10, "EUR")) == ("PENDING", None)
    pair.check_end()


def test_debits_of_another_bucket_width_are_forgotten_at_the_next_debit(pair: Pair) -> None:
    """Limits with another window start to count afresh, and going back does not bring the old debits back."""
    hour, minute = (SetLimits("alice", f"w{n}", None, 0, None, None, 1, n) for n in (3_600, MINUTE))
    pair.send(hour)
    assert outcome(pair, Transfer("alice", "a", "bob", 1, "EUR")) == ("PENDING", None)
    pair.send(minute)
    assert outcome(pair, Transfer("alice", "b", "bob", 1, "EUR")) == ("PENDING", None)
    pair.send(hour._replace(idempotency_key="back"))
    assert outcome(pair, Transfer("alice", "c", "bob", 1, "EUR")) == ("PENDING", None)
    assert outcome(pair, Transfer("alice", "d", "bob", 1, "EUR")) == ("REJECTED", "velocity_count_exceeded")
    pair.check_end()


def test_a_hold_expires_at_its_expiry_and_not_before(pair: Pair) -> None:
    """One microsecond before it is captured; at its expiry it is gone before the capture is looked at."""
    for number in (1, 2):
        pair.send(Hold("alice", f"h{number}", 10, "EUR", "bob", MINUTE))
    pair.time += MINUTE * SECOND - 1
    assert outcome(pair, Capture("alice", "c1", transfer_id("alice", "h1"))) == ("PENDING", None)
    pair.time += 1
    assert outcome(pair, Capture("alice", "c2", transfer_id("alice", "h2"))) == ("REJECTED", "hold_not_open")
    pair.check_end()


def test_the_key_of_a_hold_with_money_in_it_is_not_free(pair: Pair) -> None:
    """A hold whose capture is still under way after the window keeps its id: a new hold cannot take its place."""
    hold = Hold("alice", "h", 10, "EUR", "bob", MINUTE)
    pair.send(hold)
    pair.send(Capture("alice", "c", transfer_id("alice", "h")))
    pair.time += 2 * WINDOW
    assert outcome(pair, hold) == ("DUPLICATE", None)
    pair.carry_all()
    pair.time += WINDOW - 1
    assert outcome(pair, hold) == ("DUPLICATE", None)
    pair.time += 1
    assert outcome(pair, hold) == ("APPLIED", None)
    pair.check_end()


def test_a_refused_capture_of_a_hold_that_closes_is_released(pair: Pair) -> None:
    """The capture races the expiry: what comes back does not open the hold again, and nothing stays pending."""
    pair.send(Hold("alice", "h", 10, "EUR", "bob", MINUTE))
    pair.send(Capture("alice", "c", transfer_id("alice", "h"), 4))
    pair.send(Freeze("bob", "stop"))
    pair.time += MINUTE * SECOND
    pair.tick(0)
    assert [r["amount"] for r in pair.journal[0] if r["outcome"] == "EXPIRED"] == [6]
    pair.carry_all()
    assert pair.journal[0][-1]["outcome"] == "COMPENSATED"
    assert pair.model.world.accounts["alice"].figures() == (0, 0, 100)
    pair.check_end()


def test_at_most_500_deadlines_run_before_an_input(pair: Pair) -> None:
    """The rest waits for the next one: no input takes unbounded work."""
    for number in range(600):
        pair.send(Hold("world", f"h{number}", 1, "EUR", "bob", MINUTE))
    pair.time += MINUTE * SECOND
    for expired in (500, 600, 600):
        pair.tick(0)
        assert sum(r["outcome"] == "EXPIRED" for r in pair.journal[0]) == expired
    pair.check_end()
