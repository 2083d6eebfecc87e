"""The agent as a process: views, topic, table, exit codes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from connectors.cli import main
from schemas.codec import Codec
from schemas.registry import Registry
from streams.settings import Settings
from tests.reconciliation.audit import Office
from tests.reconciliation.test_honest_traffic import Process

pytestmark = pytest.mark.stack


def reports_in_topic(settings: Settings) -> list[dict[str, object]]:
    """Every report that the topic holds."""
    registry = Registry(settings.registry_url)
    codec = Codec(registry.ids("reconciliation-reports", settings.topic_prefix), registry.writer_schema)
    consumer = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": settings.group + "-test"})
    topic = settings.topic("reconciliation-reports")
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found: list[dict[str, object]] = []
    while len(found) < end:
        message = consumer.poll(10)
        assert message is not None
        assert not message.error(), message.error()
        found.append(codec.decode(message.value() or b""))
    consumer.close()
    return found


def test_a_report_is_published_every_few_seconds_and_on_demand(sunk: Office, tmp_path: Path) -> None:
    """The same report goes to the topic, to Postgres and to the view; ``?now=1`` makes one at once."""
    settings = dataclasses.replace(sunk.settings, data_dir=tmp_path, report_seconds=3600)
    process = Process(settings)
    try:
        announced = tmp_path / "workers" / "reconcile.json"
        sunk.wait_until(lambda: process.latest["verdict"] != "", "the first report")
        place = json.loads(announced.read_text())
        assert place["pid"] == process.process.pid
        url = f"http://127.0.0.1:{place['port']}"

        def balanced() -> bool:
            return bool(httpx.get(f"{url}/report?now=1", timeout=30).json()["verdict"] == "BALANCED")

        sunk.wait_until(balanced, "balanced")
        asked = httpx.get(f"{url}/report", timeout=30).json()
        assert asked["number"] > 1
        assert httpx.get(f"{url}/health", timeout=30).status_code == 200
        in_topic = [report for report in reports_in_topic(settings) if report["time"] == asked["time"]]
        assert [{**r, "totals": [dict(t) for t in r["totals"]]} for r in in_topic] == [asked]  # type: ignore[attr-defined]
        stored = sunk.query(
            "SELECT verdict, breaks, report FROM twofold.reconciliation_reports ORDER BY id DESC LIMIT 1"
        )
        assert stored == [("BALANCED", 0, asked)]
    finally:
        code = process.end()
    assert code == 0
    assert not announced.exists()


def test_once_exits_with_0_if_the_books_balance_and_with_1_if_not(sunk: Office) -> None:
    """``--once --json`` for scripts; ``--once`` for people, who see which row it is."""
    good = CliRunner().invoke(main, ["reconcile", "--once", "--json"], env=sunk.settings.to_env())
    assert (good.exit_code, json.loads(good.stdout)["verdict"]) == (0, "BALANCED"), good.output
    sunk.tamper("account_balances", "UPDATE ledger_1.account_balances SET debits_posted = 1 WHERE account = 'EUR-0003'")
    bad = CliRunner().invoke(main, ["reconcile", "--once"], env=sunk.settings.to_env())
    assert bad.exit_code == 1
    assert "BREAK" in bad.stdout
    assert "account EUR-0003" in bad.stdout


def test_missing_topics_are_an_error_that_says_what_to_do(
    kafka: str, registry: str, postgres: str, unique: str
) -> None:
    """No topics: exit code 1 and the command that makes them."""
    settings = Settings(
        bootstrap_servers=kafka, registry_url=registry, postgres_dsn=postgres, topic_prefix=unique, partitions=2
    )
    result = CliRunner().invoke(main, ["reconcile", "--once"], env=settings.to_env())
    assert result.exit_code == 1
    assert "twofold topics apply" in result.output


def test_faust_lists_the_agent(tmp_path: Path) -> None:
    """``faust -A streams.reconciliation.app agents`` knows the agent and the topic that it folds."""
    listed = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "streams.reconciliation.app", "agents"],
        env={**os.environ, "TWOFOLD_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "@reconcile" in listed.stdout
    assert "journal" in listed.stdout
