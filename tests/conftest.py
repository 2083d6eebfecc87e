"""What every test may ask for: real services, fresh names and databases; and no silent skips in CI."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

from infra.stack import Services
from tests.containers import ContainerServices, docker_answers

AnyServices = Services | ContainerServices

NEEDS_DOCKER = "needs a Docker engine"
"""The one reason for which a test may be skipped in CI."""

# A busy machine is no failure: no test has a deadline of its own.
hypothesis.settings.register_profile("twofold", deadline=None, print_blob=True)
hypothesis.settings.load_profile("twofold")

LOCAL, DOCKER = "the local stack (no Docker engine answers)", "containers (a Docker engine answers)"


def pytest_report_header() -> str:
    return f"services: {DOCKER if docker_answers() else LOCAL}"


@pytest.fixture(scope="session")
def _stack(request: pytest.FixtureRequest) -> Iterator[AnyServices]:
    """One stack for the whole run, started when the first test asks; the logs of a failed run are kept."""
    data = Path(tempfile.mkdtemp(prefix="twofold-tests-"))
    stack: AnyServices = ContainerServices(data) if docker_answers() else Services(data, short_lived=True)
    stack.up()
    yield stack
    stack.down()
    if request.session.testsfailed and (data / "logs").exists():
        for part in data.iterdir():
            if part.is_dir() and part.name != "logs":
                shutil.rmtree(part)
        print(f"\nlogs of the services: {data / 'logs'}")
    else:
        shutil.rmtree(data)


@pytest.fixture(scope="session")
def kafka(_stack: AnyServices) -> str:
    """Bootstrap servers of a running Kafka."""
    return _stack.bootstrap_servers


@pytest.fixture(scope="session")
def registry(_stack: AnyServices) -> str:
    """Base URL of a running schema registry's Confluent-compatible API."""
    return _stack.registry_url


@pytest.fixture(scope="session")
def postgres(_stack: AnyServices) -> str:
    """Superuser's DSN of a database that this run alone uses."""
    return _stack.postgres_dsn


@pytest.fixture
def fresh_database(postgres: str) -> Callable[[], str]:
    """Makes an empty database at each call and returns the superuser's DSN of it."""

    def make() -> str:
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres.rsplit("/", 1)[0] + f"/{name}"

    return make


@pytest.fixture
def services(_stack: AnyServices) -> Iterator[AnyServices]:
    """The stack itself, to kill, pause and restart its parts; what is down or paused is healed after the test."""
    yield _stack
    for name in _stack.names:
        _stack.resume(name)
        if _stack.pid(name) is None:
            _stack.start(name)


@pytest.fixture
def unique() -> str:
    """A name that no other test has: for topic prefixes, groups, accounts."""
    return f"t{uuid.uuid4().hex[:10]}"


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing is skipped in silence: a skip for any reason but Docker is a failure."""
    report: pytest.TestReport = yield
    if _is_ci() and report.skipped and not hasattr(report, "wasxfail") and NEEDS_DOCKER not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself while it is collected."""
    report: pytest.CollectReport = yield
    if _is_ci() and report.skipped and NEEDS_DOCKER not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
