"""``twofold schemas``: show the Avro schemas, put them into the registry, check that they can go there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from connectors.cli.topics import settings_from
from schemas.catalogue import RECORDS_OF_TOPIC, definition
from schemas.codec import RECORDS
from schemas.errors import Incompatible, RegistryAway
from schemas.registry import COMPATIBILITY, Registry, SubjectState

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")

SLOW_REGISTRY_SECONDS = 30.0
RETRY_SECONDS = 0.5


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
registry_url_option = click.option("--registry-url", metavar="URL", help="The schema registry. [TWOFOLD_REGISTRY_URL]")
topic_prefix_option = click.option("--topic-prefix", help="Put before every topic's name. [TWOFOLD_TOPIC_PREFIX]")


def registry_options(command: Command) -> Command:
    """The flags that say which registry and which ledger, each with its variable."""
    return topic_prefix_option(registry_url_option(json_option(command)))


@click.group()
def schemas() -> None:
    """Show the Avro schemas, put them into the registry, check compatibility.

    \b
    twofold schemas show             every subject, and whether the registry has its schema
    twofold schemas show Transfer    the schema of one record, as it is registered
    twofold schemas apply            register what is missing, each subject BACKWARD_TRANSITIVE
    twofold schemas check --json     exit code 1 if a worker or a producer could not start
    """


@schemas.command()
@click.argument("record", required=False, metavar="[RECORD]")
@registry_options
def show(record: str | None, as_json: bool, **given: Any) -> None:
    """Show every subject as the registry has it, or the schema of one RECORD, which needs no registry."""
    if record is not None:
        if record not in RECORDS:
            raise click.UsageError(f"there is no record {record!r}; records: {', '.join(RECORDS)}")
        click.echo(json.dumps(definition(record), indent=None if as_json else 2, ensure_ascii=False))
        return
    states = _states(given)
    if as_json:
        click.echo(json.dumps([_plain(state) for state in states], indent=2))
        return
    table = Table("subject", "id", "state", box=None, pad_edge=False)
    for state in states:
        table.add_row(state.subject, str(state.id or "-"), _problem(state) or "fits")
    Console().print(table)


@schemas.command()
@click.option("--wait", default=60.0, show_default=True, metavar="SECONDS", help="How long a registry may be away.")
@registry_options
def apply(as_json: bool, wait: float, **given: Any) -> None:
    """Register every schema; each subject is set to BACKWARD_TRANSITIVE first. Doing it twice is harmless.

    A schema that could not read the records of an earlier version is refused by the registry: exit code 1.
    """
    settings = settings_from(**given)
    registry = Registry(settings.registry_url, timeout=SLOW_REGISTRY_SECONDS)
    ids = _or_fail(lambda: _patiently(lambda: registry.register_all(settings.topic_prefix), wait))
    if as_json:
        click.echo(json.dumps({"registry": settings.registry_url, "ids": ids}, indent=2))
    else:
        subjects = sum(len(records) for records in RECORDS_OF_TOPIC.values())
        click.echo(f"{subjects} subjects at {settings.registry_url} hold the schemas of this version, {COMPATIBILITY}")


@schemas.command()
@registry_options
def check(as_json: bool, **given: Any) -> None:
    """Say whether the registry holds, or would take, every schema of this version; exit code 1 if not all are there."""
    wrong = [state for state in _states(given) if _problem(state)]
    if as_json:
        click.echo(json.dumps([_plain(state) for state in wrong], indent=2))
    else:
        for state in wrong:
            click.echo(f"{state.subject}: {_problem(state)}", err=True)
    raise SystemExit(1 if wrong else 0)


def _states(given: dict[str, Any]) -> list[SubjectState]:
    settings = settings_from(**given)
    return _or_fail(lambda: Registry(settings.registry_url).states(settings.topic_prefix))


def _patiently(action: Callable[[], Result], wait: float) -> Result:
    """Again while the registry is away, which it is while it starts; not when it refuses."""
    deadline = time.monotonic() + wait
    said = False
    while True:
        try:
            return action()
        except RegistryAway as error:
            if time.monotonic() > deadline:
                raise
            if not said:
                click.echo(f"waiting up to {wait:g} s: {error}", err=True)
            said = True
            time.sleep(RETRY_SECONDS)


def _or_fail(action: Callable[[], Result]) -> Result:
    try:
        return action()
    except RegistryAway as error:
        raise click.ClickException(
            f"{error}; is it up (`twofold status`), and is TWOFOLD_REGISTRY_URL right?"
        ) from None
    except Incompatible as error:
        raise click.ClickException(f"the registry refuses a schema: {error}") from None


def _problem(state: SubjectState) -> str:
    if not state.fits:
        return "incompatible: readers of earlier records could not go on; give new fields defaults, remove none without"
    if state.id is None:
        return "not registered: run `twofold schemas apply`"
    if state.compatibility != COMPATIBILITY:
        return (
            f"compatibility is {state.compatibility or 'not set'}, needs {COMPATIBILITY}: run `twofold schemas apply`"
        )
    return ""


def _plain(state: SubjectState) -> dict[str, object]:
    return {**state._asdict(), "problem": _problem(state) or None}
