"""One partition's part of a batch: each record decoded, decided, and written to tables and topics.

Nothing here knows a rule about money. What it knows is how a record can be unfit: an intent that cannot be decoded
goes to the dead letters and the queue goes on; a leg that cannot be decoded or applied stops its queue, since others'
money is in it, until an operator's ``Resolve`` says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from schemas.errors import RegistryAway
from streams.agents.codec import BadIntent, LedgerCodec
from streams.agents.deadlines import Deadlines
from streams.agents.legs import Incoming, Outgoing
from streams.agents.routing import Routes
from streams.agents.state import TableState
from streams.engine.batch import Batch
from streams.engine.errors import Unavailable
from streams.engine.record import Record
from streams.ledger.decide import decide
from streams.ledger.decision import Decision, LegCannotBeApplied, UnknownRules
from streams.ledger.inputs import IntentInput, LedgerInput, LegInput, TickInput, UnreadableInput
from streams.ledger.intents import Configure, Intent, Resolve
from streams.ledger.legs import Leg
from streams.ledger.rows import Position
from streams.ledger.vocabulary import Input, LegKind, Resolution


class Outputs(NamedTuple):
    """Full names of the topics that the agent writes."""

    journal: str
    legs: str
    dead_letters: str


class Turn:
    """One partition in one batch."""

    def __init__(
        self,
        batch: Batch,
        partition: int,
        codec: LedgerCodec,
        routes: Routes,
        deadlines: Deadlines,
        outputs: Outputs,
        on_tick: Callable[[int], None],
    ) -> None:
        tables = batch.tables(partition)
        self._batch = batch
        self._partition = partition
        self._codec = codec
        self._routes = routes
        self._outputs = outputs
        self._emit = batch.emit
        self._encode_journal = codec.encode_journal
        self._on_tick = on_tick
        self._state = TableState(partition, tables, deadlines)
        self._incoming = Incoming(tables)
        self._outgoing = Outgoing(partition, tables, routes, codec, self._emit_legs)

    def take(self, record: Record) -> None:
        """Decide one record. Raises what the engine pauses or isolates a batch for."""
        try:
            if record.topic == self._outputs.legs:
                self._take_legs(record)
            else:
                self._take_intent(record)
        except RegistryAway as away:
            raise Unavailable(str(away), record.queue) from None
        except UnknownRules as fault:
            self._batch.halt(record, record.index, f"{fault}: start a worker that knows this rules version")

    def finish(self) -> None:
        """Write what is written once a batch."""
        self._outgoing.flush()
        self._state.finish()

    # intents

    def _take_intent(self, record: Record) -> None:
        position = Position(Input.INTENTS, self._partition, record.offset)
        time = record.timestamp_ms * 1000
        value = record.value
        if value is None and record.key is None:
            self._on_tick(self._partition)
            self._decide(TickInput(position, time))
            return
        try:
            if value is None:
                raise BadIntent("null_value", "a key without a value")
            intent = self._codec.decode_intent(value)
        except BadIntent as fault:
            self._dead_letter(record, position, time, fault.reason)
            return
        decision = self._decide(IntentInput(position, time, intent, self._is_misrouted(record.key, intent)))
        if decision.resolved is not None:
            self._batch.retry(self._outputs.legs, self._partition)

    def _is_misrouted(self, key: bytes | None, intent: Intent) -> bool:
        if isinstance(intent, Resolve):
            return key is not None or intent.partition != self._partition
        if isinstance(intent, Configure):
            return key is not None
        account = intent.account
        return key != account.encode() or self._routes[account] != self._partition

    def _dead_letter(self, record: Record, position: Position, time: int, reason: str) -> None:
        value = record.value or b""
        letter = self._codec.encode_dead_letter(record.topic, self._partition, record.offset, reason, value)
        self._emit(self._outputs.dead_letters, self._partition, letter, record.key)
        self._decide(UnreadableInput(position, time, reason, len(value), sha256(value).digest()))

    # legs

    def _take_legs(self, record: Record) -> None:
        try:
            packed = self._codec.decode_legs(record.value or b"")
        except BadIntent as fault:
            self._take_unreadable_legs(record, f"the record of legs cannot be decoded ({fault.reason})")
            return
        broken = self._incoming.fault(packed, record.index)
        if broken is not None and not self._is_accepted(record):
            self._batch.halt(record, record.index, broken)
            return
        for index in range(record.index, len(packed.legs)):
            reason = self._take_leg(Position(Input.LEGS, self._partition, record.offset, index), packed.legs[index])
            if reason is not None:
                self._incoming.advance(packed.source, packed.first + index)
                self._batch.halt(record, index, reason)
                return
        self._incoming.advance(packed.source, packed.first + len(packed.legs))

    def _is_accepted(self, record: Record) -> bool:
        """Whether an operator, who has looked at both sides, lets the record be taken in spite of its numbers."""
        return self._state.resolution(record.offset, record.index) is not None

    def _take_leg(self, position: Position, leg: Leg) -> str | None:
        """Apply a leg; returns why it cannot be, or None."""
        try:
            self._decide(LegInput(position, leg))
        except LegCannotBeApplied as fault:
            return self._take_resolved(position, leg, f"the leg cannot be applied: {fault}")
        return None

    def _take_resolved(self, position: Position, leg: Leg | None, reason: str) -> str | None:
        """Do with a leg what an operator decided; returns why the queue stays halted, or None."""
        resolve = self._state.resolution(position.offset, position.leg)
        if resolve is None or resolve.action is Resolution.RETRY:
            return reason
        if resolve.action is Resolution.REPLACE:
            leg = resolve.replacement
        if leg is None or self._routes[_destination(leg)] != self._partition:
            return f"{reason}; the resolution names no leg that travels to this partition"
        try:
            self._decide(LegInput(position, leg, refuse=resolve.action is Resolution.REFUSE))
        except LegCannotBeApplied as fault:
            return f"{reason}; resolved with {resolve.action}, which cannot be applied either: {fault}"
        return None

    def _take_unreadable_legs(self, record: Record, reason: str) -> None:
        """An operator replaces its legs one by one, and with REFUSE says that there are no more in it."""
        for index in range(record.index, 1 << 31):
            resolve = self._state.resolution(record.offset, index)
            if resolve is not None and resolve.action is Resolution.REFUSE:
                return
            position = Position(Input.LEGS, self._partition, record.offset, index)
            fault = self._take_resolved(position, None, reason)
            if fault is not None:
                self._batch.halt(record, index, fault)
                return
            if resolve is not None and resolve.replacement is not None:
                self._incoming.one_more(self._routes[_origin(resolve.replacement)])

    # what comes out

    def _decide(self, given: LedgerInput) -> Decision:
        decision = decide(self._state, given)
        for record in decision.records:
            self._emit(self._outputs.journal, self._partition, self._encode_journal(record), record.transfer)
        for account, leg in decision.legs:
            self._outgoing.add(account, leg)
        self._state.apply(decision)
        return decision

    def _emit_legs(self, destination: int, value: bytes) -> None:
        self._emit(self._outputs.legs, destination, value)


def _destination(leg: Leg) -> str:
    return leg.payee if leg.kind is LegKind.CREDIT else leg.payer


def _origin(leg: Leg) -> str:
    return leg.payer if leg.kind is LegKind.CREDIT else leg.payee
