"""The commands that bring intents and schemas in: ``schemas``, ``produce``, ``generate``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Message

from connectors.cli import main
from connectors.generator import generate, opening
from schemas.codec import RECORDS
from streams.agents.codec import LedgerCodec
from streams.settings import Settings
from tests.conftest import AnyServices

pytestmark = pytest.mark.stack

Committed = Callable[[Settings], list[Message]]
GOOD = {"kind": "FREEZE", "account": "ann", "idempotency_key": "k1"}


def run(settings: Settings, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env=settings.to_env())


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_schemas_apply_puts_all_in_place_and_check_sees_it(kafka: str, registry: str, unique: str) -> None:
    """check exits with 1 before and with 0 after; apply twice is harmless."""
    settings = Settings(bootstrap_servers=kafka, registry_url=registry, topic_prefix=f"{unique}.")
    before = run(settings, "schemas", "check")
    assert before.exit_code == 1
    assert "run `twofold schemas apply`" in before.stderr
    for _ in range(2):
        applied = run(settings, "schemas", "apply", "--json")
        assert applied.exit_code == 0
        assert set(as_json(applied)["ids"]) == set(RECORDS)
    assert run(settings, "schemas", "check").exit_code == 0
    shown = as_json(run(settings, "schemas", "show", "--json"))
    assert {state["problem"] for state in shown} == {None}


def test_schemas_show_prints_a_record_without_a_registry() -> None:
    """What is registered, whole, for people who write a client."""
    result = run(Settings(registry_url="http://127.0.0.1:1"), "schemas", "show", "Resolve")
    assert result.exit_code == 0
    assert as_json(result)["name"] == "Resolve"


def test_schemas_names_the_registry_that_does_not_answer() -> None:
    """The message says what to look at."""
    result = run(Settings(registry_url="http://127.0.0.1:1"), "schemas", "check")
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert "TWOFOLD_REGISTRY_URL" in result.stderr


def test_schemas_apply_waits_for_a_registry_that_starts(registry: str, unique: str, services: AnyServices) -> None:
    """It says that it waits, and goes on when the registry answers; with --wait 0 it gives up at once."""
    settings = Settings(registry_url=registry, topic_prefix=f"{unique}.")
    services.stop("registry")
    assert run(settings, "schemas", "apply", "--wait", "0").exit_code == 1
    command = [sys.executable, "-m", "twofold", "schemas", "apply", "--wait", "120"]
    environ = {**os.environ, **settings.to_env()}
    with Popen(command, cwd=Path(__file__).parents[2], env=environ, stderr=PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert "waiting up to 120 s" in waiting.stderr.readline()
        services.start("registry")
        assert waiting.wait(120) == 0


def test_produce_sends_all_but_the_bad_lines(ledger: Settings, committed: Committed) -> None:
    """Each bad line is named by number and field, the exit code is 1, everything else arrives."""
    lines = [GOOD, {**GOOD, "idempotency_key": 2}, {**GOOD, "idempotency_key": "k3"}]
    text = "\n".join(json.dumps(line) for line in lines) + "\nnonsense\n"
    result = run(ledger, "produce", "-", stdin=text)
    assert result.exit_code == 1
    assert "line 2: field idempotency_key: must be text, not 2" in result.stderr
    assert "line 4: is not JSON" in result.stderr
    assert "2 sent and acknowledged, 2 lines not sent" in result.stdout
    assert len(committed(ledger)) == 2


def test_produce_reads_csv(ledger: Settings, committed: Committed, tmp_path: Path) -> None:
    """By its name; the summary is JSON on demand."""
    file = tmp_path / "intents.csv"
    file.write_text("kind,account,idempotency_key,payee,amount,currency\nTRANSFER,ann,k,shop,7,EUR\nTRANSFER,,k,,,\n")
    result = run(ledger, "produce", str(file), "--json")
    assert result.exit_code == 1
    summary = as_json(result)
    assert summary["sent"] == 1
    assert [(bad["number"], bad["field"]) for bad in summary["bad"]] == [(3, "account")]
    assert len(committed(ledger)) == 1


def test_bytes_that_are_no_text_are_a_bad_line(ledger: Settings, committed: Committed, tmp_path: Path) -> None:
    """A file in another encoding loses nothing but the lines that are not UTF-8."""
    file = tmp_path / "intents.jsonl"
    good = json.dumps(GOOD).encode()
    file.write_bytes(good + b"\n" + good.replace(b"ann", b"an\xe9") + b"\n")
    result = run(ledger, "produce", str(file))
    assert result.exit_code == 1
    assert "line 2: field account" in result.stderr
    assert len(committed(ledger)) == 1


def expected(settings: Settings, seed: int, count: int) -> list[tuple[bytes, bytes]]:
    encode = LedgerCodec.connect(settings.registry_url, settings.topic_prefix).encode_intent
    records = [*opening(seed, 50), *generate(seed, count, 50, trouble=30, partitions=settings.partitions)]
    return sorted(one.encoded(encode) for one in records)


def test_generate_into_kafka_and_through_a_file_are_the_same(
    ledger: Settings, committed: Committed, tmp_path: Path
) -> None:
    """Wrong partitions and unreadable bytes included: what is produced is what was generated, byte for byte."""
    options = ["--seed", "4", "--count", "400", "--accounts", "50", "--trouble", "30"]
    file = tmp_path / "intents.jsonl"
    assert run(ledger, "generate", *options, "--out", str(file)).exit_code == 0
    assert run(ledger, "produce", str(file)).exit_code == 0
    through_file = committed(ledger)
    assert sorted((m.key() or b"", m.value() or b"") for m in through_file) == expected(ledger, 4, 400)
    result = run(ledger, "generate", *options, "--produce", "--json")
    assert result.exit_code == 0
    assert as_json(result)["total"] == len(through_file)
    twice = [(m.partition(), m.key() or b"", m.value() or b"") for m in committed(ledger)]
    assert sorted(twice) == sorted(2 * [(m.partition(), m.key() or b"", m.value() or b"") for m in through_file])


def test_generate_needs_one_target(ledger: Settings) -> None:
    """A file or Kafka: neither or both is wrong usage."""
    options = ["generate", "--seed", "4", "--count", "1", "--accounts", "50"]
    assert run(ledger, *options).exit_code == 2
    assert run(ledger, *options, "--produce", "--out", "-").exit_code == 2


def test_generate_to_standard_output_is_only_lines(ledger: Settings) -> None:
    """So that it can be piped into produce."""
    result = run(ledger, "generate", "--seed", "4", "--count", "20", "--accounts", "50", "--out", "-")
    assert all(json.loads(line) for line in result.stdout.splitlines())
    assert "total" in result.stderr
