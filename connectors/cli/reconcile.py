"""``twofold reconcile``: the agent that compares journal, tables and Postgres, and its report once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from connectors.cli.sink import postgres_options
from connectors.cli.topics import cluster_options, settings_from
from streams.reconciliation import report as reports
from streams.reconciliation.auditor import Auditor
from streams.reconciliation.follow import CannotFollow
from streams.reconciliation.service import build, free_port
from streams.settings import Settings

INTERRUPTED = 130
POLL_SECONDS = 0.05

log = logging.getLogger("twofold.reconcile")


@click.command()
@cluster_options
@postgres_options
@click.option("--registry-url", metavar="URL", help="The schema registry. [TWOFOLD_REGISTRY_URL]")
@click.option("--report-seconds", type=click.IntRange(1), help="Seconds between reports. [TWOFOLD_REPORT_SECONDS]")
@click.option("--web-port", type=int, help="Port of the views on 127.0.0.1; 0: any free one. [TWOFOLD_WEB_PORT]")
@click.option("--once", is_flag=True, help="Compare all that is there now, print the report, and end.")
@click.option("--timeout", type=click.IntRange(1), default=60, show_default=True, help="--once: seconds to wait.")
@click.option("--json", "as_json", is_flag=True, help="Print reports as JSON, one a line.")
def reconcile(once: bool, timeout: int, as_json: bool, **given: Any) -> None:
    """Compare the journal, the tables and Postgres, all the time, and report every few seconds.

    Reads the journal from its start and does all arithmetic anew. Needs no worker and no sink to run; with them
    stopped it goes on to compare. Reports go to the topic reconciliation-reports, to the Postgres table
    twofold.reconciliation_reports and to http://127.0.0.1:PORT/report (?now=1 makes one at once). What each kind of
    break means, and what to do: docs/reconciliation.md.

    \b
    twofold reconcile                     run until stopped, a line whenever the verdict changes
    twofold reconcile --once              exit code 0: BALANCED; 1: BREAK, or BEHIND after --timeout seconds
    twofold reconcile --once --json | jq .breaks
    """
    settings = settings_from(**given)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO)
    try:
        code = asyncio.run(_once(settings, timeout, as_json) if once else _forever(settings, as_json))
    except CannotFollow as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


async def _once(settings: Settings, timeout: int, as_json: bool) -> int:
    auditor = Auditor(settings)
    try:
        report = await compare_once(auditor, timeout, progress=sys.stderr.isatty())
    finally:
        await asyncio.to_thread(auditor.close)
    click.echo(json.dumps(report) if as_json else reports.text(report))
    return 0 if report["verdict"] == "BALANCED" else 1


async def compare_once(
    auditor: Auditor, timeout: float, enough: Callable[[reports.Report], bool] | None = None, progress: bool = False
) -> reports.Report:
    """Read all that is there, compare it, publish the report and give it; BEHIND if that is not done in time.

    ``enough`` may say earlier that a report will do.
    """
    await auditor.start()
    reading = [
        asyncio.create_task(_feed(auditor.read_journal, auditor.books.take_journal)),
        asyncio.create_task(_feed(auditor.read_changelog, auditor.books.take_changelog)),
    ]
    until = time.monotonic() + timeout
    try:
        while True:
            report = await auditor.round()
            failed = [task for task in reading if task.done()]
            if failed:
                failed[0].result()
            done = auditor.settled() and not report["notices"]
            if done or (enough is not None and enough(report)) or time.monotonic() > until:
                break
            if progress and report["notices"]:
                click.echo(f"\r\x1b[K{report['notices'][0]}", nl=False, err=True)
            await asyncio.sleep(POLL_SECONDS)
    finally:
        for task in reading:
            task.cancel()
        for task in reading:
            with suppress(asyncio.CancelledError):
                await task
    if progress:
        click.echo("\r\x1b[K", nl=False, err=True)
    await auditor.publish(report)
    return report


async def _feed(read: Any, take: Any) -> None:
    while True:
        take(await read())


async def _forever(settings: Settings, as_json: bool) -> int:
    said: list[str] = []

    def told(report: reports.Report) -> None:
        if not said:
            click.echo("ready")
        notice = report["notices"][0] if report["notices"] else ""
        if as_json:
            click.echo(json.dumps(report))
        elif [report["verdict"]] != said or "from its start" in notice:
            level = logging.ERROR if report["verdict"] == "BREAK" else logging.INFO
            log.log(level, "%s", reports.text(report) if level == logging.ERROR else f"{report['verdict']} {notice}")
        said[:] = [report["verdict"]]

    port = settings.web_port or free_port()
    app = build(settings, port, told)
    stop = asyncio.Event()
    ended_by: list[int] = []

    def end(number: int) -> None:
        ended_by.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    with _announced(settings.data_dir, port):
        await app.start()
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(app.ended.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await app.stop()
    if app.failure is not None:
        raise app.failure
    return INTERRUPTED if ended_by[:1] == [signal.SIGINT] else 0


@contextmanager
def _announced(data_dir: Path, port: int) -> Iterator[None]:
    """The file that says where this service is, for as long as it runs."""
    file = data_dir / "workers" / "reconcile.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({"pid": os.getpid(), "port": port, "since": since}) + "\n")
    beside.replace(file)
    try:
        yield
    finally:
        if file.exists() and json.loads(file.read_text()).get("pid") == os.getpid():
            file.unlink()
