"""A data directory for a stack of the test's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.infra.processes import running_on


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that does not exist yet; whatever a failed test leaves running on it is ended.

    Not below pytest's own folder: every pytest session closes that to other users again, and Postgres, when root runs
    the tests, is another user.
    """
    parent = Path(tempfile.mkdtemp(prefix="twofold-test-"))
    yield parent / "data"
    for pid in running_on(parent):
        psutil.Process(pid).kill()
    shutil.rmtree(parent)
