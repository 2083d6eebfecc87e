"""Postgres compared with the journal at the sink's own positions: balances, sums, and the append-only tables.

A round: the snapshot's positions are read; once the fold has passed them (and not before), :meth:`Postgres.wanted`
moves the expected figures to exactly these positions and says what to read in the snapshot; :meth:`Postgres.compare`
compares it. Rows that changed are read in the same round, all others by a sweep that goes round for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from streams.reconciliation.accounts import POSTGRES, Account, Cursor, Figures, Sums
from streams.reconciliation.blocks import BLOCK, Digests, Range
from streams.reconciliation.breaks import Breaks
from streams.reconciliation.journal import Journal
from streams.reconciliation.snapshot import Balance, Found, Wanted
from streams.reconciliation.tables import shown

SWEPT_BALANCES = 10_000
"""Balances that a round sweeps."""
NEW_BLOCKS = 40
"""Blocks written since the last round that a round hashes: more than the sink can fill between two rounds."""
SWEPT_BLOCKS = 4
"""Older blocks that a round hashes again."""
FAULTS = {"transfer_events": "postgres_event", "entries": "postgres_entry", "postings": "postgres_postings"}


class Postgres:
    """What is known of the sink's tables."""

    def __init__(self, journal: Journal, cursor: Cursor, breaks: Breaks, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds that never go back."""
        self._journal, self._cursor, self._breaks, self._clock = journal, cursor, breaks, clock
        self.behind: set[int] = set()
        """Partitions that are not compared: the sink is too far behind, or was put back to an older copy."""
        self._changed: dict[str, Account] = {}
        """Accounts that are to be compared: a round that failed leaves its own to the next."""
        self._ranges: list[Range] = []
        self._hashed = [0] * len(journal.partitions)
        """How many blocks of each partition were hashed since the start."""
        self._swept = [0] * len(journal.partitions)
        """How many of them the sweep that is under way has hashed again."""
        self._bad: dict[tuple[int, int], tuple[Range, Digests]] = {}
        """Ranges that differ, by partition and first sequence, with what Postgres had then."""
        self._beyond: set[tuple[str, int, int]] = set()
        self._unknown: dict[str, int] = {}
        """Balances of accounts that the journal does not have, with their partition."""
        self._after = ""
        self._sweep = 1
        self._balances_since = self._blocks_since = clock()
        self._balances_fresh: float | None = None
        self._blocks_fresh: float | None = None
        self._sums_again = 0.0

    def far_enough(self, positions: Mapping[int, int]) -> bool:
        """Whether the fold has passed these positions of the sink."""
        return all(part.sequence >= positions.get(part.number, 0) for part in self._journal.partitions)

    def wanted(self, positions: Mapping[int, int]) -> Wanted:
        """Move to the snapshot's positions, and say what to read in it."""
        self._changed |= {str(account): account for account in self._broken_accounts()}
        self.behind = set()
        self._ranges = []
        for part in self._journal.partitions:
            position = positions.get(part.number, 0)
            if not self._cursor.comparable(part.number, position):
                self.behind.add(part.number)
                continue
            for account in self._cursor.advance(part.number, position):
                self._changed[str(account)] = account
        compared = {p: positions.get(p, 0) for p in range(len(self._journal.partitions)) if p not in self.behind}
        self._choose_ranges(compared)
        due = self._clock() >= self._sums_again and not self.behind
        return Wanted([*self._changed, *self._unknown], self._after, SWEPT_BALANCES, self._ranges, due)

    def compare(self, found: Found, seconds: float) -> list[Range]:
        """Compare what was read in ``seconds``; gives the ranges whose rows differ, to be looked at row by row."""
        self._balances(found)
        self._end_of_sweep(found)
        if found.sums is not None:
            self._sums(found.sums)
            self._sums_again = self._clock() + 20 * seconds
        self._rows_beyond(found.beyond)
        self._changed = {}
        return [part for part, digests in zip(self._ranges, found.digests, strict=True) if self._differs(part, digests)]

    def age(self) -> float | None:
        """Seconds since the oldest comparison of what nothing changed; None before the first sweep is through."""
        if self._balances_fresh is None or self._blocks_fresh is None:
            return None
        return self._clock() - min(self._balances_fresh, self._blocks_fresh)

    def name(self, table: str, part: Range, expected: Iterable[bytes], found: Iterable[bytes]) -> None:
        """Compare the lines of one table in a range that differs, and say which rows they are."""
        ours, theirs = _by_sequence(expected), _by_sequence(found)
        fault = FAULTS[table]
        for sequence in sorted(ours.keys() | theirs.keys()):
            have, got = ours.get(sequence), theirs.get(sequence)
            if have == got:
                continue
            if have is None:
                kind = f"{fault}_unexpected"
            elif got is None or (table == "postings" and len(got) < len(have)):
                kind = f"{fault}_missing"
            elif table == "postings":
                kind = "postgres_postings_unexpected" if len(got) > len(have) else "postgres_postings_differ"
            else:
                kind = f"{fault}_differs"
            self._breaks.add(kind, part.partition, sequence=sequence, expected=_text(have), found=_text(got))

    # balances

    def _broken_accounts(self) -> list[Account]:
        names = (b.account.encode() for b in self._breaks.of("postgres_balance"))
        return [account for name in names if (account := self._journal.accounts.get(name)) is not None]

    def _balances(self, found: Found) -> None:
        rows = {row.account: row for row in found.changed}
        for name, account in self._changed.items():
            account.swept = self._sweep
            if account.partition not in self.behind:
                self._balance(account, rows.get(name))
        for name in [name for name in self._unknown if name not in rows]:
            self._breaks.repaired("postgres_balance_unknown", self._unknown.pop(name), name)
        for row in found.swept:
            known = self._journal.accounts.get(row.account.encode())
            if known is None or known.at[POSTGRES] is None:
                if known is None or known.partition not in self.behind:
                    self._unknown[row.account] = row.partition
                    self._broken("postgres_balance_unknown", row.partition, row.account, None, _figures(row))
            elif row.account not in self._changed:
                known.swept = self._sweep
                if known.partition not in self.behind:
                    self._balance(known, row)

    def _balance(self, account: Account, row: Balance | None) -> None:
        expected = account.at[POSTGRES]
        found = None if row is None else _figures(row)
        same_place = row is None or (row.currency.encode() == account.currency and row.partition == account.partition)
        if found == expected and same_place:
            self._breaks.repaired("postgres_balance", account.partition, str(account))
            return
        if found is None or expected is None:
            kind = "missing" if found is None else "unknown"
        elif found[0] == expected[0]:
            kind = "differs"
        else:
            kind = "behind" if found[0] < expected[0] else "ahead"
        self._broken(f"postgres_balance_{kind}", account.partition, str(account), expected, found)

    def _end_of_sweep(self, found: Found) -> None:
        if len(found.swept) == SWEPT_BALANCES:
            self._after = found.swept[-1].account
            return
        for account in self._journal.accounts.values():
            expected = account.at[POSTGRES]
            if expected is not None and account.swept != self._sweep and account.partition not in self.behind:
                self._broken("postgres_balance_missing", account.partition, str(account), expected, None)
        self._after = ""
        self._sweep += 1
        self._balances_fresh, self._balances_since = self._balances_since, self._clock()

    def _sums(self, sums: Mapping[str, tuple[int, int, int, int]]) -> None:
        expected = {currency.decode(errors="replace"): s for currency, s in self._cursor.sums.items()}
        for currency in expected.keys() | sums.keys():
            have, got = expected.get(currency, Sums()), Sums(*sums.get(currency, (0, 0, 0, 0)))
            if have == got:
                self._breaks.repaired("postgres_sums_differ", -1, currency)
            else:
                self._breaks.add("postgres_sums_differ", -1, account=currency, expected=have, found=got)

    # the append-only tables

    def _choose_ranges(self, positions: Mapping[int, int]) -> None:
        left = NEW_BLOCKS
        for p, position in positions.items():
            blocks = self._journal.partitions[p].blocks
            for number in range(self._hashed[p], min(blocks.full(position), self._hashed[p] + left)):
                self._ranges.append(blocks.block(number))
                left -= 1
            tail = blocks.tail(position)
            if tail is not None:
                self._ranges.append(tail)
        known = {(r.partition, r.first) for r in self._ranges}
        self._ranges.extend(
            part for place, (part, _) in self._bad.items() if place not in known and part.partition in positions
        )
        self._sweep_blocks(positions)

    def _sweep_blocks(self, positions: Mapping[int, int]) -> None:
        for _ in range(SWEPT_BLOCKS):
            p = next((p for p in positions if self._swept[p] < self._hashed[p]), None)
            if p is None:
                self._swept = [0] * len(self._swept)
                self._blocks_fresh, self._blocks_since = self._blocks_since, self._clock()
                return
            self._ranges.append(self._journal.partitions[p].blocks.block(self._swept[p]))
            self._swept[p] += 1

    def _differs(self, part: Range, found: Digests) -> bool:
        """Whether the rows of a range have to be looked at: they differ, and not as they did before."""
        place = (part.partition, part.first)
        if part.last == (self._hashed[part.partition] + 1) * BLOCK:
            self._hashed[part.partition] += 1
        if found == part.digests:
            if place in self._bad:
                del self._bad[place]
                self._forget(part)
            return False
        known = self._bad.get(place)
        self._bad[place] = (part, found)
        if known is not None and known[1] == found:
            return False
        self._forget(part)
        return True

    def _forget(self, part: Range) -> None:
        for fault in FAULTS.values():
            for b in self._breaks.of(fault):
                if b.partition == part.partition and part.first <= b.sequence <= part.last:
                    self._breaks.repaired(fault, b.partition, b.sequence)

    def _rows_beyond(self, beyond: Iterable[tuple[str, int, int]]) -> None:
        """Rows of records that the sink has not come to: it never wrote them."""
        now = {(FAULTS[table] + "_unexpected", partition, sequence) for table, partition, sequence in beyond}
        for kind, partition, sequence in self._beyond - now:
            self._breaks.repaired(kind, partition, sequence)
        for kind, partition, sequence in now:
            self._breaks.add(
                kind, partition, sequence=sequence, expected="no row", found="a row beyond the sink's position"
            )
        self._beyond = now

    def _broken(self, kind: str, partition: int, account: str, expected: Figures | None, found: Figures | None) -> None:
        self._breaks.add(
            kind,
            partition,
            sequence=0 if expected is None else expected[0],
            account=account,
            expected=shown(expected),
            found=shown(found),
        )


def _figures(row: Balance) -> Figures:
    return row.version, (row.debits_pending, row.debits_posted, row.credits_posted)


def _by_sequence(lines: Iterable[bytes]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for line in lines:
        found.setdefault(int(line[: line.index(b"|")]), []).append(line)
    return found


def _text(lines: list[bytes] | None) -> str:
    return "no row" if lines is None else "; ".join(line.decode(errors="replace") for line in lines)
