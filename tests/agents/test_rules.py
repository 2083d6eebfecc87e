"""What the agent itself must keep: which queue stops, what takes a key, what moves time. On the test driver."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

import pytest

from schemas.codec import Codec, OfflineSchemas
from schemas.errors import RegistryAway
from streams.agents.codec import LedgerCodec
from streams.engine.driver import Crashed
from streams.engine.record import Queue
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Configure, Hold, Resolve, Transfer
from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Kind, LegKind, Outcome, Resolution
from tests.agents.bank import CODEC, Bank

UNREADABLE = b"\0\0\0\0\0\xff\xff"


def spoil_legs(bank: Bank, partition: int) -> tuple[int, bytes]:
    """Replace the newest record of legs of a partition by bytes that cannot be decoded: (its offset, what it was)."""
    log = bank.driver.logs[Queue(bank.topology.legs, partition)]
    good = log[-1].value
    assert good is not None
    log[-1] = log[-1]._replace(value=UNREADABLE)
    return log[-1].offset, good


def resolve(
    bank: Bank, partition: int, offset: int, leg: int, action: Resolution, replacement: Leg | None = None
) -> bytes:
    """An operator's word about a leg."""
    intent = Resolve(bank.key(), partition, offset, leg, action, replacement)
    bank.driver.send(bank.topology.intents, None, CODEC.encode_intent(intent), partition)
    return transfer_id("", intent.idempotency_key)


def halted(bank: Bank) -> dict[Queue, str]:
    return dict(bank.driver.metrics.halts)


def bank_with_a_spoilt_leg(partitions: int = 8) -> tuple[Bank, str, bytes, int, Leg]:
    """A transfer from alice whose CREDIT leg cannot be decoded at its payee's partition."""
    bank = Bank(partitions)
    payee = bank.elsewhere("alice")
    bank.open("alice", payee)
    bank.fund("alice", 100)
    id_ = bank.transfer("alice", payee, 30)
    bank.driver.run(batches=1)
    offset, good = spoil_legs(bank, bank.at(payee))
    bank.run()
    return bank, payee, id_, offset, CODEC.decode_legs(good).legs[0]


def test_an_undecodable_leg_halts_its_queue_alone() -> None:
    """Others' money is in it, so it is never dead-lettered; all other queues, its partition's intents too, go on."""
    bank, payee, id_, _, _ = bank_with_a_spoilt_leg()
    assert [queue for queue in halted(bank)] == [Queue(bank.topology.legs, bank.at(payee))]
    assert bank.driver.records("dead-letters") == []
    assert bank.final(id_) == (Outcome.PENDING, None)
    onward = bank.transfer(payee, "alice", 1)
    other = bank.transfer("world", "alice", 5)
    bank.run()
    assert bank.final(onward) == (Outcome.REJECTED, "insufficient_funds")
    assert bank.final(other) == (Outcome.POSTED, None)


def test_an_operators_replacement_mends_an_undecodable_leg() -> None:
    """With the leg that it should have been, then the word that there are no more in the record."""
    bank, payee, id_, offset, leg = bank_with_a_spoilt_leg()
    resolve(bank, bank.at(payee), offset, 0, Resolution.REPLACE, leg)
    bank.run()
    assert bank.final(id_) == (Outcome.POSTED, None)
    resolve(bank, bank.at(payee), offset, 1, Resolution.REFUSE)
    later = bank.transfer("alice", payee, 7)
    bank.run()
    assert halted(bank) == {}
    assert bank.final(later) == (Outcome.POSTED, None)
    assert bank.balance(payee) == 37
    bank.must_balance()


def test_a_halted_leg_queue_stays_halted_after_a_restart_until_it_is_resolved() -> None:
    """The place is state: the leg is neither skipped nor applied because somebody started a worker."""
    bank, payee, id_, offset, leg = bank_with_a_spoilt_leg()
    bank.restart()
    bank.run()
    assert list(halted(bank)) == [Queue(bank.topology.legs, bank.at(payee))]
    resolve(bank, bank.at(payee), offset, 0, Resolution.RETRY)
    bank.run()
    assert list(halted(bank)) == [Queue(bank.topology.legs, bank.at(payee))]
    resolve(bank, bank.at(payee), offset, 0, Resolution.REPLACE, leg)
    resolve(bank, bank.at(payee), offset, 1, Resolution.REFUSE)
    bank.run()
    assert halted(bank) == {}
    assert bank.final(id_) == (Outcome.POSTED, None)
    bank.must_balance()


def test_a_replacement_for_another_partition_is_not_applied() -> None:
    """An operator's slip must not credit an account that does not live here."""
    bank, payee, id_, offset, leg = bank_with_a_spoilt_leg()
    resolve(bank, bank.at(payee), offset, 0, Resolution.REPLACE, leg._replace(payee="alice", payer=payee))
    bank.run()
    assert "names no leg that travels to this partition" in halted(bank)[Queue(bank.topology.legs, bank.at(payee))]
    assert bank.final(id_) == (Outcome.PENDING, None)


def send_legs(bank: Bank, account: str, first: int, *legs: Leg) -> None:
    """Forge a record of legs from the account's own partition."""
    partition = bank.at(account)
    bank.driver.send(bank.topology.legs, None, CODEC.encode_legs(partition, first, legs), partition)
    bank.run()


def forged(bank: Bank, kind: LegKind, account: str) -> Leg:
    return Leg(kind, transfer_id("a", "b"), 7, Kind.TRANSFER, account, "someone", 5, "EUR")


def test_a_leg_that_fits_no_row_halts_its_queue_at_that_leg() -> None:
    """The legs before it in the record are applied once, and not again when the queue goes on."""
    bank = Bank(1)
    bank.open("alice", "bob")
    bank.fund("alice", 10)
    first = CODEC.decode_legs(bank.driver.records(bank.topology.legs)[-1].value or b"").first + 1
    credit = Leg(LegKind.CREDIT, transfer_id("x", "y"), 3, Kind.TRANSFER, "world", "bob", 5, "EUR")
    send_legs(bank, "alice", first, credit, forged(bank, LegKind.SETTLED, "alice"))
    assert bank.balance("bob") == 5
    (reason,) = halted(bank).values()
    assert "the leg cannot be applied" in reason
    place = bank.driver.processor.queues.place(Queue(bank.topology.legs, 0))
    resolve(bank, 0, place.offset, 1, Resolution.REFUSE)
    bank.run()
    assert place.index == 1
    assert bank.balance("bob") == 5


@pytest.mark.parametrize(("shift", "said"), [(1, "are missing"), (-1, "were applied before")])
def test_a_gap_or_a_repeat_in_the_legs_of_a_partition_halts_the_queue(shift: int, said: str) -> None:
    """The pair check against a torn transaction: numbers at the source and at the destination agree, or it stops."""
    bank = Bank(1)
    bank.open("alice", "bob")
    bank.fund("alice", 10)
    value = bank.driver.records(bank.topology.legs)[-1].value or b""
    packed = CODEC.decode_legs(value)
    bank.driver.send(bank.topology.legs, None, CODEC.encode_legs(0, packed.first + 1 + shift, packed.legs), 0)
    before = bank.figures()
    bank.run()
    (reason,) = halted(bank).values()
    assert said in reason
    assert bank.figures() == before


def test_an_operator_who_refuses_a_repeated_leg_changes_no_figure() -> None:
    """It was applied before: nothing may go back to the payer, and the numbers go on where they were."""
    bank = Bank(1)
    bank.open("alice", "bob")
    bank.fund("alice", 10)
    credit = bank.driver.records(bank.topology.legs)[-2].value or b""
    assert CODEC.decode_legs(credit).legs[0].kind is LegKind.CREDIT
    offset = bank.driver.send(bank.topology.legs, None, credit, 0).offset
    bank.run()
    before = bank.figures()
    resolve(bank, 0, offset, 0, Resolution.RETRY)
    bank.run()
    assert len(halted(bank)) == 1
    resolve(bank, 0, offset, 0, Resolution.REFUSE)
    bank.run()
    assert halted(bank) == {}
    assert bank.figures() == before
    bank.fund("alice", 5)
    assert bank.balance("alice") == 15
    bank.must_balance()


def test_a_misrouted_intent_takes_no_key() -> None:
    """A client that used another partitioner is refused, and its intent can be sent again properly."""
    bank = Bank(8)
    bank.open("alice", "bob")
    bank.fund("alice", 100)
    intent = Transfer("alice", "same key", "bob", 10, "EUR")
    wrong = (bank.at("alice") + 1) % 8
    id_ = bank.send(intent, partition=wrong)
    bank.run()
    assert bank.final(id_) == (Outcome.REJECTED, "misrouted")
    bank.driver.send(bank.topology.intents, b"bob", CODEC.encode_intent(intent))
    bank.run()
    assert bank.count()[Outcome.REJECTED, "misrouted"] == 2
    bank.send(intent)
    bank.run()
    assert bank.count()[Outcome.DUPLICATE, None] == 0
    assert bank.balance("bob") == 10


def test_a_configure_or_resolve_with_a_key_is_misrouted() -> None:
    """They belong to a partition, not to an account: a key would send them where they were not meant to go."""
    bank = Bank(2)
    configure = Configure("settings", 1, 3600, 60, 10)
    bank.produce(b"x", CODEC.encode_intent(configure), 0)
    bank.produce(None, CODEC.encode_intent(Resolve("elsewhere", 1, 0, 0, Resolution.RETRY)), 0)
    bank.run()
    assert bank.count() == {(Outcome.REJECTED, "misrouted"): 2}
    bank.produce(None, CODEC.encode_intent(configure), 0)
    bank.run()
    assert bank.count()[Outcome.APPLIED, None] == 1


def test_a_client_that_says_2099_expires_nothing() -> None:
    """Time is the broker's append time. What a payload says of time is not even looked at."""
    bank = Bank(1)
    bank.open("alice", "bob")
    bank.fund("alice", 100)
    hold = bank.send(Hold("alice", "h", 10, "EUR", expires_in_seconds=60))
    bank.run()
    in_2099 = 4_070_908_800_000_000
    value = with_occurred_at(Transfer("alice", "t", "bob", 1, "EUR"), in_2099)
    bank.produce(b"alice", value)
    bank.run()
    assert bank.hold("alice", hold) is not None
    assert bank.count()[Outcome.EXPIRED, None] == 0
    assert max(record.time for record in bank.journal()) == bank.driver.now_ms * 1000
    bank.pass_time(60)
    assert bank.count()[Outcome.EXPIRED, None] == 1
    assert bank.hold("alice", hold) is None


def with_occurred_at(intent: Transfer, occurred_at: int) -> bytes:
    """The intent's bytes with a client's own timestamp."""
    fields = {name: value for name, value in intent._asdict().items() if name != "wire"}
    return Codec.offline().encode("Transfer", {**fields, "occurred_at": occurred_at})


def test_a_forged_tick_is_harmless() -> None:
    """Anybody who may write intents may write Ticks: they move time only to where the broker's clock is."""
    bank = Bank(1)
    bank.open("alice")
    bank.fund("alice", 100)
    hold = bank.send(Hold("alice", "h", 10, "EUR", expires_in_seconds=60))
    for _ in range(20):
        bank.produce(None, None, 0)
    bank.run()
    assert bank.count()[Outcome.TICKED, None] == 20
    assert bank.hold("alice", hold) is not None
    assert bank.pending("alice") == 10


def test_what_cannot_be_decoded_goes_to_the_dead_letters_with_its_bytes_and_its_queue_goes_on() -> None:
    """With position, reason, length and digest, in the transaction that journals it; and no money moves."""
    bank = Bank(1)
    bank.open("alice")
    large = CODEC.encode_intent(Transfer("alice", "k", "bob", 1, "EUR"))[:5] + b"x" * 600_000
    bank.produce(b"alice", b"\x01nonsense")
    bank.produce(b"alice", None)
    bank.produce(b"alice", large)
    bank.fund("alice", 5)
    letters = [
        CODEC.decode_dead_letter(r.value or b"") for r in bank.driver.records(bank.settings.topic("dead-letters"))
    ]
    assert [letter.reason for letter in letters] == ["bad_magic", "null_value", "too_large"]
    assert [letter.length for letter in letters] == [9, 0, len(large)]
    assert letters[2].value == large[: 512 * 1024]
    assert letters[2].sha256 == sha256(large).digest()
    journalled = [r for r in bank.journal() if r.outcome is Outcome.DEAD_LETTERED]
    assert [r.input.offset for r in journalled] == [letter.offset for letter in letters]
    assert bank.balance("alice") == 5


class MoodyRegistry:
    """A registry that can be away."""

    def __init__(self) -> None:
        self.table = OfflineSchemas()
        self.away = False

    def writer_schema(self, number: int) -> object:
        if self.away:
            raise RegistryAway("no answer")
        return self.table.writer_schema(number)


def test_a_registry_that_is_away_delays_an_intent_and_an_unknown_schema_is_a_dead_letter() -> None:
    """Only a definite "not found" is a verdict. Until there is an answer, its queue alone waits."""
    registry = MoodyRegistry()
    bank = Bank(1, codec=LedgerCodec(registry.table.ids, registry.writer_schema))
    bank.open("alice", "bob")
    registry.away = True
    bank.produce(b"alice", b"\0\0\0\x03\xe7rest")
    for _ in range(3):
        bank.driver.processor.step()
        bank.driver.now_ms += 20_000
    assert bank.count()[Outcome.DEAD_LETTERED, "unknown_schema"] == 0
    assert bank.driver.metrics.aborted == 3
    registry.away = False
    bank.driver.processor.step()
    assert bank.count()[Outcome.DEAD_LETTERED, "unknown_schema"] == 1
    bank.fund("alice", 5)
    assert bank.balance("alice") == 5


@pytest.mark.parametrize("point", ["produced", "offsets_sent", "committed", "store_written"])
def test_a_crash_at_any_point_of_a_batch_loses_and_repeats_nothing(point: str) -> None:
    """Before the commit the batch never was; after it, the changelog has it."""
    bank = Bank(4, batch_records=7)
    bank.open("alice", "bob")
    bank.fund("alice", 100)
    sent = [bank.transfer("alice", "bob", 1) for _ in range(40)]
    hold = bank.send(Hold("alice", "h", 10, "EUR", expires_in_seconds=60))
    crashes = 0
    for _ in range(12):
        bank.driver.crash_at(point)
        with suppress(Crashed):
            bank.run()
            continue
        crashes += 1
        bank.restart()
    bank.driver.restart()
    bank.run()
    assert crashes >= 5
    assert [bank.final(id_) for id_ in sent] == [(Outcome.POSTED, None)] * 40
    assert bank.hold("alice", hold) is not None
    assert bank.balance("bob") == 40
    bank.pass_time(60)
    bank.must_balance()


def test_an_aborted_transaction_leaves_no_trace_in_rows_or_deadlines() -> None:
    """A deadline that only an aborted batch knew of would release what was never held."""
    bank = Bank(1)
    bank.open("alice")
    bank.fund("alice", 100)
    hold = bank.send(Hold("alice", "h", 10, "EUR", expires_in_seconds=60))
    bank.driver.abort_next()
    bank.driver.processor.step()
    assert bank.payments.earliest_deadline(0) == 2**63 - 1
    assert bank.hold("alice", hold) is None
    bank.driver.now_ms += 1000
    bank.driver.processor.step()
    bank.run()
    assert bank.count()[Outcome.APPLIED, None] == 3
    bank.pass_time(61)
    assert bank.count()[Outcome.EXPIRED, None] == 1
    bank.must_balance()


def test_legs_are_packed_in_bounded_records_with_contiguous_numbers() -> None:
    """A batch of any size makes records of at most 256 legs; their numbers leave no gap."""
    bank = Bank(2)
    payee = bank.elsewhere("alice")
    bank.open("alice", payee)
    bank.fund("alice", 1000)
    for _ in range(600):
        bank.transfer("alice", payee, 1)
    bank.run()
    sent = [CODEC.decode_legs(r.value or b"") for r in bank.driver.records(bank.topology.legs, bank.at(payee))]
    ours = [packed for packed in sent if packed.source == bank.at("alice")]
    assert max(len(packed.legs) for packed in ours) == 256
    expected = 1
    for packed in ours:
        assert packed.first == expected
        expected += len(packed.legs)
    assert expected > 600
    bank.must_balance()
