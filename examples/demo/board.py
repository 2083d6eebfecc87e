"""Live progress: one line that changes on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from examples.demo.books import Books, Counts
from examples.demo.stack import DemoFailed, Stack
from examples.demo.traffic import Traffic

LOOK_SECONDS = 0.5
PLAIN_SECONDS = 3.0
STATUS_SECONDS = 10.0
PATIENCE_SECONDS = 120.0


class Board:
    """Reads Kafka and Postgres and shows what it read."""

    def __init__(self, console: Console, books: Books, traffic: Traffic, stack: Stack) -> None:
        self._console = console
        self._books = books
        self._traffic = traffic
        self._stack = stack
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._said = self._asked = 0.0
        self._before: tuple[float, int] | None = None
        self._rate = 0.0

    def __enter__(self) -> Board:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Show what is being done."""
        if self._console.is_terminal:
            self._live.update(Text(text, style="dim"))

    def watch_until_drained(self) -> None:
        """Show progress until every acknowledged intent has its final outcome in Postgres."""
        last, moved = Counts(-1, 0, 0, 0), time.monotonic()
        while True:
            counts = self._books.counts()
            if counts != last:
                last, moved = counts, time.monotonic()
            self._show(counts)
            done = self._traffic.done
            if done and counts.final >= self._traffic.expected and counts.pending == 0:
                return
            self._look_after_the_processes(moved)
            time.sleep(LOOK_SECONDS if self._traffic.expected - counts.final > 2_000 else 0.1)

    def _look_after_the_processes(self, moved: float) -> None:
        now = time.monotonic()
        if now - moved > PATIENCE_SECONDS:
            raise DemoFailed(f"nothing has moved for {PATIENCE_SECONDS:.0f} s")
        if now - self._asked > STATUS_SECONDS:
            self._asked = now
            halted = self._stack.halted()
            if halted:
                raise DemoFailed(halted)

    def _show(self, counts: Counts) -> None:
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said < PLAIN_SECONDS:
            return
        if self._before is not None and now > self._before[0]:
            self._rate = (counts.settled - self._before[1]) / (now - self._before[0])
        if self._before is None or now - self._before[0] > 1:
            self._before = (now, counts.settled)
        self._said = now
        word = self._books.reconciliation()
        line = (
            f"produced {self._traffic.acknowledged:>7,}   decided {counts.final:>7,}   settled {counts.settled:>7,}   "
            f"in flight {counts.pending:>6,}   {self._rate:>7,.0f} settled/s   lag {self._books.lag():>7,}   "
            f"reconciliation {word.verdict if word else '-'}"
        )
        if self._console.is_terminal:
            self._live.update(Text(line))
        else:
            self._console.print(line, highlight=False, soft_wrap=True)
