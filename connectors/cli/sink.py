"""``twofold sink`` and ``twofold migrate``: the journal into Postgres, and the schema that it goes into."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg

from connectors.cli.topics import settings_from
from schemas.codec import OfflineSchemas
from schemas.registry import Registry
from sinks.errors import SinkHalted
from sinks.migrate import Migrated, MigrationRefused
from sinks.migrate import migrate as bring_up_to_date
from sinks.sink import BATCH_RECORDS, Sink
from sinks.source import JournalSource
from streams.agents.codec import LedgerCodec
from streams.settings import Settings
from streams.topics import JOURNAL

log = logging.getLogger("twofold.sink")

HALTED, INTERRUPTED = 3, 130

Command = TypeVar("Command", bound=Callable[..., Any])


def postgres_options(command: Command) -> Command:
    """The flags that say which database and which epoch, each with its variable."""
    for option in (
        click.option("--epoch", "sink_epoch", type=click.IntRange(1), help="Epoch of the sink. [TWOFOLD_SINK_EPOCH]"),
        click.option("--postgres-dsn", metavar="DSN", help="Postgres. [TWOFOLD_POSTGRES_DSN]"),
    ):
        command = option(command)
    return command


@click.command()
@postgres_options
@click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="Kafka. [TWOFOLD_BOOTSTRAP_SERVERS]")
@click.option("--registry-url", metavar="URL", help="The schema registry. [TWOFOLD_REGISTRY_URL]")
@click.option("--topic-prefix", help="Put before every topic's name. [TWOFOLD_TOPIC_PREFIX]")
@click.option(
    "--batch",
    type=click.IntRange(1, 1_000_000),
    default=BATCH_RECORDS,
    show_default=True,
    help="The most journal records of one transaction.",
)
@click.option("--verbose", is_flag=True, help="Log every batch.")
def sink(batch: int, verbose: bool, **given: Any) -> None:
    """Write the journal to Postgres, exactly once, until stopped.

    Goes on from the positions in Postgres, after checking that the journal still holds what they say. May be killed,
    started twice, or given an older copy of its database: nothing is lost or repeated. Lost connections are made anew.

    \b
    twofold sink
    twofold sink --postgres-dsn postgresql://sink@db/twofold    a user that has the role twofold_writer
    twofold sink --epoch 2                                      rebuild beside the live ledger (docs/postgres.md)

    Exit code 3: the journal and Postgres cannot both be right, or Postgres refuses; the message says what to do.
    """
    settings = settings_from(**given)
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(level)
    try:
        with _announced(settings.data_dir) as announce:
            ended_by = _run(settings, _codec(settings), batch, announce)
    except SinkHalted as halted:
        click.echo(f"halted: {halted}", err=True)
        sys.exit(HALTED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(INTERRUPTED if ended_by == signal.SIGINT else 0)


def _codec(settings: Settings) -> LedgerCodec:
    """A codec that reads: the sink writes no Avro, so the ids to write with are of no account."""
    return LedgerCodec(OfflineSchemas().ids, Registry(settings.registry_url).writer_schema)


def _run(settings: Settings, codec: LedgerCodec, batch: int, announce: Callable[[], None]) -> int | None:
    """Run the sink until a signal. Gives the signal's number."""
    source = JournalSource(settings.bootstrap_servers, settings.topic(JOURNAL.name))
    running = Sink(settings.postgres_dsn, settings.sink_epoch, source, codec, batch)
    ended_by: list[int] = []

    def end(number: int, frame: object) -> None:
        ended_by.append(number)
        running.stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        running.run(announce)
    finally:
        source.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    log.info("stopped after %d records in %d batches", running.progress.records, running.progress.batches)
    return ended_by[0] if ended_by else None


@contextmanager
def _announced(data_dir: Path) -> Iterator[Callable[[], None]]:
    """Gives what says that the sink is ready: a line in the log and a file, which goes when the sink does."""
    file = data_dir / "workers" / "sink.json"

    def announce() -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        beside = file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({"pid": os.getpid(), "port": 0, "since": since}) + "\n")
        beside.replace(file)
        click.echo("ready")

    try:
        yield announce
    finally:
        if file.exists() and json.loads(file.read_text()).get("pid") == os.getpid():
            file.unlink()


@click.command()
@postgres_options
@click.option("--live", is_flag=True, help="Make this epoch the live one; refused while it is behind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(live: bool, as_json: bool, **given: Any) -> None:
    """Bring the database to the schema that the sink writes. May be run at any time, by several at once.

    Needs a user who may create roles and schemas. Everything is applied in one transaction, or nothing is.

    \b
    twofold migrate
    twofold migrate --epoch 2           beside the live ledger: schema ledger_2
    twofold migrate --epoch 2 --live    the views of schema twofold show it; sinks of the old epoch stop
    """
    settings = settings_from(**given)
    try:
        done = bring_up_to_date(settings.postgres_dsn, settings.sink_epoch, live)
    except MigrationRefused as refused:
        raise click.ClickException(str(refused)) from None
    except psycopg.OperationalError as error:
        raise click.ClickException(f"no answer from Postgres ({str(error).strip()}). {START}") from None
    except psycopg.Error as error:
        raise click.ClickException(f"Postgres refuses: {str(error).strip()}") from None
    if as_json:
        click.echo(json.dumps(done._asdict(), indent=2))
    else:
        _say(done)


START = "Start it (twofold up) or set TWOFOLD_POSTGRES_DSN."


def _say(done: Migrated) -> None:
    for name in done.applied:
        click.echo(f"applied  {name}")
    click.echo(f"{len(done.applied)} applied, {len(done.present)} were there; live epoch: {done.live_epoch}")
