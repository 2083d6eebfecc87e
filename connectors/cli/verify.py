"""``twofold verify``: judge every invariant over live Kafka and Postgres."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from connectors.cli.topics import cluster_options, settings_from
from schemas.errors import NotRegistered, RegistryAway
from streams.reconciliation.invariants import Verdict, verify_all
from streams.reconciliation.proof.books import CannotReadBooks
from streams.reconciliation.proof.topics import CannotRead


@click.command()
@cluster_options
@click.option("--registry-url", help="Schema registry. [TWOFOLD_REGISTRY_URL]")
@click.option("--postgres-dsn", help="Postgres. [TWOFOLD_POSTGRES_DSN]")
@click.option("--drained", is_flag=True, help="Also demand that nothing is under way any more.")
@click.option("--deep", is_flag=True, help="Compare every row of Postgres one by one, not digests alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object with all verdicts and their examples.")
def verify(drained: bool, deep: bool, as_json: bool, **given: Any) -> None:
    """Check the nine invariants of the ledger, without stopping anything.

    Reads the intents, the legs, the journal, the changelogs and one snapshot of Postgres, runs an independent model
    over the intents in the journal's order, and compares. One line for each invariant: what was looked at, or the
    first counter-example and where it is (topic[partition] offset).

    \b
    twofold verify                 while everything runs
    twofold verify --drained       after the last intent: also that nothing is left under way
    twofold verify --json | jq '.verdicts[] | select(.holds | not)'

    Exit codes: 0 every invariant holds; 1 one does not; 2 wrong usage or something does not answer.
    """
    settings = settings_from(**given)
    started = time.monotonic()
    try:
        verdicts = verify_all(settings, drained=drained, deep=deep, say=_progress(as_json))
    except (CannotRead, CannotReadBooks, RegistryAway, NotRegistered) as error:
        raise click.UsageError(str(error)) from None
    seconds = time.monotonic() - started
    if as_json:
        holds = all(verdict.holds for verdict in verdicts)
        found = {"holds": holds, "seconds": round(seconds, 1), "verdicts": [v.as_json() for v in verdicts]}
        click.echo(json.dumps(found, indent=2))
    else:
        show(verdicts, Console())
    sys.exit(0 if all(verdict.holds for verdict in verdicts) else 1)


def show(verdicts: list[Verdict], console: Console) -> None:
    """One line for each invariant, and the counter-examples under the broken ones."""
    for verdict in verdicts:
        mark = "[green]holds [/]" if verdict.holds else "[bold red]BROKEN[/]"
        line = f"{verdict.number} {mark} {verdict.name}" + (
            f"  [dim]{escape(verdict.detail)}[/]" if verdict.holds else ""
        )
        console.print(line, highlight=False, soft_wrap=True)
        for example in verdict.examples:
            console.print(f"           {escape(example)}", highlight=False, soft_wrap=True)


def _progress(quiet: bool) -> Callable[[str], None]:
    """Tells on a terminal's standard error what is being done."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return lambda text: None
    return lambda text: console.print(f"[dim]{escape(text)}[/]", highlight=False)
