"""``twofold topics``: show, create and check the ledger's topics."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from streams import admin
from streams.settings import Settings, SettingsError

Command = TypeVar("Command", bound=Callable[..., Any])


def cluster_options(command: Command) -> Command:
    """The flags that say which cluster and which ledger, each with its variable."""
    for option in (
        click.option("--partitions", type=click.IntRange(1), help="Partitions of the ledger. [TWOFOLD_PARTITIONS]"),
        click.option("--topic-prefix", help="Put before every topic's name. [TWOFOLD_TOPIC_PREFIX]"),
        click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="Kafka. [TWOFOLD_BOOTSTRAP_SERVERS]"),
    ):
        command = option(command)
    return command


def settings_from(**given: Any) -> Settings:
    """The settings of the environment, with the flags that were given put over them."""
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    return dataclasses.replace(settings, **{name: value for name, value in given.items() if value is not None})


@click.group()
def topics() -> None:
    """Show, create and check the ledger's topics.

    \b
    twofold topics show            what there is, and what differs
    twofold topics apply           create what is missing, alter what can be altered safely
    twofold topics check --json    exit code 1 if a worker would refuse to start
    """


@topics.command()
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool, **given: Any) -> None:
    """Show every topic, its purpose and what differs from what the ledger needs."""
    states = _or_fail(lambda: admin.describe(settings_from(**given)))
    if as_json:
        click.echo(json.dumps([_plain(state) for state in states], indent=2))
        return
    table = Table("topic", "partitions", "state", "purpose", box=None, pad_edge=False)
    for state in states:
        table.add_row(state.name, str(state.partitions or "-"), _state(state), state.topic.purpose)
    Console().print(table)


@topics.command()
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply(as_json: bool, **given: Any) -> None:
    """Create the missing topics and alter settings that lose nothing when they change. Doing it twice is harmless."""
    done = _or_fail(lambda: admin.apply(settings_from(**given)))
    if as_json:
        click.echo(json.dumps({"done": done}, indent=2))
    else:
        click.echo("\n".join(done) or "nothing to do: all topics are there and fit")


@topics.command()
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool, **given: Any) -> None:
    """Say whether a worker could start; exit code 1 if not."""
    states = _or_fail(lambda: admin.describe(settings_from(**given)))
    wrong = [state for state in states if not state.fits]
    if as_json:
        click.echo(json.dumps([_plain(state) for state in wrong], indent=2))
    else:
        for state in wrong:
            click.echo(f"{state.name}: {_state(state)}", err=True)
    raise SystemExit(1 if wrong else 0)


Result = TypeVar("Result")


def _or_fail(action: Callable[[], Result]) -> Result:
    try:
        return action()
    except admin.TopicsError as error:
        raise click.ClickException(str(error)) from None


def _state(state: admin.TopicState) -> str:
    if not state.exists:
        return "missing: run `twofold topics apply`"
    return "; ".join(f"{p.setting} is {p.found}, needs {p.wanted}: {p.remedy}" for p in state.problems) or "fits"


def _plain(state: admin.TopicState) -> dict[str, object]:
    return {
        "topic": state.name,
        "purpose": state.topic.purpose,
        "exists": state.exists,
        "partitions": state.partitions,
        "problems": [dataclasses.asdict(problem) for problem in state.problems],
    }
