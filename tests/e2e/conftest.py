"""Folders for stacks of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postgres' own user may enter too, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="twofold-e2e-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
