"""The three steps of every transfer, matched across partitions: pending, then settled or refused, then the end.

Partitions are read side by side, so an effect may be read before its cause. It waits; what still waits when
everything that was in the journal at that moment has been read (:mod:`streams.reconciliation.waves`) never had a cause.
"""

from __future__ import annotations

from streams.reconciliation.breaks import Breaks

Key = tuple[bytes, int]
"""(transfer id, journal sequence of its PENDING in the payer's partition)."""

Terms = tuple[int, bytes, bytes, bytes]
"""(amount, currency, payer, payee): the same in every step."""

PENDING, SETTLED, REFUSED, POSTED, COMPENSATED = 1, 2, 4, 8, 16
STEPS = {
    (b"PENDING", 1): PENDING,
    (b"SETTLED", 2): SETTLED,
    (b"REFUSED", 2): REFUSED,
    (b"POSTED", 3): POSTED,
    (b"COMPENSATED", 3): COMPENSATED,
}
NAMES = {PENDING: "PENDING", SETTLED: "SETTLED", REFUSED: "REFUSED", POSTED: "POSTED", COMPENSATED: "COMPENSATED"}
COMPLETE = frozenset({PENDING | SETTLED | POSTED, PENDING | REFUSED | COMPENSATED})
CAUSED = frozenset({PENDING, PENDING | SETTLED, PENDING | REFUSED})
"""The steps that an open transfer may have taken: each with the one before it."""
CONTRADICTIONS = (SETTLED | REFUSED, SETTLED | COMPENSATED, REFUSED | POSTED, POSTED | COMPENSATED)

REMEMBERED = 100_000
"""How many finished transfers, at least, are remembered, so that a repeated step is named as one."""


class Open:
    """A transfer of which not all steps were read."""

    __slots__ = ("partition", "sequence", "steps", "terms")

    def __init__(self, terms: Terms) -> None:
        self.steps = 0
        self.terms = terms
        self.partition = self.sequence = 0
        """Where its latest step was read."""


class Transfers:
    """All transfers under way, and those whose steps cannot be explained yet."""

    def __init__(self, breaks: Breaks, remembered: int = REMEMBERED) -> None:
        self._breaks = breaks
        self._open: dict[Key, Open] = {}
        self._finished: set[Key] = set()
        self._finished_before: set[Key] = set()
        """The older half of those that are remembered."""
        self._remembered = remembered
        self.uncaused: dict[Key, None] = {}
        """Those with a step that was read before its cause."""

    def __len__(self) -> int:
        return len(self._open)

    def take(self, step: int, key: Key, terms: Terms, partition: int, sequence: int) -> None:
        """One step, read at ``sequence`` of ``partition``."""
        transfer = self._open.get(key)
        if transfer is None:
            if step != PENDING and (key in self._finished or key in self._finished_before):
                self._repeated(step, key, partition, sequence)
                return
            transfer = self._open[key] = Open(terms)
        elif transfer.terms != terms:
            self._differs(transfer, step, terms, partition, sequence)
        if transfer.steps & step:
            self._repeated(step, key, partition, sequence)
            return
        transfer.steps = steps = transfer.steps | step
        transfer.partition, transfer.sequence = partition, sequence
        if steps in COMPLETE:
            self._finish(key)
        elif steps not in CAUSED:
            self._unexplained(steps, key, partition, sequence)
        elif key in self.uncaused:
            del self.uncaused[key]

    def _differs(self, transfer: Open, step: int, terms: Terms, partition: int, sequence: int) -> None:
        """The PENDING's terms count, whenever it is read."""
        if step == PENDING:
            partition, sequence, transfer.terms, terms = transfer.partition, transfer.sequence, terms, transfer.terms
        self._breaks.add(
            "step_differs", partition, sequence=sequence, expected=_terms(transfer.terms), found=_terms(terms)
        )

    def _finish(self, key: Key) -> None:
        del self._open[key]
        self.uncaused.pop(key, None)
        self._finished.add(key)
        if len(self._finished) > self._remembered:
            self._finished_before, self._finished = self._finished, set()

    def _repeated(self, step: int, key: Key, partition: int, sequence: int) -> None:
        self._breaks.add(
            "step_repeated",
            partition,
            sequence=sequence,
            expected=f"one {NAMES[step]} of {_name(key)}",
            found="another one",
        )

    def _unexplained(self, steps: int, key: Key, partition: int, sequence: int) -> None:
        if any(steps & pair == pair for pair in CONTRADICTIONS):
            self._breaks.add(
                "step_contradicted",
                partition,
                sequence=sequence,
                expected=f"one end of {_name(key)}",
                found=_steps(steps),
            )
            self._finish(key)
        else:
            self.uncaused[key] = None

    def never_caused(self, keys: list[Key]) -> None:
        """Everything that could be the cause of these was read: those that still wait for it are breaks."""
        for key in keys:
            if key in self.uncaused:
                transfer = self._open[key]
                self._breaks.add(
                    "step_without_cause",
                    transfer.partition,
                    sequence=transfer.sequence,
                    expected=f"the steps of {_name(key)} in order",
                    found=_steps(transfer.steps) + " alone",
                )
                self._finish(key)


def _name(key: Key) -> str:
    return f"transfer {key[0].hex()} (PENDING {key[1]})"


def _terms(terms: Terms) -> str:
    amount, currency, payer, payee = terms
    names = [b"?" if name is None else name for name in (currency, payer, payee)]
    unit, giver, taker = (name.decode(errors="replace") for name in names)
    return f"{amount} {unit} from {giver} to {taker}"


def _steps(steps: int) -> str:
    return " and ".join(name for step, name in NAMES.items() if steps & step)
