"""Many clients at once: what must hold however their intents interleave. On the test driver and on real Kafka."""

from __future__ import annotations

import random

from streams.ledger.intents import Capture, Close, Freeze, Hold, Intent, Reverse, SetLimits, Transfer, Unfreeze
from streams.ledger.vocabulary import Outcome
from tests.agents.ledgers import Ledger, shares


def test_debits_that_add_up_to_twice_the_balance_settle_exactly_the_balance(ledger: Ledger) -> None:
    """1,000 debits of one account from 16 producers at once: not a cent more than there is, and not a cent less."""
    ledger.open("payer", "shop-1", "shop-2", "shop-3")
    ledger.fund("payer", 500)
    intents: list[Intent] = [Transfer("payer", f"debit-{n}", f"shop-{n % 3 + 1}", 1, "EUR") for n in range(1000)]
    ledger.send_concurrently(shares(intents, 16))
    ledger.run()
    counted = ledger.count()
    assert counted[Outcome.REJECTED, "insufficient_funds"] == 500
    assert counted[Outcome.POSTED, None] == 501
    assert ledger.balance("payer") == 0
    assert sum(ledger.balance(f"shop-{n}") for n in (1, 2, 3)) == 500
    ledger.must_balance()


def test_two_accounts_that_pay_each_other_in_a_storm_keep_what_they_had_together(ledger: Ledger) -> None:
    """Money in flight both ways at once is neither lost nor doubled, and neither account is overdrawn."""
    other = ledger.elsewhere("ping")
    ledger.open("ping", other)
    ledger.fund("ping", 1000)
    draw = random.Random(7)
    intents: list[Intent] = [
        Transfer(payer, f"{payer}-{n}", payee, draw.randint(1, 90), "EUR")
        for n in range(200)
        for payer, payee in (("ping", other), (other, "ping"))
    ]
    ledger.send_concurrently(shares(intents, 8))
    ledger.run()
    assert ledger.balance("ping") + ledger.balance(other) == 1000
    assert ledger.balance("ping") >= 0
    assert ledger.balance(other) >= 0
    overdrawn = [r for r in ledger.journal() if r.figures and r.account != "world" and _free(r.figures) < 0]
    assert overdrawn == []
    ledger.must_balance()


def _free(figures: tuple[int, int, int]) -> int:
    pending, debits, credits = figures
    return credits - debits - pending


def test_two_reversals_of_one_transfer_at_once_send_back_no_more_than_its_amount(ledger: Ledger) -> None:
    """Two halves too large, and two wholes: what is reversed stays within the original."""
    ledger.open("buyer", "seller")
    ledger.fund("buyer", 100)
    first = ledger.transfer("buyer", "seller", 60)
    second = ledger.transfer("buyer", "seller", 40)
    ledger.run()
    reversals = [Reverse("seller", f"part-{n}", first, 40) for n in range(2)]
    reversals += [Reverse("seller", f"whole-{n}", second) for n in range(2)]
    ledger.send_concurrently([[reversal] for reversal in reversals])
    ledger.run()
    counted = ledger.count()
    assert counted[Outcome.REJECTED, "reversal_exceeded"] == 2
    assert ledger.balance("buyer") == 80
    assert ledger.balance("seller") == 20
    ledger.must_balance()


def test_a_capture_that_races_the_expiry_of_its_hold_is_taken_whole_or_not_at_all(ledger: Ledger) -> None:
    """Whichever comes first, the held money goes to the payee or back to the payer: never both, never neither."""
    ledger.open("guest", "hotel")
    ledger.fund("guest", 1000)
    holds = [
        ledger.send(Hold("guest", f"hold-{n}", 50, "EUR", "hotel", expires_in_seconds=1 + n % 2)) for n in range(20)
    ]
    ledger.run()
    captures: list[bytes] = []

    def captured_as_time_passes() -> bool:
        if len(captures) < len(holds):
            captures.append(ledger.send(Capture("guest", f"capture-{len(captures)}", holds[len(captures)])))
        ledger.run()
        return len(captures) == len(holds) and ledger.pending("guest") == 0

    ledger.wait_until(captured_as_time_passes)
    taken = sum(ledger.final(capture)[0] is Outcome.POSTED for capture in captures)
    expired = ledger.count()[Outcome.EXPIRED, None]
    assert taken + expired == len(holds)
    assert ledger.balance("hotel") == 50 * taken
    assert ledger.balance("guest") == 1000 - 50 * taken
    ledger.must_balance()


def test_money_on_its_way_to_a_payee_that_closes_comes_back(ledger: Ledger) -> None:
    """Each transfer is settled before the close or compensated after it; none stays pending."""
    ledger.open("giver", "leaver")
    ledger.fund("giver", 1000)
    payments: list[Intent] = [Transfer("giver", f"gift-{n}", "leaver", 1, "EUR") for n in range(50)]
    ledger.send_concurrently([[*payments[:25]], [Close("leaver", "bye")], [*payments[25:]]])
    ledger.run()
    counted = ledger.count()
    closed = [r for r in ledger.journal() if r.account == "leaver" and r.outcome is Outcome.APPLIED][-1]
    if counted[Outcome.REJECTED, "account_not_empty"]:
        assert counted[Outcome.COMPENSATED, "payee_closed"] == 0
    else:
        assert counted[Outcome.COMPENSATED, "payee_closed"] == 50
        assert all(
            r.sequence < closed.sequence
            for r in ledger.journal()
            if r.outcome is Outcome.SETTLED and r.account == "leaver"
        )
    assert counted[Outcome.COMPENSATED, "payee_closed"] + ledger.balance("leaver") == 50
    ledger.must_balance()


def test_a_payee_that_has_closed_sends_money_back(ledger: Ledger) -> None:
    """Step 1 knows nothing of the payee; step 2 refuses, step 3 gives the payer's money back with the reason."""
    ledger.open("giver", "gone")
    ledger.fund("giver", 10)
    ledger.send(Close("gone", "bye"))
    ledger.run()
    gift = ledger.transfer("giver", "gone", 10)
    ledger.run()
    assert [outcome for outcome, _ in ledger.told(gift)] == [Outcome.PENDING, Outcome.REFUSED, Outcome.COMPENSATED]
    assert ledger.final(gift) == (Outcome.COMPENSATED, "payee_closed")
    assert ledger.balance("giver") == 10
    ledger.must_balance()


def test_a_freeze_stops_new_debits_and_not_those_under_way(ledger: Ledger) -> None:
    """Step 3 is unconditional: what was pending when the freeze came is posted, what comes after it is refused."""
    ledger.open("suspect", "shop")
    ledger.fund("suspect", 100)
    payments: list[Intent] = [Transfer("suspect", f"pay-{n}", "shop", 1, "EUR") for n in range(40)]
    ledger.send_concurrently([[*payments[:20]], [Freeze("suspect", "stop")], [*payments[20:]]])
    ledger.run()
    counted = ledger.count()
    refused = counted[Outcome.REJECTED, "account_frozen"]
    assert ledger.balance("shop") == 40 - refused
    assert ledger.balance("suspect") == 60 + refused
    ledger.send(Unfreeze("suspect", "go on"))
    after = ledger.transfer("suspect", "shop", 1)
    ledger.run()
    assert ledger.final(after) == (Outcome.POSTED, None)
    ledger.must_balance()


def test_a_lowered_limit_binds_the_next_debit_and_no_earlier_one(ledger: Ledger) -> None:
    """A credit line that is taken away leaves the balance where it is and stops what comes after."""
    ledger.open("trader", minimum=-100)
    ledger.open("market")
    early = ledger.transfer("trader", "market", 80)
    ledger.send(SetLimits("trader", "lower", minimum_balance=0))
    late = ledger.transfer("trader", "market", 1)
    ledger.run()
    assert ledger.final(early) == (Outcome.POSTED, None)
    assert ledger.final(late) == (Outcome.REJECTED, "insufficient_funds")
    assert ledger.balance("trader") == -80
    ledger.must_balance()


def test_a_gap_that_is_filled_after_a_restart_lets_the_parked_intents_go_on(ledger: Ledger) -> None:
    """What is parked is state: a worker that has restored it decides it in order when the gap fills."""
    ledger.open("clerk", "desk")
    ledger.fund("clerk", 10)
    third = ledger.send(Transfer("clerk", "third", "desk", 3, "EUR", sequence=3))
    second = ledger.send(Transfer("clerk", "second", "desk", 2, "EUR", sequence=2))
    ledger.run()
    assert ledger.final(third) == ledger.final(second) == (Outcome.PARKED, None)
    ledger.restart()
    first = ledger.send(Transfer("clerk", "first", "desk", 1, "EUR", sequence=1))
    ledger.run()
    assert [ledger.final(id_) for id_ in (first, second, third)] == [(Outcome.POSTED, None)] * 3
    decided = [r.transfer for r in ledger.journal() if r.outcome is Outcome.PENDING and r.account == "clerk"]
    assert decided == [first, second, third]
    ledger.must_balance()
