"""The nine invariants of the design, judged over live Kafka and Postgres without stopping anything.

>>> for verdict in verify_all(settings):
...     print(verdict)
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from streams.reconciliation.model import ModelResult, expected
from streams.reconciliation.proof import causes, digests, money, tables
from streams.reconciliation.proof.evidence import Collector, Evidence, Say
from streams.reconciliation.proof.fold import Fold
from streams.settings import Settings

MOST_EXAMPLES = 5
ATTEMPTS = 3
"""A ledger that moves while it is read may show an effect a moment before its cause: it is read again."""

Check = Callable[[Evidence, Fold, bool], Iterator[str]]


class Verdict(NamedTuple):
    """One invariant: whether it holds, what was looked at, or the first counter-examples and where they are."""

    number: int
    name: str
    holds: bool
    detail: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.number} {'holds ' if self.holds else 'BROKEN'}  {self.name}: {self.detail}"

    def as_json(self) -> dict[str, Any]:
        """For printing."""
        return {**self._asdict(), "examples": list(self.examples)}


@dataclass
class Verification:
    """Everything that one reading gave: the verdicts, and the evidence that reports are made of."""

    evidence: Evidence
    model: ModelResult
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every invariant holds."""
        return all(verdict.holds for verdict in self.verdicts)


def verify_all(
    settings: Settings, *, drained: bool = False, deep: bool = False, say: Say = lambda text: None
) -> list[Verdict]:
    """Judge all nine invariants. See :func:`verification`."""
    return verification(settings, drained=drained, deep=deep, say=say).verdicts


def verification(
    settings: Settings, *, drained: bool = False, deep: bool = False, say: Say = lambda text: None
) -> Verification:
    """Read everything and judge. ``say`` is told what is being done.

    ``drained``: also demand that nothing is under way: every intent has its final outcome, no transfer is pending,
    Postgres has it all. ``deep``: compare every row of Postgres, not digests alone, and sum the model's figures anew.
    Raises CannotRead, CannotReadBooks or RegistryAway where something does not answer.
    """
    collector = Collector(settings, say)
    for attempt in range(ATTEMPTS):
        with _without_collections():
            evidence = collector.collect()
            result = judge(evidence, drained=drained, deep=deep, say=say)
        if result.holds or attempt == ATTEMPTS - 1 or not collector.has_moved(evidence):
            break
        say("something is broken or moved while it was read: reading again")
    return result


@contextmanager
def _without_collections() -> Iterator[None]:
    """Everything that is read stays until the end: walking over it again and again for garbage finds nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def judge(
    evidence: Evidence, *, drained: bool = False, deep: bool = False, say: Say = lambda text: None
) -> Verification:
    """Judge what was read."""
    say("running the independent model")
    model = expected(evidence.intents, evidence.journal)
    fold = Fold(evidence)
    result = Verification(evidence, model)
    for number, (name, check, facts) in enumerate(_checks(evidence, fold, model, deep), 1):
        say(f"invariant {number}: {name}")
        result.verdicts.append(_verdict(number, name, check(evidence, fold, drained), facts))
    return result


def _verdict(number: int, name: str, faults: Iterator[str], facts: str) -> Verdict:
    try:
        examples = tuple(islice(faults, MOST_EXAMPLES))
    except (LookupError, TypeError) as error:
        examples = (f"cannot be judged, what was read fits no ledger: {type(error).__name__} {error}",)
    return Verdict(number, name, not examples, examples[0] if examples else facts, examples)


def _checks(evidence: Evidence, fold: Fold, model: ModelResult, deep: bool) -> list[tuple[str, Check, str]]:
    intents = sum(map(len, evidence.intents))
    records = sum(map(len, evidence.journal))
    legs = sum(map(len, evidence.legs))
    rows = sum(map(len, evidence.tables))
    waiting = sum(map(len, fold.unfinished))
    sums = ", ".join(f"{currency} {debits}" for currency, (debits, _) in money.totals(evidence).items())
    at = ", ".join(str(position.sequence) for _, position in sorted(evidence.books.positions.items()))
    under_way = sum(3 not in steps for steps in fold.steps.values())
    number = digests.digest(digests.fold_lines(evidence, fold))

    def tables_too(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
        yield from evidence.unreadable
        yield from tables.tables_agree(evidence, fold, model)
        if deep:
            yield from digests.every_row(evidence)

    return [
        (
            "every intent has one final outcome",
            causes.one_final_outcome,
            f"{intents:,} inputs, {records:,} journal records, {waiting:,} under way",
        ),
        ("debits equal credits in every entry", money.entries_balance, f"{sums or 'no entries'}"),
        (
            "tables, journal, Postgres and the model agree",
            tables_too,
            f"{len(model.model.world.accounts):,} accounts, {rows:,} rows",
        ),
        ("nobody is below the minimum", money.nobody_is_overdrawn, f"{money.forced(evidence)} forced reversals"),
        (
            "one idempotency key, one outcome",
            causes.one_key_one_outcome,
            f"{len(model.model.world.memories):,} keys",
        ),
        ("inputs and outcomes match one to one", causes.inputs_match, f"{intents:,} intents, {legs:,} legs"),
        ("order has no gaps", money.order_has_no_gaps, f"Postgres stands at {at or 'nothing'}"),
        ("one digest whatever the way", digests.digests_agree, f"{number:032x}"),
        (
            "money is conserved",
            money.money_is_conserved,
            f"{len(fold.steps):,} transfers, {under_way:,} of them under way",
        ),
    ]
