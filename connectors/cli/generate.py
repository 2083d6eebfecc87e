"""``twofold generate``: seeded payment traffic into a file or into Kafka."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

import click
from rich.console import Console
from rich.table import Table

from connectors.cli.produce import send_line
from connectors.cli.schemas import json_option, registry_url_option
from connectors.cli.topics import cluster_options, settings_from
from connectors.generator.generated import Generated
from connectors.generator.population import FEWEST_ACCOUNTS
from connectors.generator.stream import TROUBLE_PERCENT, ZIPF, opening
from connectors.generator.stream import generate as stream
from connectors.intents_json import to_json
from connectors.producer import NotDelivered, Producer
from schemas.errors import NotRegistered, RegistryAway
from streams.settings import Settings


@click.command()
@click.option("--seed", type=int, required=True, help="The same seed gives the same intents.")
@click.option("--count", type=click.IntRange(0), required=True, help="Intents after the accounts are open and funded.")
@click.option("--accounts", type=click.IntRange(FEWEST_ACCOUNTS), required=True, help="Accounts to open.")
@click.option("--zipf", type=click.FloatRange(0, 5), default=ZIPF, show_default=True, help="Skew of the merchants.")
@click.option(
    "--trouble",
    type=click.FloatRange(0, 100),
    default=TROUBLE_PERCENT,
    show_default=True,
    metavar="PERCENT",
    help="Share of duplicates, conflicts, gaps, refusals and unreadable records.",
)
@click.option("--out", type=click.File("w", encoding="utf-8"), help='Write JSON lines ("-": standard output).')
@click.option("--produce", "to_kafka", is_flag=True, help="Produce to Kafka with the registry's serializer.")
@cluster_options
@registry_url_option
@json_option
def generate(
    seed: int,
    count: int,
    accounts: int,
    zipf: float,
    trouble: float,
    out: TextIO | None,
    to_kafka: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Generate payment intents that look like life, and like trouble; the same for the same seed.

    First every account is opened and funded, then COUNT intents follow: purchases at merchants by Zipf, salaries,
    transfers, holds with captures and releases, reversals, deposits and withdrawals, in EUR, USD and JPY.

    \b
    twofold generate --seed 1 --count 1000 --accounts 50 --produce
    twofold generate --seed 1 --count 1000 --accounts 50 --trouble 0 --out intents.jsonl
    twofold produce intents.jsonl

    Exit codes: 0 done; 1 not all were acknowledged, or Kafka or the registry is away; 2 wrong usage.
    """
    if (out is None) is not to_kafka:
        raise click.UsageError("give either --out FILE or --produce")
    settings = settings_from(**given)
    records = chain(opening(seed, accounts), stream(seed, count, accounts, zipf, trouble, settings.partitions))
    labels: Counter[str] = Counter()
    if out is not None:
        for generated in _counted(records, labels):
            out.write(json.dumps(to_json(generated.line()), ensure_ascii=False, separators=(",", ":")) + "\n")
    else:
        _produce(settings, _counted(records, labels))
    _report(labels, as_json, to_stderr=out is not None and out.name in ("-", "<stdout>"))


def _counted(records: Iterator[Generated], labels: Counter[str]) -> Iterator[Generated]:
    for generated in records:
        labels[generated.label] += 1
        yield generated


def _produce(settings: Settings, records: Iterator[Generated]) -> None:
    try:
        with Producer(settings) as producer:
            for generated in records:
                send_line(producer, generated.line())
    except (NotDelivered, NotRegistered, RegistryAway) as error:
        raise click.ClickException(str(error)) from None


def _report(labels: Counter[str], as_json: bool, to_stderr: bool) -> None:
    if as_json:
        click.echo(json.dumps({"total": labels.total(), "labels": dict(labels)}, indent=2), err=to_stderr)
        return
    table = Table("generated", "records", box=None, pad_edge=False)
    for label, number in labels.most_common():
        table.add_row(label, f"{number:,}")
    table.add_row("total", f"{labels.total():,}")
    Console(stderr=to_stderr).print(table)
