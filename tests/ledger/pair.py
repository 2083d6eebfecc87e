"""The ledger and the model side by side: both get every input, and after each one they must agree in everything."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from streams.ledger.decide import decide
from streams.ledger.decision import Decision
from streams.ledger.inputs import IntentInput, LegInput, TickInput, UnreadableInput
from streams.ledger.intents import Intent
from streams.ledger.journal import JournalRecord
from streams.ledger.legs import Leg
from streams.ledger.memory import MemoryState
from streams.ledger.rows import Position
from streams.ledger.vocabulary import FINAL, Input, LegKind
from streams.reconciliation.model import Delivered, Model, expected
from streams.reconciliation.model.memory import Hold
from streams.reconciliation.model.names import home_of

DAY = 86_400_000_000
"""Microseconds."""
START = 1_790_000_000_000_000
PENDING, SETTLED = "PENDING", "SETTLED"


def plain_intent(intent: Intent) -> dict[str, Any]:
    """An intent as the Avro codec gives it to someone who knows no classes of the ledger."""
    body = intent._asdict()
    del body["wire"]
    replacement = body.get("replacement")
    if replacement is not None:
        body["replacement"] = replacement._asdict()
    return body


def plain_record(record: JournalRecord) -> dict[str, Any]:
    """A journal record likewise, with positions as tuples."""
    plain = record._asdict()
    for field in ("input", "trigger"):
        plain[field] = tuple(plain[field])
    for field in ("figures", "dead_letter"):
        plain[field] = None if plain[field] is None else plain[field]._asdict()
    if record.entry is not None:
        plain["entry"] = [posting._asdict() for posting in record.entry]
    if record.first is not None:
        plain["first"] = {**record.first._asdict(), "input": tuple(record.first.input)}
    return plain


class Pair:
    """``partitions`` of the real ledger over memory states, legs between them in queues, and one model of it all."""

    def __init__(self, partitions: int) -> None:
        self.count = partitions
        self.states = [MemoryState(number) for number in range(partitions)]
        self.model = Model(partitions)
        self.time = START
        self.legs: dict[tuple[int, int], deque[Leg]] = {}
        """(source, destination) -> legs under way, first in first out."""
        self.intent_offsets = [0] * partitions
        self.leg_offsets = [0] * partitions
        self.sent: list[tuple[int, bytes | None, Intent]] = []
        self.carried: list[dict[tuple[int, int], tuple[int, Leg]]] = [{} for _ in range(partitions)]
        """By partition: (offset, index) -> (source, leg) that was delivered."""
        self.intents: list[dict[int, Delivered]] = [{} for _ in range(partitions)]
        self.journal: list[list[dict[str, Any]]] = [[] for _ in range(partitions)]
        self.finals: Counter[tuple[str, int, int, int]] = Counter()
        self.steps = 0

    def home(self, key: bytes) -> int:
        """The partition of a key."""
        return home_of(key, self.count)

    def send(self, intent: Intent, partition: int | None = None, key: bytes | None = None) -> None:
        """Deliver an intent, at its home and under its key unless told otherwise."""
        if partition is None:
            key = intent.account.encode()
            partition = self.home(key)
        misrouted = key != intent.account.encode() or self.home(key) != partition
        if not intent.account and type(intent).__name__ in ("Configure", "Resolve"):
            misrouted = key is not None
        self.sent.append((partition, key, intent))
        position = self._next_intent(partition)
        wire = f"intent {position.partition}/{position.offset}".encode()
        intent = intent._replace(wire=wire)
        body, name = plain_intent(intent), type(intent).__name__
        self.intents[partition][position.offset] = Delivered(self.time, key, wire, name, body)
        records = self.model.intent(tuple(position), self.time, key, name, body, wire)
        self._decide(partition, IntentInput(position, self.time, intent, misrouted), records)

    def configure(self, intent: Intent, partition: int) -> None:
        """Deliver an operator's word to one partition: null key."""
        self.send(intent, partition, None)

    def send_again(self, index: int) -> None:
        """Deliver an intent that was delivered before."""
        partition, key, intent = self.sent[index % len(self.sent)]
        self.send(intent, partition, key)

    def tick(self, partition: int) -> None:
        """Deliver a Tick."""
        position = self._next_intent(partition)
        self.intents[partition][position.offset] = Delivered(self.time, None, None)
        self._decide(partition, TickInput(position, self.time), self.model.tick(tuple(position), self.time))

    def unreadable(self, partition: int) -> None:
        """Deliver what nobody can decode."""
        position, about = self._next_intent(partition), ("bad_magic", 3, b"h" * 32)
        delivered = Delivered(self.time, b"k", b"bad", reason=about[0], length=about[1], sha256=about[2])
        self.intents[partition][position.offset] = delivered
        records = self.model.unreadable(tuple(position), self.time, *about)
        self._decide(partition, UnreadableInput(position, self.time, *about), records)

    def carry(self, choice: int, count: int = 1) -> None:
        """Deliver the next legs of one of the queues."""
        for _ in range(count):
            waiting = [pair for pair, queue in self.legs.items() if queue]
            if not waiting:
                return
            source, to = sorted(waiting)[choice % len(waiting)]
            leg = self.legs[source, to].popleft()
            position = Position(Input.LEGS, to, self.leg_offsets[to], 0)
            self.leg_offsets[to] += 1
            self.carried[to][position.offset, 0] = (source, leg)
            step = 2 if leg.kind is LegKind.CREDIT else 3
            records = self.model.leg(tuple(position), step, leg.transfer, leg.pending)
            assert records is not None, f"the model knows nothing of {leg}"
            self._decide(to, LegInput(position, leg), records)

    def carry_all(self) -> None:
        """Deliver every leg, and those that they cause."""
        while any(self.legs.values()):
            self.carry(0)

    def _next_intent(self, partition: int) -> Position:
        offset = self.intent_offsets[partition]
        self.intent_offsets[partition] += 1
        return Position(Input.INTENTS, partition, offset, 0)

    def _decide(self, partition: int, given: Any, model_records: list[dict[str, Any]]) -> None:
        self.steps += 1
        state = self.states[partition]
        decision = decide(state, given)
        assert decide(state, given) == decision, "decide is a function of the state and the input alone"
        records = [plain_record(record) for record in decision.records]
        assert records == model_records
        state.apply(decision)
        self.journal[partition] += records
        self._send_legs(partition, decision)
        self._check_records(partition, decision.records)
        self._check_rows(decision)

    def _send_legs(self, partition: int, decision: Decision) -> None:
        for account, leg in decision.legs:
            step = 2 if leg.kind is LegKind.CREDIT else 3
            way = self.model.world.legs[step, leg.transfer, leg.pending]
            assert leg[3:8] == (way.memory.kind, way.payer, way.payee, way.amount, way.currency)
            assert account == (way.payee if step == 2 else way.payer)
            assert leg.kind != LegKind.REFUSED or leg.reason == way.answer
            self.legs.setdefault((partition, self.home(account.encode())), deque()).append(leg)
        under_way = sum(map(len, self.legs.values()))
        assert under_way == len(self.model.world.legs), (
            "every leg of the model is under way in the ledger, and no other"
        )

    def _check_records(self, partition: int, records: list[JournalRecord]) -> None:
        for record in records:
            assert record.sequence == record.ordinal + records[0].sequence
            if record.outcome in FINAL:
                self.finals[tuple(record.input if record.step < 3 else self._input_of(partition, record))] += 1
            if record.entry is not None:
                sides = Counter({"DEBIT": 0, "CREDIT": 0})
                for posting in record.entry:
                    sides[posting.side] += posting.amount
                assert sides["DEBIT"] == sides["CREDIT"] > 0
            if record.figures is not None:
                assert min(record.figures) >= 0
                assert max(record.figures.debits_pending + record.figures.debits_posted, record.figures[2]) < 2**63

    def _input_of(self, partition: int, record: JournalRecord) -> tuple[Any, ...]:
        """The intent that a step 3 ends."""
        pending = self.journal[partition][record.pending - 1]
        assert (pending["outcome"], pending["transfer"]) == (PENDING, record.transfer)
        return tuple(pending["input"])

    def _check_rows(self, decision: Decision) -> None:
        """Every row that changed says what the model says, and no debit went below the account's limit."""
        for name, row in decision.accounts.items():
            account = self.model.world.accounts[name]
            pending, debited, credited = account.figures()
            assert (row.debits_pending, row.debits_posted, row.credits_posted) == (pending, debited, credited)
            assert (row.status, row.currency, row.version) == (account.status, account.currency, account.version)
            assert (row.next_sequence, row.parked) == (account.expected_number, len(account.waiting))
            assert {limit: getattr(row, limit) for limit in account.limits} == account.limits
        for record in decision.records:
            forced = record.kind == "REVERSE"
            debit = record.outcome == PENDING or (record.kind == "HOLD" and record.outcome == "APPLIED")
            if debit and record.figures is not None and not forced:
                floor = self.model.world.accounts[record.account or ""].limits["minimum_balance"]
                figures = record.figures
                left = figures.credits_posted - figures.debits_posted - figures.debits_pending
                assert floor is None or left >= floor

    def check_everything(self) -> None:
        """What must hold at any moment, over all tables."""
        for account in self.model.world.accounts.values():
            assert account.figures() == account.figures_from_nothing()
            row = self.states[self.home(account.name.encode())].account(account.name)
            assert row is not None
            assert (row.debits_pending, row.debits_posted, row.credits_posted) == account.figures()
        self._check_holds()
        self._check_conservation()
        assert all(count == 1 for count in self.finals.values())

    def _check_holds(self) -> None:
        for transfer, hold in self.model.world.holds.items():
            row = self.states[self.home(hold.account.encode())].hold(transfer)
            assert (row is not None) == hold.alive
            if row is not None:
                self._check_hold(row, hold)

    def _check_hold(self, row: Any, hold: Hold) -> None:
        assert row.open + row.capturing + row.captured + row.released == row.amount == hold.amount
        assert (row.open, row.capturing, row.closing) == (hold.open, hold.capturing, hold.closing)
        assert (row.pending, row.expires) == (hold.pending, hold.expires)

    def _check_conservation(self) -> None:
        """Per currency: credits less debits are what is settled and not yet posted; pending covers holds and ways."""
        at_rest: Counter[str] = Counter()
        reserved: Counter[str] = Counter()
        for account in self.model.world.accounts.values():
            pending, debited, credited = account.figures()
            at_rest[account.currency] += credited - debited
            reserved[account.currency] += pending
        crossing: Counter[str] = Counter()
        held: Counter[str] = Counter()
        for (step, _, _), way in self.model.world.legs.items():
            if step == 3 and way.answer == "settled":
                crossing[way.currency] += way.amount
            if way.hold is None:
                held[way.currency] += way.amount
        for hold in self.model.world.holds.values():
            held[hold.currency] += hold.open + hold.capturing
        for currency in at_rest:
            assert at_rest[currency] == crossing[currency]
            assert reserved[currency] == held[currency]

    def check_end(self) -> None:
        """After all legs: nothing is pending but holds, every intent has one end, a second model finds no fault."""
        self.carry_all()
        self.check_everything()
        assert not self.model.world.legs
        parked = {m.place for m in self.model.world.memories.values() if m.state == "PARKED"}
        every = {("INTENTS", p, offset, 0) for p in range(self.count) for offset in range(self.intent_offsets[p])}
        ticks = {
            ("INTENTS", p, offset, 0)
            for p, given in enumerate(self.intents)
            for offset in given
            if not given[offset].value
        }
        assert {place for place in self.finals if self.finals[place] == 1} == every - parked - ticks
        result = expected(self.intents, self.journal)
        assert result.disagreements == []
        assert result.expected == result.found
        assert [len(done) for done in result.processed] == self.intent_offsets
