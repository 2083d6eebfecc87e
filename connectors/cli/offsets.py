"""``twofold offsets``: the workers' committed offsets, which only fence."""

from __future__ import annotations

from typing import Any

import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.cli.topics import cluster_options, settings_from
from connectors.replay.reading import ANSWER_SECONDS, ReplayError
from connectors.replay.restore import demand_no_worker


@click.group()
def offsets() -> None:
    """The workers' committed offsets in Kafka.

    Where a worker goes on is kept in its tables, in the transaction that moved it. The group's offsets only fence:
    a worker halts when they disagree with its tables, and does not mind when there are none.
    """


@offsets.command()
@cluster_options
def forget(**given: Any) -> None:
    """Delete the group's committed offsets. All workers must be stopped.

    For a worker that halted because the offsets were moved by hand or restored from a copy, after its tables were
    checked with `twofold replay tables`.
    """
    settings = settings_from(**given)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    try:
        demand_no_worker(settings)
        (answer,) = admin.delete_consumer_groups([settings.group], request_timeout=ANSWER_SECONDS).values()
        answer.result()
    except ReplayError as error:
        raise click.ClickException(str(error)) from None
    except KafkaException as error:
        if "GROUP_ID_NOT_FOUND" not in str(error):
            raise click.ClickException(f"the offsets of {settings.group} were not deleted: {error}") from None
    click.echo(f"the group {settings.group} has no committed offsets now")
