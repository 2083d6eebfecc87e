"""``twofold replay``: rebuild what was lost from the inputs and the journal."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

from connectors.cli.schemas import registry_url_option
from connectors.cli.topics import cluster_options, settings_from
from connectors.replay.reading import ReplayError
from connectors.replay.restore import demand_no_worker, differences, write
from connectors.replay.tables import Rebuilt, rebuild
from streams.agents.codec import LedgerCodec
from streams.agents.payments import build_topology
from streams.engine.cluster import Cluster
from streams.engine.config import EngineConfig
from streams.engine.errors import Halted
from streams.engine.identity import Identity
from streams.settings import Settings


@click.group()
def replay() -> None:
    """Rebuild what was lost from what is kept.

    \b
    twofold replay tables                        decide every input again and compare with journal and changelog
    twofold replay tables --restore              ... and write what the changelog lacks; all workers must be stopped
    twofold replay tables --restore --partition 3
    """


@replay.command()
@click.option("--partition", type=click.IntRange(0), help="One partition only; all of them without it.")
@click.option("--restore", is_flag=True, help="Write what differs to the changelogs. All workers must be stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@registry_url_option
@cluster_options
def tables(partition: int | None, restore: bool, as_json: bool, **given: Any) -> None:
    """Rebuild the tables by deciding all inputs again, in the journal's order, and compare with the changelogs.

    A worker whose changelog was lost or damaged halts and names this command. Every decision must come out as the
    journal has it, in every field, before anything is written.

    \b
    Exit codes: 0 equal, or restored; 1 the changelogs differ (see --restore), or nothing could be rebuilt.
    """
    settings = settings_from(**given)
    try:
        if restore:
            demand_no_worker(settings)
        results = _rebuild_all(settings, partition, restore, quiet=as_json)
    except (ReplayError, Halted) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(results, indent=2))
    different = sum(result["differences"] for result in results)
    if different and not restore:
        if not as_json:
            click.echo("Stop all workers and repeat with --restore to write what differs.", err=True)
        raise SystemExit(1)


def _rebuild_all(settings: Settings, partition: int | None, restore: bool, quiet: bool) -> list[dict[str, Any]]:
    identity = _identity(settings)
    results = []
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,} decisions"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for number in range(identity.partitions) if partition is None else (partition,):
            task = progress.add_task(f"partition {number}", total=None)
            rebuilt = rebuild(settings, identity, number, partial(_show, progress, task))
            result = _settle(settings, rebuilt, restore)
            results.append(result)
            progress.update(task, completed=rebuilt.records, description=_told(result), total=rebuilt.records)
    return results


def _show(progress: Progress, task: TaskID, decisions: int) -> None:
    progress.update(task, completed=decisions)


def _settle(settings: Settings, rebuilt: Rebuilt, restore: bool) -> dict[str, Any]:
    different = differences(settings, rebuilt)
    if restore and different:
        write(settings, rebuilt, different)
    return {
        "partition": rebuilt.partition,
        "decisions": rebuilt.records,
        "rows": len(rebuilt.rows),
        "differences": len(different),
        "restored": bool(restore and different),
    }


def _told(result: dict[str, Any]) -> str:
    found = f"{result['differences']} rows differ" if result["differences"] else "equal"
    wrote = ", written" if result["restored"] else ""
    return f"partition {result['partition']}: {result['rows']} rows, {found}{wrote}"


def _identity(settings: Settings) -> Identity:
    topology = build_topology(settings, LedgerCodec.offline())
    return Cluster(EngineConfig(settings.bootstrap_servers)).identity(topology.topics)
