"""What makes a sink halt: a journal and a database that cannot both be right. Each is told to the operator."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

import sinks.source
from connectors.cli import main
from sinks.errors import FiguresDisagree, Forked, JournalGap, SinkHalted, Superseded, Unreadable
from sinks.migrate import migrate
from streams.ledger.journal import Figures, Posting
from streams.ledger.vocabulary import Kind, Outcome
from tests.sinks.house import House
from tests.sinks.journals import Ledger

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers is believed after a second."""
    monkeypatch.setattr(sinks.source, "VERIFY_S", 1.0)


@pytest.fixture
def settled(house: House) -> House:
    """A house with a journal of some transfers, all of it in Postgres."""
    for _ in house.ledger.life(accounts=6, transfers=40):
        pass
    house.produce()
    house.drain()
    return house


def halts(house: House, topic: str = "", good: int = 0) -> Exception:
    """What a sink that is started now halts with; at most the ``good`` records beside the bad one were written."""
    before = house.sunk()
    error = house.start_sink(topic=topic).join()
    assert error is not None
    assert before <= house.sunk() <= before + good
    return error


def another_journal(house: House, transfers: int, seed: int) -> str:
    """Another topic, written by another ledger."""
    name = f"{house.topic}-{seed}"
    house.create_topic(name)
    ledger = Ledger(house.ledger.partitions, house.codec.encode_intent)
    for _ in ledger.life(accounts=6, transfers=transfers, seed=seed):
        pass
    house.produce(ledger.records, topic=name)
    return name


def test_forked_journal_is_not_mixed_with_the_old_one(settled: House) -> None:
    """Another journal, with records at the stored offsets, is refused by the hash of the record there."""
    error = halts(settled, topic=another_journal(settled, transfers=80, seed=2))
    assert isinstance(error, Forked)
    assert "another record: this Kafka is not the one that the database was written from" in str(error)
    assert "twofold migrate --epoch N" in str(error)


def test_postgres_ahead_of_kafka_is_not_taken_for_caught_up(settled: House) -> None:
    """A Kafka that lost its last records is refused: what it decides next would be other records at those places."""
    error = halts(settled, topic=another_journal(settled, transfers=0, seed=1))
    assert isinstance(error, Forked)
    assert "Postgres is ahead of this Kafka" in str(error)


def test_trimmed_journal_is_not_read_with_a_hole(settled: House) -> None:
    """A journal whose records at the stored offset are gone is refused."""
    admin = AdminClient({"bootstrap.servers": settled.kafka})
    for _ in settled.ledger.life(accounts=6, transfers=40, seed=2):
        pass
    settled.produce()
    ends = [TopicPartition(settled.topic, p, -1) for p in range(settled.ledger.partitions)]
    for future in admin.delete_records(ends).values():
        future.result()
    error = halts(settled)
    assert isinstance(error, Forked)
    assert "or it was trimmed" in str(error)


def test_journal_that_starts_late_is_not_taken_for_whole(house: House) -> None:
    """An empty database takes a journal from sequence 1 only."""
    for _ in house.ledger.life(accounts=4, transfers=10):
        pass
    house.produce([(p, r) for p, r in house.ledger.records if r.sequence > 1])
    error = halts(house)
    assert isinstance(error, JournalGap)
    assert "sequence 2 where 1 is next" in str(error)


@pytest.mark.parametrize(("jump", "what"), [(2, "is missing"), (0, "is repeated"), (-3, "is repeated")])
def test_torn_transaction_stops_the_sink(settled: House, jump: int, what: str) -> None:
    """A journal sequence that is not the next one (a torn or doubled transaction) stops the sink loudly."""
    partition, last = settled.ledger.records[-1]
    settled.produce([(partition, last._replace(sequence=last.sequence + jump))])
    error = halts(settled)
    assert isinstance(error, JournalGap)
    assert what in str(error)


def test_bytes_that_are_no_journal_record_stop_the_sink(settled: House) -> None:
    """Nothing is skipped: what a sink cannot read, an operator has to look at."""
    settled.produce_raw(0, b"\x00\x00\x00\x00\x63no journal record")
    assert isinstance(halts(settled), Unreadable)


def test_figures_that_do_not_follow_stop_the_sink(settled: House) -> None:
    """A record whose figures are not the account's last ones plus its own amount is not written."""
    settled.ledger.move("acc-1-1", credited=1)
    settled.ledger.transfer("acc-1-1", "acc-1-2", 5, "after a figure moved by itself")
    settled.produce()
    error = halts(settled, good=1)
    assert isinstance(error, FiguresDisagree)
    assert "acc-1-1" in str(error)


def test_tampered_balance_is_not_built_upon(settled: House) -> None:
    """A balance that somebody changed in Postgres stops the sink at the account's next record."""
    with psycopg.connect(settled.dsn) as connection:
        connection.execute("UPDATE ledger_1.account_balances SET credits_posted = 1 WHERE account = 'acc-1-3'")
    settled.ledger.transfer("acc-1-3", "acc-1-4", 5, "after the tampering")
    settled.produce()
    error = halts(settled, good=1)
    assert isinstance(error, FiguresDisagree)
    assert "Somebody changed account_balances" in str(error)


def test_lone_debit_in_the_journal_is_not_written(settled: House) -> None:
    """A SETTLED record with a debit alone is refused by Postgres, and the sink halts."""
    ledger = settled.ledger
    figures = ledger.move("acc-1-4", credited=9)
    home, currency = ledger.homes["acc-1-4"]
    ledger.write(
        home,
        Kind.TRANSFER,
        Outcome.SETTLED,
        2,
        transfer=bytes(16),
        pending=1,
        account="acc-1-4",
        counterparty="acc-1-3",
        amount=9,
        currency=currency,
        figures=figures,
        entry=(Posting("acc-1-3", "DEBIT", 9, currency),),
    )
    settled.produce()
    error = halts(settled)
    assert isinstance(error, SinkHalted)
    assert "does not balance in EUR: debits 9, credits 0" in str(error)


def test_change_of_an_account_that_was_never_opened_is_not_written(settled: House) -> None:
    """Balances come from accounts that the journal opened."""
    settled.ledger.figures["ghost"] = Figures(0, 0, 0)
    settled.ledger.homes["ghost"] = (1, "EUR")
    settled.ledger.transfer("ghost", "acc-1-2", 5, "from nowhere")
    settled.produce()
    error = halts(settled, good=1)
    assert isinstance(error, FiguresDisagree)
    assert "account ghost changes in the journal, but Postgres does not know it" in str(error)


def test_superseded_epoch_is_not_written_any_more(settled: House) -> None:
    """When a rebuilt ledger goes live, the running sink of the old epoch writes nothing more and says who is live."""
    old = settled.start_sink()
    migrate(settled.dsn, epoch=2)
    new = settled.start_sink(epoch=2)
    settled.wait_until(lambda: rebuilt(settled) == len(settled.ledger.records))
    migrate(settled.dsn, epoch=2, go_live=True)
    for _ in settled.ledger.life(accounts=6, transfers=20, seed=3):
        pass
    settled.produce()
    error = old.join()
    assert isinstance(error, Superseded)
    assert "TWOFOLD_SINK_EPOCH=2" in str(error)
    settled.wait_until_sunk_by(new)
    settled.check_books()


def rebuilt(house: House) -> int:
    """How many records epoch 2 has."""
    return int(house.query("SELECT coalesce(sum(sequence), 0) FROM ledger_2.sink_positions")[0][0])


def test_database_without_the_schema_says_what_to_do(house: House, fresh_database: Callable[[], str]) -> None:
    """A database that was never migrated: the message names the command."""
    error = house.start_sink(dsn=fresh_database()).join()
    assert isinstance(error, SinkHalted)
    assert "run `twofold migrate`" in str(error)


def test_halted_command_ends_with_3_and_the_reason(
    house: House, registry: str, fresh_database: Callable[[], str]
) -> None:
    """``twofold sink`` tells a halt from a failure that passes by its exit code, so that no supervisor hides it."""
    where = ["--bootstrap-servers", house.kafka, "--registry-url", registry, "--topic-prefix", house.prefix]
    done = CliRunner().invoke(main, ["sink", *where, "--postgres-dsn", fresh_database()])
    assert done.exit_code == 3
    assert "halted: Postgres lacks the sink's tables: run `twofold migrate`" in done.output


def test_user_without_the_writer_role_says_what_to_do(house: House, unique: str) -> None:
    """A database user that may not act as the writer: the message names the role."""
    with psycopg.connect(house.dsn) as connection:
        connection.execute(f"CREATE ROLE {unique} LOGIN".encode())
    error = house.start_sink(dsn=house.dsn.replace("//postgres@", f"//{unique}@")).join()
    assert isinstance(error, SinkHalted)
    assert "grant its user the role twofold_writer" in str(error)
