"""The Faust app of reconciliation: a service reads and puts batches on a channel, an agent folds and compares them.

Faust's own Kafka path is off; its agents, services and web views are used. One process does the whole ledger: the
consumers are assigned every partition, in a consumer group of their own, and the state is rebuilt from the journal.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import faust
from faust import web
from faust.app.base import BootStrategy
from faust.channels import Channel

from streams import topics
from streams.reconciliation import report as reports
from streams.reconciliation.auditor import Auditor
from streams.reconciliation.follow import Read
from streams.settings import Settings

log = logging.getLogger(__name__)

JOURNAL, CHANGELOG = "journal", "changelog"
BATCHES_AHEAD = 2
"""Batches that may wait on the channel while one is folded."""

GC_THRESHOLDS = (100_000, 50, 100)
"""Accounts and changes hold no cycles: the default thresholds would look for some all the time."""

Told = Callable[[reports.Report], None]


class Batch(NamedTuple):
    """What was read of one topic."""

    source: str
    read: Read


class Batches(Channel[Batch]):
    """What was read, on its way to the agent: in memory, but it names the topic for ``faust agents``."""

    topic_name = ""

    def get_topic_name(self) -> str:
        """The journal's full name."""
        return self.topic_name


class WithoutKafka(BootStrategy):
    """Start agents, services and the web server, and nothing of Faust's Kafka path."""

    enable_kafka = False


class Reconciliation(faust.App):
    """The app, with the auditor that it feeds and what ended it."""

    BootStrategy = WithoutKafka
    auditor: Auditor
    failure: BaseException | None = None
    ended: asyncio.Event


def calm_collector() -> None:
    """Let Python's collector of cycles leave the books alone."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def build(settings: Settings, port: int, told: Told = lambda report: None) -> Reconciliation:
    """The app for a ledger. ``told`` is given every report; the views are at ``port`` of 127.0.0.1."""
    own_folder = settings.data_dir / "faust" / "reconciliation"
    own_folder.mkdir(parents=True, exist_ok=True)
    app = Reconciliation(
        f"{settings.group}-reconciliation",
        broker=f"kafka://{settings.bootstrap_servers}",
        store="memory://",
        datadir=str(own_folder),
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=port,
    )
    batches = Batches(app, maxsize=BATCHES_AHEAD)
    batches.topic_name = settings.topic(topics.JOURNAL.name)

    @app.agent(batches, name="reconcile")
    async def reconcile(stream: Any) -> None:
        """Fold and compare every batch, in the order in which it was read."""
        async for batch in stream:
            try:
                books = app.auditor.books
                (books.take_journal if batch.source == JOURNAL else books.take_changelog)(batch.read)
            except Exception as error:
                await _end(app, error)
                return

    _add_service(app, settings, batches, told)
    _add_views(app)
    return app


def _add_service(app: Reconciliation, settings: Settings, batches: Any, told: Told) -> None:
    @app.service
    class Reading(faust.Service):
        """Reads the journal and the changelog, and makes a report every few seconds."""

        async def on_start(self) -> None:
            app.auditor = Auditor(settings)
            app.ended = asyncio.Event()
            app.flow_control.resume()
            calm_collector()

        async def on_stop(self) -> None:
            await asyncio.to_thread(app.auditor.close)

        @faust.Service.task
        async def _follow_journal(self) -> None:
            await self._follow(JOURNAL, start=True)

        @faust.Service.task
        async def _follow_changelog(self) -> None:
            await self._follow(CHANGELOG)

        async def _follow(self, source: str, start: bool = False) -> None:
            try:
                if start:
                    await app.auditor.start()
                await app.auditor.started.wait()
                read = app.auditor.read_journal if source == JOURNAL else app.auditor.read_changelog
                while not self.should_stop:
                    batch = Batch(source, await read())
                    if batch.read.records or batch.read.ended:
                        await batches.put(batch)
            except Exception as error:
                await _end(app, error)

        @faust.Service.task
        async def _report(self) -> None:
            try:
                await app.auditor.started.wait()
                while not self.should_stop:
                    report = await app.auditor.round()
                    await app.auditor.publish(report)
                    told(report)
                    await self.sleep(settings.report_seconds)
            except Exception as error:
                await _end(app, error)


def _add_views(app: Reconciliation) -> None:
    @app.page("/report", name="report")
    class ReportView(web.View):
        """The latest report; ``/report?now=1`` makes a new one, publishes it and answers with it."""

        async def get(self, request: web.Request) -> web.Response:
            if request.query.get("now"):
                report = await app.auditor.round()
                await app.auditor.publish(report)
            elif app.auditor.latest is None:
                return self.json({"error": "no report yet"}, status=503)
            else:
                report = app.auditor.latest
            return self.text(json.dumps(report, indent=2), content_type="application/json")

    @app.page("/health", name="health")
    class HealthView(web.View):
        """200 as long as the books balance or are behind, 503 with a break or before the first report."""

        async def get(self, request: web.Request) -> web.Response:
            report = app.auditor.latest
            verdict = "STARTING" if report is None else report["verdict"]
            return self.json({"verdict": verdict}, status=503 if verdict in ("STARTING", "BREAK") else 200)


async def _end(app: Reconciliation, error: BaseException) -> None:
    """An error here is a bug or a wrong configuration: the process ends instead of going on with wrong books."""
    log.error("reconciliation ends: %r", error)
    app.failure = error
    app.ended.set()
    root = app.beacon.root
    if root is not None and isinstance(root.data, faust.Worker):
        await app.crash(error)
