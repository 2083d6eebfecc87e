"""The demo's report: what happened beside what the independent model expected, and every verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from connectors.cli.verify import show
from examples.demo.books import AgentWord, Counts
from examples.demo.traffic import Traffic
from streams.ledger.currencies import EXPONENTS
from streams.reconciliation.invariants import Verification


def print_report(
    console: Console,
    result: Verification,
    agent: AgentWord | None,
    moved: Counts,
    seconds: float,
    traffic: Traffic,
) -> bool:
    """Print it all. Gives whether everything holds."""
    outcomes, expected = _summed(result.evidence.books.outcomes), _summed(result.model.expected)
    console.print()
    console.print(_outcomes(outcomes, expected))
    console.print()
    console.print(_money(result))
    console.print()
    as_expected = outcomes == expected
    balanced = agent is not None and agent.verdict == "BALANCED"
    console.print("outcomes and reasons as the independent model expected: " + _word(as_expected))
    found = "no report" if agent is None else f"{agent.verdict}, {agent.breaks} breaks"
    console.print(f"reconciliation agent: {found}   " + _word(balanced), highlight=False)
    console.print()
    show(result.verdicts, console)
    console.print()
    sent = sum(traffic.labels.values())
    console.print(
        f"{sent:,} intents in all; the last phase: {moved.final:,} outcomes, {moved.settled:,} settled, "
        f"{moved.records:,} journal records in {seconds:.1f} s, through Kafka into Postgres: "
        f"{moved.final / seconds:,.0f} intents/s, {moved.settled / seconds:,.0f} settled/s",
        highlight=False,
        soft_wrap=True,
    )
    holds = as_expected and balanced and result.holds
    console.print("[bold green]everything holds[/]" if holds else "[bold red]SOMETHING DOES NOT HOLD[/]")
    return holds


def _summed(counts: Mapping[tuple[str, str, str], int]) -> Counter[tuple[str, str]]:
    """The counts of all kinds together, by (outcome, reason)."""
    summed: Counter[tuple[str, str]] = Counter()
    for (_, outcome, reason), count in counts.items():
        summed[outcome, reason] += count
    return summed


def _word(holds: bool) -> str:
    return "[green]yes[/]" if holds else "[bold red]NO[/]"


def _outcomes(outcomes: Counter[tuple[str, str]], expected: Counter[tuple[str, str]]) -> Table:
    table = Table(
        "outcome", "reason", box=None, pad_edge=False, title="journal records in Postgres", title_justify="left"
    )
    table.add_column("found", justify="right")
    table.add_column("model", justify="right")
    table.add_column("")
    for outcome, reason in sorted(outcomes.keys() | expected.keys()):
        found, wanted = outcomes[outcome, reason], expected[outcome, reason]
        table.add_row(outcome, reason, f"{found:,}", f"{wanted:,}", "" if found == wanted else "[bold red]differs[/]")
    return table


def _money(result: Verification) -> Table:
    table = Table("currency", box=None, pad_edge=False, title="postings in Postgres", title_justify="left")
    table.add_column("debits", justify="right")
    table.add_column("credits", justify="right")
    for currency, (debits, credits) in result.evidence.books.totals.items():
        table.add_row(currency, _major(debits, currency), _major(credits, currency))
    return table


def _major(amount: int, currency: str) -> str:
    """An amount in units of the currency, with as many decimals as it has."""
    digits = EXPONENTS[1][currency]
    whole, rest = divmod(amount, 10**digits)
    return f"{whole:,}" + (f".{rest:0{digits}}" if digits else "")
