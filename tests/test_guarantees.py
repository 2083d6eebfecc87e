"""The page of guarantees names tests; each must exist, or the page promises what nothing holds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_the_page_of_guarantees_names_exists() -> None:
    """A test that was renamed or deleted takes its rule with it, unless the page is told."""
    named = NAMED.findall((ROOT / "docs" / "guarantees.md").read_text())
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in _text(file)]
    assert len(named) > 40
    assert not missing


def _text(file: str) -> str:
    path = ROOT / file
    return path.read_text() if path.exists() else ""
