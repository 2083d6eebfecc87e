"""Invariant 3: the tables, the journal's fold, Postgres and the independent model all say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.reconciliation.model import ModelResult
from streams.reconciliation.model.account import Account
from streams.reconciliation.model.memory import Memory
from streams.reconciliation.proof.evidence import (
    ACCOUNT,
    FINAL_TRANSFER,
    HOLD,
    OPEN_TRANSFER,
    PARKED,
    SETTLED,
    Evidence,
)
from streams.reconciliation.proof.fold import Fold
from streams.topics import ACCOUNTS_CHANGELOG, TRANSFERS_CHANGELOG

ROW_FIGURES = ("debits_pending", "debits_posted", "credits_posted")


def tables_agree(evidence: Evidence, fold: Fold, model: ModelResult) -> Iterator[str]:
    """Everything that differs, the model's own word first."""
    for disagreement in model.disagreements:
        where = evidence.where(disagreement.partition, disagreement.sequence)
        yield f"{where}: {disagreement.what}"
    for partition in range(len(evidence.journal)):
        yield from _account_rows(evidence, fold, partition)
    yield from _balances(evidence, fold)
    if evidence.quiet and not model.disagreements:
        yield from _against_the_model(evidence, model)
    for account, balance, derived in evidence.books.underived:
        yield f"Postgres: the balance of {account} is {balance}, the sum of its events is {derived}"


def _row_place(evidence: Evidence, topic: str, partition: int, offset: int) -> str:
    return f"{evidence.settings.topic(topic)}[{partition}] offset {offset}"


def _account_rows(evidence: Evidence, fold: Fold, partition: int) -> Iterator[str]:
    """Account rows of the changelog against the journal at the same position."""
    at = evidence.rows_at[partition]
    found = 0
    for (tag, key), (value, offset) in evidence.tables[partition].items():
        if tag != ACCOUNT:
            continue
        name = key.decode(errors="replace")
        row = evidence.decode(value)
        expected = fold.figures_at(name, at)
        actual = (row["version"], tuple(row[field] for field in ROW_FIGURES))
        found += 1
        if expected != actual or fold.home.get(name, (partition,))[0] != partition:
            place = _row_place(evidence, ACCOUNTS_CHANGELOG.name, partition, offset)
            given = f"the journal up to sequence {at} gives {_show(expected)}"
            yield f"table row of {name} at {place}: {_show(actual)}, {given}"
    missing = [n for n, (home, _) in fold.home.items() if home == partition and fold.figures_at(n, at) is not None]
    if len(missing) != found:
        rows = {key.decode(errors="replace") for tag, key in evidence.tables[partition] if tag == ACCOUNT}
        name = next((name for name in missing if name not in rows), "?")
        yield f"partition {partition} has {found} account rows, the journal opened {len(missing)}; {name} has none"


def _balances(evidence: Evidence, fold: Fold) -> Iterator[str]:
    """Postgres' balances against the journal at Postgres' own position."""
    positions, balances = evidence.books.positions, evidence.books.balances
    expected_rows = 0
    for name, (partition, currency) in fold.home.items():
        at = positions[partition].sequence if partition in positions else 0
        expected = fold.figures_at(name, at)
        balance = balances.get(name)
        expected_rows += expected is not None
        if balance is None and expected is None:
            continue
        actual = None if balance is None else (balance.version, tuple(balance[2:5]))
        if actual != expected or (
            balance is not None and (balance.partition, balance.currency) != (partition, currency)
        ):
            yield (
                f"Postgres: account_balances of {name} is {_show(actual)} at sequence {at} of partition {partition}, "
                f"the journal gives {_show(expected)} {currency}"
            )
    if len(balances) != expected_rows:
        unknown = sorted(balances.keys() - fold.home.keys())[:1]
        yield f"Postgres has {len(balances)} balances, the journal {expected_rows} accounts; unknown: {unknown}"


def _against_the_model(evidence: Evidence, result: ModelResult) -> Iterator[str]:
    """Every other row at the journal's end."""
    world = result.model.world
    seen: dict[int, int] = dict.fromkeys((ACCOUNT, HOLD, PARKED, OPEN_TRANSFER), 0)
    for partition, table in enumerate(evidence.tables):
        for (tag, key), (value, offset) in table.items():
            seen[tag] = seen.get(tag, 0) + 1
            wrong = None
            if tag == ACCOUNT:
                wrong = _account(evidence.decode(value), world.accounts.get(key.decode(errors="replace")))
            elif tag == HOLD:
                wrong = _hold(evidence.decode(value), world.holds.get(key))
            elif tag in (OPEN_TRANSFER, FINAL_TRANSFER):
                wrong = _transfer(evidence.decode(value), world.by_id.get((partition, key)))
            elif tag == SETTLED:
                wrong = _settled(evidence.decode(value)["transfers"], world.settled.get(key, []))
            if wrong:
                final = tag in (FINAL_TRANSFER, SETTLED)
                topic = (TRANSFERS_CHANGELOG if final else ACCOUNTS_CHANGELOG).name
                name = key.decode(errors="replace") if tag == ACCOUNT else key.hex()
                yield f"table row {name} at {_row_place(evidence, topic, partition, offset)}: {wrong}"
    unfinished = sum(memory.forgotten_at is None for memory in world.memories.values())
    parked = sum(len(account.waiting) for account in world.accounts.values())
    alive = sum(hold.alive for hold in world.holds.values())
    expected = {ACCOUNT: len(world.accounts), HOLD: alive, PARKED: parked, OPEN_TRANSFER: unfinished}
    for tag, words in ((HOLD, "holds"), (PARKED, "parked intents"), (OPEN_TRANSFER, "unfinished transfers")):
        if seen[tag] != expected[tag]:
            yield f"the tables have {seen[tag]} {words}, the model {expected[tag]}"


def _differences(pairs: dict[str, tuple[Any, Any]]) -> str | None:
    wrong = [f"{name} is {row!r}, the model has {model!r}" for name, (row, model) in pairs.items() if row != model]
    return "; ".join(wrong) or None


def _account(row: dict[str, Any], account: Account | None) -> str | None:
    if account is None:
        return "the model has no such account"
    pairs = {name: (row[name], value) for name, value in account.limits.items()}
    pairs["status"] = (row["status"], account.status)
    pairs["figures"] = (tuple(row[field] for field in ROW_FIGURES), account.figures_from_nothing())
    pairs["next_sequence"] = (row["next_sequence"], account.expected_number)
    pairs["parked"] = (row["parked"], len(account.waiting))
    return _differences(pairs)


def _hold(row: dict[str, Any], hold: Any) -> str | None:
    if hold is None or not hold.alive:
        return "the model has no such hold with money in it"
    if row["open"] + row["capturing"] + row["captured"] + row["released"] != row["amount"]:
        return f"open + capturing + captured + released is not the amount: {row}"
    names = ("account", "amount", "open", "capturing", "closing", "pending", "expires")
    return _differences({name: (row[name], getattr(hold, name)) for name in names})


def _transfer(row: dict[str, Any], memory: Memory | None) -> str | None:
    if memory is None:
        return "the model knows no intent with this id"
    if memory.forgotten_at is not None and row["expires"] != memory.forgotten_at and row["decided"] != memory.decided:
        return (
            None if row["expires"] < memory.forgotten_at else f"expires at {row['expires']}, not {memory.forgotten_at}"
        )
    return _differences(
        {
            "kind": (row["kind"], memory.kind),
            "state": (row["state"], memory.state),
            "reason": (row["reason"], memory.reason),
            "decided": (row["decided"], memory.decided),
            "input": (tuple(row["input"].values()), memory.place),
            "expires": (row["expires"], memory.forgotten_at or 0),
            "intent": (row["intent"], memory.wire),
        }
    )


def _settled(rows: list[dict[str, Any]], settled: list[Any]) -> str | None:
    known = {one.way.pending: one for one in settled}
    for row in rows:
        one = known.get(row["pending"])
        if one is None:
            return f"the model knows no settled transfer with pending {row['pending']}"
        if row["reversing"] + row["reversed"] > row["amount"]:
            return f"more is reversed than was settled: {row}"
        left = row["amount"] - row["reversing"] - row["reversed"]
        pairs = {
            "payee": (row["payee"], one.way.payee),
            "left": (left, one.left),
            "expires": (row["expires"], one.forgotten_at),
        }
        wrong = _differences(pairs)
        if wrong:
            return wrong
    return None


def _show(figures: Any) -> str:
    if figures is None:
        return "none"
    version, (pending, debited, credited) = figures
    return f"[version {version} pending {pending} debits {debited} credits {credited}]"
