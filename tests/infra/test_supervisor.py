"""``twofold up`` and its supervisor: what dies is started again, and nothing outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.backoff import DELAYS, STABLE_SECONDS, Backoff
from tests.infra.processes import PATIENCE_SECONDS, eventually, member, running_on, twofold

pytestmark = pytest.mark.stack

TOY_STACK = """
import logging, sys
from pathlib import Path
from infra.stack import Services
from infra.supervisor import Agent, Supervisor
logging.basicConfig(level=logging.INFO)
data, setup, agent = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
services = Services(data, only={"postgres"})
python = lambda code: [sys.executable, "-c", code, str(data)]
Supervisor(services, {"setup": python(setup)}, [Agent("agent", python(agent))], lambda: {"GREETING": "hello"}).run()
"""


@pytest.fixture
def stack(data: Path) -> Path:
    """``twofold up --detach`` of Postgres alone."""
    done = twofold("up", "--data", str(data), "--only", "postgres", "--detach")
    assert done.returncode == 0, done.stderr
    return data


def toy(data: Path, setup: str, agent: str) -> subprocess.Popen[str]:
    """A supervisor of Postgres, one setup step and one agent, both given as Python code."""
    command = [sys.executable, "-c", TOY_STACK, str(data), setup, agent]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_down_stops_everything_and_says_so_twice(stack: Path) -> None:
    """Given a running stack, then ``down`` leaves no process; again, it says that nothing runs, and both exit 0."""
    first = twofold("down", "--data", str(stack))
    assert (first.returncode, first.stdout) == (0, "stopped\n")
    assert running_on(stack) == []
    second = twofold("down", "--data", str(stack))
    assert second.returncode == 0
    assert "no stack runs in" in second.stdout


def test_a_second_up_is_refused_and_harms_nothing(stack: Path) -> None:
    """Given a running stack, then another ``up`` exits 1 and names the way out; the first is still there."""
    second = twofold("up", "--data", str(stack), "--only", "postgres", "--detach")
    assert second.returncode == 1
    assert "already runs in" in second.stderr
    assert "twofold down" in second.stderr
    assert member(stack, "postgres")["state"] == "running"
    assert twofold("down", "--data", str(stack)).stdout == "stopped\n"


def test_a_service_killed_with_9_is_started_again_with_its_data(stack: Path) -> None:
    """Given ``kill -9`` of Postgres, then it comes back on the same port with its data, and status says why."""
    before = member(stack, "postgres")
    with psycopg.connect(before["address"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: member(stack, "postgres").get("restarts", 0) >= 1, "postgres is started again")
    after = member(stack, "postgres")
    assert after["address"] == before["address"]
    assert after["last_reason"] is not None

    def kept() -> object:
        try:
            with psycopg.connect(before["address"], connect_timeout=5) as connection:
                return connection.execute("SELECT answer FROM kept").fetchone()
        except psycopg.OperationalError:
            return None

    assert eventually(kept, "postgres answers again") == (42,)
    assert twofold("down", "--data", str(stack)).returncode == 0
    assert running_on(stack) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent was killed")
def test_nothing_outlives_a_supervisor_that_was_killed_with_9(stack: Path) -> None:
    """Given ``kill -9`` of the supervisor, then its services end by themselves, and the next ``up`` simply works."""
    held = int((stack / "lock").read_text())
    os.kill(held, signal.SIGKILL)
    eventually(lambda: running_on(stack) == [], "the services notice")
    again = twofold("up", "--data", str(stack), "--only", "postgres", "--detach")
    assert again.returncode == 0, again.stderr
    assert f"from process {held}" in again.stderr
    assert twofold("down", "--data", str(stack)).returncode == 0


def test_ctrl_c_stops_all_and_exits_130(data: Path) -> None:
    """Given ``twofold up`` in the foreground, then Ctrl-C stops everything and the exit code is 130."""
    up = [sys.executable, "-m", "twofold", "up", "--data", str(data), "--only", "postgres"]
    with subprocess.Popen(up, stderr=subprocess.DEVNULL) as process:
        eventually(lambda: member(data, "postgres"), "the stack is up")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
    assert running_on(data) == []


def test_env_prints_lines_that_a_shell_can_evaluate(stack: Path) -> None:
    """Given a running stack, then ``eval "$(twofold env)"`` sets what status says, and 1 is the code when none runs."""
    lines = twofold("env", "--data", str(stack)).stdout
    shell = subprocess.run(
        ["sh", "-c", 'eval "$1"; printf "%s" "$TWOFOLD_POSTGRES_DSN"', "sh", lines],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == member(stack, "postgres")["address"]
    assert twofold("down", "--data", str(stack)).returncode == 0
    stopped = twofold("env", "--data", str(stack))
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert "no stack runs in" in stopped.stderr


def test_status_shows_each_process_to_people_and_programs(stack: Path) -> None:
    """Given a running stack, then the table names the process with its address, and ``--json`` says the same."""
    shown = twofold("status", "--data", str(stack))
    (said,) = json.loads(twofold("status", "--data", str(stack), "--json").stdout)["members"]
    assert (said["name"], said["state"], said["restarts"]) == ("postgres", "running", 0)
    assert psutil.pid_exists(said["pid"])
    assert said["address"] in shown.stdout
    assert str(said["pid"]) in shown.stdout
    assert twofold("down", "--data", str(stack)).returncode == 0
    assert twofold("status", "--data", str(stack)).returncode == 1


def test_an_agent_that_halts_is_started_again_and_its_reason_is_shown(data: Path) -> None:
    """Given an agent that exits with 3, then it is restarted with back-off, and status shows its words."""
    agent = "print('worker halted: journal gap on partition 2; run the repair', flush=True); raise SystemExit(3)"
    with toy(data, "pass", agent) as supervisor:
        eventually(lambda: member(data, "agent").get("restarts", 0) >= 3, "three restarts")
        said = member(data, "agent")
        supervisor.terminate()
        supervisor.wait(PATIENCE_SECONDS)
    assert said["last_exit"] == 3
    assert "an operator has to act: worker halted: journal gap on partition 2" in said["last_reason"]
    assert running_on(data) == []


def test_agents_start_after_the_setup_and_all_are_given_the_environment(data: Path) -> None:
    """Given a setup step that writes a file, then the agent finds it, and both see the stack's variables."""
    setup = "import os, sys; open(sys.argv[1] + '/made', 'w').write(os.environ['GREETING'])"
    agent = (
        "import os, sys, time; found = open(sys.argv[1] + '/made').read();"
        "open(sys.argv[1] + '/seen', 'w').write(found + os.environ['GREETING']); time.sleep(600)"
    )
    with toy(data, setup, agent) as supervisor:
        eventually(lambda: (data / "seen").exists() and (data / "seen").read_text(), "the agent has run")
        supervisor.terminate()
        assert supervisor.wait(PATIENCE_SECONDS) == 0
    assert (data / "seen").read_text() == "hellohello"
    assert running_on(data) == []


def test_a_setup_step_that_fails_stops_the_stack_and_is_quoted(data: Path) -> None:
    """Given a step that exits 1, then the stack does not come up, says what the step said, and leaves nothing."""
    with toy(data, "raise SystemExit('topics have 4 partitions, not 8')", "pass") as supervisor:
        _, said = supervisor.communicate(timeout=PATIENCE_SECONDS)
    assert supervisor.returncode == 1
    assert "topics have 4 partitions, not 8" in said
    assert running_on(data) == []


def test_a_restart_is_immediate_then_slower_then_capped_and_anew_after_a_stable_while() -> None:
    """The first death costs nothing; a crash loop is slowed to the cap; a long life forgives all of it."""
    backoff = Backoff()
    delays = [backoff.after(0.1) for _ in range(len(DELAYS) + 3)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-3:] == [DELAYS[-1]] * 3
    assert backoff.after(STABLE_SECONDS) == 0
