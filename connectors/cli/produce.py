"""``twofold produce``: intents from a file of JSON lines or CSV into ``payment-intents``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import click

from connectors.cli.schemas import json_option, registry_url_option, topic_prefix_option
from connectors.cli.topics import settings_from
from connectors.intents_json import Line, LineError, read_csv, read_json_lines
from connectors.producer import NotDelivered, Producer
from schemas.errors import NotRegistered, RegistryAway


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8", errors="surrogateescape"))
@click.option("--format", "format_", type=click.Choice(["json", "csv"]), help="Default: csv for *.csv, else json.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="Kafka. [TWOFOLD_BOOTSTRAP_SERVERS]")
@topic_prefix_option
@registry_url_option
@json_option
def produce(file: TextIO, format_: str | None, as_json: bool, **given: Any) -> None:
    """Produce the intents of FILE ("-": standard input), one JSON object a line, or CSV under a header.

    \b
    {"kind":"TRANSFER","account":"ann","idempotency_key":"o-17","payee":"shop","amount":1250,"currency":"EUR"}
    \b
    kind,account,idempotency_key,payee,amount,currency
    TRANSFER,ann,o-17,shop,1250,EUR

    Amounts are in minor units (1250 is 12.50 EUR); ids of holds and transfers are UUIDs. A line that cannot be sent
    is reported with its number and field, and all others are sent. Sending a file again is safe: what was decided
    before is a DUPLICATE.

    \b
    Exit codes: 0 all lines sent and acknowledged; 1 some were not; 2 wrong usage.

    \b
    twofold produce intents.jsonl
    twofold generate --seed 1 --count 100 --accounts 50 --out - | twofold produce -
    """
    settings = settings_from(**given)
    lines = _read(file, format_)
    bad: list[LineError] = []
    try:
        with Producer(settings) as producer:
            for line in _good(lines, bad, quiet=as_json):
                send_line(producer, line)
    except (NotDelivered, NotRegistered, RegistryAway) as error:
        raise click.ClickException(str(error)) from None
    report(producer.delivered, bad, as_json)
    raise SystemExit(1 if bad else 0)


def send_line(producer: Producer, line: Line) -> None:
    """Queue what a line asks for. Its form was checked when it was read."""
    if isinstance(line.value, bytes):
        producer.send_raw(line.key, line.value, line.partition)
        return
    value = producer.serialize(line.value)
    key = line.value.account.encode() if line.key is None else line.key
    producer.send_raw(key, value[: len(value) - line.cut], line.partition)


def report(sent: int, bad: list[LineError], as_json: bool) -> None:
    """Say how many were sent, and which lines were not."""
    if as_json:
        click.echo(json.dumps({"sent": sent, "bad": [error._asdict() for error in bad]}, indent=2))
    else:
        click.echo(f"{sent} sent and acknowledged" + (f", {len(bad)} lines not sent (listed above)" if bad else ""))


def _read(file: TextIO, format_: str | None) -> Iterator[tuple[int, Line | LineError]]:
    name = getattr(file, "name", "")
    is_csv = format_ == "csv" if format_ else str(name).lower().endswith(".csv")
    return read_csv(file) if is_csv else read_json_lines(file)


def _good(lines: Iterable[tuple[int, Line | LineError]], bad: list[LineError], quiet: bool) -> Iterator[Line]:
    for _, line in lines:
        if isinstance(line, LineError):
            bad.append(line)
            if not quiet:
                click.echo(str(line), err=True)
        else:
            yield line
