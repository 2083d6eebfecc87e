"""``twofold up``, ``down``, ``status``, ``env``: the local stack with all the ledger's agents."""

from __future__ import annotations

import json
import logging
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import psutil
from rich.console import Console
from rich.table import Table

from infra import state
from infra.errors import StackError
from infra.stack import KINDS, NAMES, Services
from infra.state import StackState
from infra.supervisor import Agent, Supervisor
from streams.settings import Settings

EXIT_CODES = """
\b
Exit codes: 0 done; 1 it could not be done (the message says what to do); 2 wrong usage;
130 interrupted with Ctrl-C, everything stopped."""

TOLD_IN = {"kafka": "TWOFOLD_BOOTSTRAP_SERVERS", "registry": "TWOFOLD_REGISTRY_URL", "postgres": "TWOFOLD_POSTGRES_DSN"}
INTERRUPTED = 130
STOP_SECONDS = 90.0

Command = Callable[..., Any]


def data_option(command: Command) -> Command:
    """``--data``: which stack is meant."""
    return click.option(
        "--data",
        "data_dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".twofold"),
        envvar="TWOFOLD_DATA_DIR",
        show_default=True,
        help="Data directory of the stack (also TWOFOLD_DATA_DIR).",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _names(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} given; choose from {', '.join(NAMES)}")
    return names


def _ports(context: click.Context, option: click.Parameter, given: Iterable[str]) -> dict[str, int]:
    known = [port for kind in KINDS for port in kind.port_names]
    ports = {}
    for text in given:
        name, _, number = text.partition("=")
        if name not in known or not number.isdecimal() or not 0 < int(number) < 65536:
            raise click.BadParameter(f"{text!r}: give NAME=NUMBER, with NAME one of {', '.join(known)}")
        ports[name] = int(number)
    return ports


@click.command(epilog=EXIT_CODES)
@data_option
@click.option("--detach", is_flag=True, help="Return when everything is up; stop it with `twofold down`.")
@click.option(
    "--only", callback=_names, metavar="NAMES", help="Only these services, no agents: kafka,registry,postgres."
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="How many payment workers.")
@click.option(
    "--port", "ports", multiple=True, callback=_ports, metavar="NAME=NUMBER", help="Fix a port; may be repeated."
)
def up(data_dir: Path, detach: bool, only: tuple[str, ...] | None, workers: int, ports: dict[str, int]) -> None:
    """Start Kafka, the schema registry, Postgres and the ledger's agents, and keep them running.

    Creates the topics, registers the schemas and migrates Postgres; then starts the payment workers, the sink and the
    reconciliation agent. What dies is started again. Data, ports and logs (DATA/logs) stay in the data directory.

    \b
    twofold up                                   in the foreground; Ctrl-C stops all of it
    twofold up --detach                          in the background, until `twofold down`
    twofold up --only kafka,registry,postgres    the services alone
    twofold up --data /tmp/a --port kafka=9092   elsewhere, Kafka on a port of your choice
    """
    data_dir = data_dir.resolve()
    if detach:
        _detach(data_dir, only, workers, ports)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        supervisor = _supervisor(data_dir, only, workers, ports)
        ended_by = supervisor.run()
    except StackError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(INTERRUPTED if ended_by == signal.SIGINT else 0)


def _supervisor(data_dir: Path, only: tuple[str, ...] | None, workers: int, ports: dict[str, int]) -> Supervisor:
    services = Services(data_dir, only or NAMES, ports)
    if only is not None:
        return Supervisor(services, environment=lambda: _environment(services))
    return Supervisor(services, setup_steps(), agents(workers), lambda: _environment(services))


def _environment(services: Services) -> dict[str, str]:
    settings = replace(Settings.from_env(), data_dir=services.data_dir)
    return {**settings.to_env(), **{TOLD_IN[name]: services.address(name) for name in services.names}}


def setup_steps() -> dict[str, list[str]]:
    """What must be done before the agents start, by name."""
    return {
        "topics": _twofold("topics", "apply"),
        "schemas": _twofold("schemas", "apply"),
        "migrate": _twofold("migrate"),
    }


def agents(workers: int) -> list[Agent]:
    """The processes of the product, in the order of their start."""
    slots = [
        Agent(f"worker-{slot}", _twofold("worker", "--slot", str(slot)), {"TWOFOLD_SLOT": str(slot)})
        for slot in range(workers)
    ]
    return [*slots, Agent("sink", _twofold("sink")), Agent("reconcile", _twofold("reconcile"))]


def _twofold(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "twofold", *arguments]


def _detach(data_dir: Path, only: tuple[str, ...] | None, workers: int, ports: dict[str, int]) -> None:
    options = ["--data", str(data_dir), "--workers", str(workers)]
    options += ["--only", ",".join(only)] if only else []
    options += [text for name, port in ports.items() for text in ("--port", f"{name}={port}")]
    log_file = data_dir / "logs" / "supervisor.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as output:
        said_from = output.tell()
        child = subprocess.Popen(
            _twofold("up", *options), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _follow(child, data_dir, log_file, said_from)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        sys.exit(INTERRUPTED)


def _follow(child: subprocess.Popen[bytes], data_dir: Path, log_file: Path, said_from: int) -> None:
    """Show what the supervisor says until everything is up, or it gives up."""
    with log_file.open(errors="replace") as log:
        log.seek(said_from)
        while True:
            ended = child.poll() is not None
            click.echo(log.read(), nl=False, err=True)
            if ended:
                sys.exit(child.returncode)
            if _is_up(data_dir, child.pid):
                break
            time.sleep(0.1)
    click.echo(f"up (pid {child.pid}); logs in {log_file.parent}; stop it with `twofold down --data {data_dir}`")


def _is_up(data_dir: Path, pid: int) -> bool:
    try:
        now = state.read(data_dir)
    except StackError:
        return False
    return now.pid == pid and now.phase == "up"


@click.command(epilog=EXIT_CODES)
@data_option
def down(data_dir: Path) -> None:
    """Stop everything that `twofold up` runs on the data directory; the data stay.

    \b
    twofold down
    twofold down --data /tmp/a
    """
    data_dir = data_dir.resolve()
    try:
        process = state.supervisor(data_dir)
    except StackError as error:
        click.echo(str(error))
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        raise click.ClickException(
            f"the supervisor (pid {process.pid}) still has not ended after {STOP_SECONDS:.0f} s: see "
            f"{data_dir / 'logs' / 'supervisor.log'}; `kill -9 {process.pid}` ends it and everything it runs"
        ) from None
    click.echo("stopped")


@click.command(epilog=EXIT_CODES)
@data_option
@json_option
def status(data_dir: Path, as_json: bool) -> None:
    """Show what runs: each process with its pid, restarts and, if it keeps ending, the reason.

    \b
    twofold status
    twofold status --json | jq '.members[] | select(.restarts > 0)'
    """
    now = _read(data_dir.resolve())
    if as_json:
        click.echo(json.dumps(asdict(now), indent=1))
        return
    table = Table(title=f"{now.phase}, supervisor pid {now.pid}", title_justify="left", box=None)
    for column in ("name", "state", "pid", "up for", "restarts", "address", "last end"):
        table.add_column(column, overflow="fold")
    for member in now.members:
        colour = "green" if member.state == "running" else "red"
        lived = f"{max(0, int(time.time() - member.since))} s"
        row = (member.name, f"[{colour}]{member.state}[/]", str(member.pid or "-"), lived, str(member.restarts))
        table.add_row(*row, member.address or "", member.last_reason or "")
    console = Console()
    # A pipe has no width: keep each row on one line there.
    Console(width=None if console.is_terminal else 250).print(table)


@click.command(epilog=EXIT_CODES)
@data_option
@json_option
def env(data_dir: Path, as_json: bool) -> None:
    """Print the variables that point a shell, and every `twofold` command in it, at the running stack.

    \b
    eval "$(twofold env)"
    twofold env --json
    """
    now = _read(data_dir.resolve())
    defaults = Settings().to_env()
    always = {"TWOFOLD_DATA_DIR", *(TOLD_IN[member.name] for member in now.members if member.name in TOLD_IN)}
    told = {name: text for name, text in now.environment.items() if name in always or defaults.get(name) != text}
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    for name, text in told.items():
        click.echo(f"export {name}={shlex.quote(text)}")


def _read(data_dir: Path) -> StackState:
    try:
        return state.read(data_dir)
    except StackError as error:
        raise click.ClickException(str(error)) from None
