"""``make demo``: start everything, send seeded traffic, watch it settle, prove the books, stop everything."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from connectors.producer import NotDelivered
from examples.demo.board import Board
from examples.demo.books import Books
from examples.demo.report import print_report
from examples.demo.stack import DemoFailed, Stack
from examples.demo.traffic import Traffic
from streams.reconciliation.invariants import verification

INTERRUPTED = 130
PARK_SECONDS = 5
"""How long an early intent waits for the gap before it: short, since the demo waits for it."""


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--intents", default=50_000, show_default=True, type=click.IntRange(100), help="How many intents to send."
)
@click.option(
    "--accounts", default=2_000, show_default=True, type=click.IntRange(40), help="How many accounts to open."
)
@click.option("--seed", default=2026, show_default=True, help="The same seed gives the same intents.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Payment worker processes.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data directory, kept afterwards. Default: a temporary one."
)
def demo(intents: int, accounts: int, seed: int, workers: int, data: Path | None) -> None:
    """Run the ledger from nothing to a proved result; exit code 0 only if everything holds."""
    console = Console()
    folder = data or Path(tempfile.mkdtemp(prefix="twofold-demo-"))
    holds = False
    try:
        with Stack(folder, workers, console) as stack:
            holds = run(stack, console, intents, accounts, seed)
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped")
        sys.exit(INTERRUPTED)
    except (DemoFailed, NotDelivered) as error:
        console.print(f"[bold red]{error}[/]", highlight=False)
        console.print(f"logs: {folder / 'logs'}")
        sys.exit(1)
    if not holds:
        console.print(f"logs and data: {folder}")
    elif data is None:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if holds else 1)


def run(stack: Stack, console: Console, intents: int, accounts: int, seed: int) -> bool:
    """Send, watch, prove, report. Gives whether everything holds."""
    settings = stack.settings
    with Books(settings) as books, Traffic(settings, seed) as traffic, Board(console, books, traffic, stack) as board:
        traffic.configure(PARK_SECONDS)
        console.print(f"opening {accounts:,} accounts in EUR, USD and JPY")
        traffic.open_accounts(accounts)
        board.watch_until_drained()
        traffic.fund_accounts()
        board.watch_until_drained()
        console.print(f"producing {intents:,} intents")
        before, begun = books.counts(), time.monotonic()
        traffic.produce(intents)
        board.watch_until_drained()
        seconds = time.monotonic() - begun
        moved = books.counts().minus(before)
        console.print("every intent has its outcome in Postgres; proving it")
        result = verification(settings, drained=True, say=board.say)
        agent = books.wait_for_reconciliation()
    return print_report(console, result, agent, moved, seconds, traffic)


if __name__ == "__main__":
    demo()
