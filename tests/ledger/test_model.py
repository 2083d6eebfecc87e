"""The ledger is proved by an independent model: whatever is sent, in whatever order, they agree in every field."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streams.ledger import currencies
from streams.ledger.ids import transfer_id
from streams.ledger.intents import (
    Capture,
    Close,
    Configure,
    Freeze,
    Hold,
    OpenAccount,
    Release,
    Resolve,
    Reverse,
    SetLimits,
    Transfer,
    Unfreeze,
)
from streams.ledger.reasons import REASONS
from streams.ledger.vocabulary import Resolution
from streams.reconciliation.model.names import CURRENCIES, home_of, id_of
from tests.ledger.life import BIGGEST, WORLD, Life
from tests.ledger.pair import DAY, Pair

ACCOUNTS = [f"acct-{n}" for n in range(7)]

accounts = st.sampled_from([*ACCOUNTS, WORLD])
anyone = st.sampled_from([*ACCOUNTS, WORLD, "nobody", "not an id", ""])
keys = st.one_of(st.integers(0, 9), st.integers(0, 10**6), st.integers(0, 10**6)).map("k{}".format)
amounts = st.one_of(st.integers(1, 120), st.sampled_from([1, 50, 0, -1, BIGGEST, BIGGEST - 60, 2**62, -(2**63)]))
some_amounts = st.one_of(st.none(), amounts)
coins = st.sampled_from(["EUR"] * 8 + ["USD", "JPY", "XXX", ""])
numbers = st.one_of(st.none(), st.none(), st.integers(-1, 7))
bounds = st.one_of(st.none(), st.integers(-200, 300), st.sampled_from([0, BIGGEST, -BIGGEST, -(2**63)]))
rates = st.one_of(st.none(), st.none(), st.integers(0, 400))
windows = st.sampled_from([60, 600, 3600, 86_400, 59, 31_536_000, 31_536_001])
jumps = st.sampled_from([0, 1, 1000, 10**6, 10**7, 59 * 10**6, 61 * 10**6, 3600 * 10**6, DAY, 31 * DAY, -1000, -DAY])


class Ledger(RuleBasedStateMachine):
    """Random intents, legs and time over the ledger and the model together."""

    partitions = 1
    total = 0

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(self.partitions)
        self.named: list[tuple[str, str]] = [(WORLD, "none")]

    @initialize(floor=st.sampled_from([0, -100, None]))
    def open_some(self, floor: int | None) -> None:
        self.pair.send(OpenAccount(WORLD, "open", "EUR", minimum_balance=None))
        for account in ACCOUNTS[:4]:
            self.pair.send(OpenAccount(account, "open", "EUR", minimum_balance=floor))
            self.pair.send(Transfer(WORLD, f"fund {account}", account, 100, "EUR"))
        self.pair.carry_all()

    def _name(self, account: str, key: str) -> None:
        self.named.append((account, key))

    def _known(self, account: str, choice: int) -> tuple[str, bytes]:
        """A hold that lives if there is one, or somebody's transfer id; and who asks: now and then a stranger."""
        alive = [hold for hold in self.pair.model.world.holds.values() if hold.alive]
        if alive and choice % 3:
            hold = alive[choice % len(alive)]
            owner, wanted = hold.account, hold.memory.transfer
        else:
            owner, key = self.named[choice % len(self.named)]
            wanted = transfer_id(owner, key)
        return (account if choice % 8 == 0 else owner), wanted

    @rule(account=anyone, key=keys, coin=coins, low=bounds, high=bounds, amount=rates, times=rates, window=windows)
    def open_account(self, account, key, coin, low, high, amount, times, window) -> None:  # type: ignore[no-untyped-def]
        limits = (low, high, amount, times, window)
        self.pair.send(OpenAccount(account, key, coin, "t", "o", "n", "y", *limits))

    @rule(
        account=accounts, key=keys, number=numbers, low=bounds, high=bounds, amount=rates, times=rates, window=windows
    )
    def set_limits(self, account, key, number, low, high, amount, times, window) -> None:  # type: ignore[no-untyped-def]
        self.pair.send(SetLimits(account, key, number, low, high, amount, times, window))

    @rule(account=accounts, kind=st.sampled_from([Freeze, Unfreeze, Unfreeze, Close]), key=keys, number=numbers)
    def change_state(self, account: str, kind: Any, key: str, number: int | None) -> None:
        self.pair.send(kind(account, key, number))

    @rule(account=anyone, key=keys, payee=anyone, amount=amounts, coin=coins, number=numbers)
    def transfer(self, account: str, key: str, payee: str, amount: int, coin: str, number: int | None) -> None:
        self.pair.send(Transfer(account, key, payee, amount, coin, number))
        self._name(account, key)

    @rule(account=accounts, n=st.integers(0, 10**6), payee=accounts, amount=st.integers(1, 40))
    def plain_transfer(self, account: str, n: int, payee: str, amount: int) -> None:
        self.pair.send(Transfer(account, f"p{n}", payee, amount, "EUR"))
        self._name(account, f"p{n}")

    @rule(
        account=accounts,
        key=keys,
        amount=amounts,
        coin=coins,
        payee=st.one_of(st.none(), anyone),
        seconds=st.sampled_from([1, 60, 3600, 604_800, 2_592_000, 0, 2_592_001]),
        number=numbers,
    )
    def hold(self, account, key, amount, coin, payee, seconds, number) -> None:  # type: ignore[no-untyped-def]
        self.pair.send(Hold(account, key, amount, coin, payee, seconds, number))
        self._name(account, key)

    @rule(
        account=accounts, key=keys, choice=st.integers(0, 200), amount=some_amounts, payee=st.one_of(st.none(), anyone)
    )
    def capture(self, account: str, key: str, choice: int, amount: int | None, payee: str | None) -> None:
        account, hold = self._known(account, choice)
        self.pair.send(Capture(account, key, hold, amount, payee))
        self._name(account, key)

    @rule(
        account=accounts,
        n=st.integers(0, 99),
        amount=st.integers(1, 60),
        seconds=st.integers(1, 100),
        full=st.booleans(),
    )
    def hold_and_capture(self, account: str, n: int, amount: int, seconds: int, full: bool) -> None:
        self.pair.send(Hold(account, f"h{n}", amount, "EUR", ACCOUNTS[n % 7], seconds))
        taken = None if full else max(1, amount // 2)
        self.pair.send(Capture(account, f"c{n}", transfer_id(account, f"h{n}"), taken))
        self.named += [(account, f"h{n}"), (account, f"c{n}")]

    @rule(account=accounts, key=keys, choice=st.integers(0, 200), amount=some_amounts)
    def release(self, account: str, key: str, choice: int, amount: int | None) -> None:
        account, hold = self._known(account, choice)
        self.pair.send(Release(account, key, hold, amount))

    @rule(account=accounts, key=keys, choice=st.integers(0, 200), amount=some_amounts, force=st.booleans())
    def reverse(self, account: str, key: str, choice: int, amount: int | None, force: bool) -> None:
        settled = [one for several in self.pair.model.world.settled.values() for one in several]
        if settled and choice % 5:
            way = settled[choice % len(settled)].way
            account, transfer = way.payee, way.memory.transfer
        else:
            account, transfer = self._known(account, choice)
        self.pair.send(Reverse(account, key, transfer, amount, force))
        self._name(account, key)

    @precondition(lambda self: self.pair.sent)
    @rule(choice=st.integers(0, 10**4), field=st.integers(0, 20), value=st.one_of(st.none(), st.integers(0, 9)))
    def conflict(self, choice: int, field: int, value: int | None) -> None:
        """The same key again, one time in two with one field changed."""
        partition, key, intent = self.pair.sent[-1 - choice % min(20, len(self.pair.sent))]
        fields = [
            f for f in intent._fields if f in ("amount", "payee", "sequence", "reference", "note", "force", "name")
        ]
        if fields and field % 2:
            changed = fields[field % len(fields)]
            text = changed in ("payee", "reference", "note", "name")
            fallback: Any = f"v{value}" if text else bool(value) if changed == "force" else value or 1
            intent = intent._replace(**{changed: fallback})
        self.pair.send(intent, partition, key)

    @rule(choice=st.integers(0, 10**4))
    def send_again(self, choice: int) -> None:
        self.pair.send_again(choice)

    @rule(account=accounts, key=keys, partition=st.integers(0, 7), other=st.one_of(st.none(), accounts))
    def misroute(self, account: str, key: str, partition: int, other: str | None) -> None:
        lost = None if other is None else other.encode()
        self.pair.send(Transfer(account, key, ACCOUNTS[0], 5, "EUR"), partition % self.partitions, lost)

    @rule(
        key=keys,
        rules=st.sampled_from([1, 1, 1, 2]),
        window=st.sampled_from([60, 3600, 86_400, 2_592_000, 59]),
        park=st.sampled_from([1, 60, 3600, 0]),
        limit=st.sampled_from([0, 1, 3, 64, -1]),
        partition=st.integers(0, 7),
    )
    def configure(self, key: str, rules: int, window: int, park: int, limit: int, partition: int) -> None:
        self.pair.configure(Configure(key, rules, window, park, limit), partition % self.partitions)

    @rule(key=keys, partition=st.integers(0, 7), offset=st.integers(-1, 50), action=st.sampled_from(list(Resolution)))
    def resolve(self, key: str, partition: int, offset: int, action: Resolution) -> None:
        here = partition % self.partitions
        self.pair.configure(Resolve(key, here, offset, 0, action), here)

    @rule(jump=jumps)
    def pass_time(self, jump: int) -> None:
        self.pair.time += jump

    @rule(partition=st.integers(0, 7), unreadable=st.booleans())
    def tick(self, partition: int, unreadable: bool) -> None:
        (self.pair.unreadable if unreadable else self.pair.tick)(partition % self.partitions)

    @precondition(lambda self: any(self.pair.legs.values()))
    @rule(choice=st.integers(0, 63), count=st.integers(1, 6))
    def carry(self, choice: int, count: int) -> None:
        self.pair.carry(choice, count)

    @precondition(lambda self: any(self.pair.legs.values()))
    @rule()
    def carry_all(self) -> None:
        self.pair.carry_all()

    @invariant()
    def every_invariant_holds(self) -> None:
        self.pair.check_everything()

    def teardown(self) -> None:
        self.pair.check_end()
        type(self).total += self.pair.steps


class EightPartitions(Ledger):
    partitions = 8


@pytest.mark.slow
@pytest.mark.parametrize("machine", [Ledger, EightPartitions])
def test_ledger_and_model_agree_after_every_step(machine: type[Ledger]) -> None:
    """Whatever comes in whatever order, each record, row and figure is what the model says; all invariants hold."""
    machine.total = 0
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=120, deadline=None))
    assert machine.total >= 5_000


AT_THE_DOOR = {
    "too_large",
    "bad_magic",
    "truncated",
    "unknown_schema",
    "not_an_intent",
    "bytes_left_over",
    "integer_out_of_range",
    "undecodable",
    "field_too_long",
    "metadata_too_large",
    "null_value",
}
"""Reasons of the decoder: no decision gives them."""


NOT_HERE = {"operator_refused", "exists_with_different_partition"}
"""An operator refuses legs that cannot be applied: no honest ledger sends one. A Resolve elsewhere is misrouted."""


@pytest.mark.slow
def test_a_long_life_agrees_and_meets_every_reason() -> None:
    """Thousands of inputs on one ledger, so that windows, buckets and keys run out; no rule stays untried."""
    met: Counter[str] = Counter()
    for partitions, seed in [(1, 1), (8, 2), (3, 3), (1, 4), (8, 5), (8, 6)]:
        pair = Pair(partitions)
        pair.send(OpenAccount(WORLD, "open", "EUR", minimum_balance=None))
        life = Life(pair, seed)
        for _ in range(3_000):
            life.step()
            if life.count % 20 == 0:
                pair.check_everything()
        pair.check_end()
        met.update(record["reason"] for journal in pair.journal for record in journal)
    assert set(REASONS) - set(met) - AT_THE_DOOR - NOT_HERE == set()


def test_the_model_knows_the_same_currencies() -> None:
    """Both tables are ISO 4217 as published; a code in one alone would refuse money in one alone."""
    assert set(currencies.EXPONENTS[1]) == CURRENCIES


def test_the_model_works_out_ids_and_partitions_by_itself() -> None:
    """Transfer ids agree with the ledger's; partitions with what Kafka's Java producer gives to the same keys."""
    for account, key in [("a", "bc"), ("ab", "c"), ("acct-1", ""), ("ü" * 20, "κλειδί")]:
        assert id_of(account, key) == transfer_id(account, key)
    java = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    java |= {b"a-little-bit-longer-string": -1486304829, b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971}
    for text, number in java.items():
        assert home_of(text, 2**31) == number & 0x7FFFFFFF
