"""``make demo``: from nothing to a proved result, and nothing left behind, also when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SMALL = ["--intents", "1500", "--accounts", "60", "--seed", "5"]
PATIENCE_SECONDS = 400


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that know of the folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(folder) in line:
            found.append(line)
    return found


def start(folder: Path) -> subprocess.Popen[str]:
    """The demo as a process, its output to be read."""
    command = [sys.executable, "-u", "-m", "examples.demo", *SMALL, "--data", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(PATIENCE_SECONDS + 60)
def test_the_demo_proves_its_books_and_leaves_nothing_running(folder: Path) -> None:
    """Exit code 0; nine invariants hold, the agent says BALANCED, the model expected every count."""
    process = start(folder / "demo")
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    for number in range(1, 10):
        assert f"\n{number} holds" in said
    assert "reconciliation agent: BALANCED" in said
    assert "differs" not in said
    assert "everything holds" in said
    assert left_behind(folder) == []


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(PATIENCE_SECONDS + 60)
def test_an_interrupted_demo_stops_what_it_started(folder: Path) -> None:
    """Ctrl-C in the middle of the traffic: exit code 130, and every process is gone."""
    process = start(folder / "demo")
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("opening"):
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, said + rest
    assert left_behind(folder) == []
