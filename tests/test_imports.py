"""Imports point one way, so that each rule has one home.

``connectors``, ``sinks``, ``streams/agents`` -> ``streams/engine``, ``schemas`` -> nothing; ``streams/ledger`` ->
nothing; ``streams/reconciliation`` never imports ``streams/ledger``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ("twofold", "streams", "schemas", "sinks", "connectors", "infra", "tests", "bench", "examples")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "streams/ledger": ("streams.ledger",),
    "streams/engine": ("streams.engine",),
    "schemas": ("schemas",),
    "infra": ("infra", "streams.settings", "streams.topics"),
}
"""Folder -> the modules of the house that it may import."""

MAY_NOT_IMPORT: dict[str, tuple[str, ...]] = {
    "streams/reconciliation": ("streams.ledger", "streams.agents", "connectors"),
    "streams/agents": ("sinks", "connectors", "streams.reconciliation"),
    "sinks": ("connectors", "streams.agents", "streams.engine", "streams.reconciliation"),
    "streams": ("connectors", "sinks", "twofold"),
    "twofold": ("tests", "bench", "examples"),
}
"""Folder -> the modules of the house that it must not import."""

IMPURE = {
    "asyncio", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""Of the standard library: what reads a clock, the outside world or chance."""


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, those inside of functions included."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of the packages or inside of one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def of_the_house(folder: str) -> list[tuple[str, str]]:
    """(file, module) of each import of a folder that names a part of the house."""
    return [
        (str(file.relative_to(ROOT)), module)
        for file in sorted((ROOT / folder).rglob("*.py"))
        for module in imports(file)
        if within(module, HOUSE)
    ]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_lower_part_knows_none_above_it(folder: str) -> None:
    """The engine knows nothing of money, the ledger nothing of Kafka, the schemas nothing of either."""
    allowed = MAY_IMPORT[folder]
    parents = tuple(part for module in allowed for part in [module.rpartition(".")[0]] if part)
    wrong = [(file, module) for file, module in of_the_house(folder) if not within(module, allowed)]
    assert [(file, module) for file, module in wrong if module not in parents] == []


@pytest.mark.parametrize("folder", MAY_NOT_IMPORT)
def test_no_arrow_points_back(folder: str) -> None:
    """Reconciliation has its own arithmetic; the stream processor knows neither sink nor connector."""
    assert [pair for pair in of_the_house(folder) if within(pair[1], MAY_NOT_IMPORT[folder])] == []


def test_the_ledger_uses_the_standard_library_alone_and_nothing_impure_of_it() -> None:
    """No I/O, no clock, no chance: whatever is not the house's is a pure module of the standard library."""
    for file in sorted((ROOT / "streams" / "ledger").rglob("*.py")):
        for module in imports(file):
            top = module.partition(".")[0]
            if top != "streams":
                assert top in sys.stdlib_module_names, f"{file.name} imports {module}"
                assert top not in IMPURE, f"{file.name} imports {module}"


def test_the_ledger_reads_no_hash_and_no_identity() -> None:
    """hash() and id() differ from process to process; floats differ from what a bank expects."""
    for file in sorted((ROOT / "streams" / "ledger").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("hash", "id", "open", "float"), f"{file.name}:{node.lineno}"
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{file.name}:{node.lineno}"
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), f"{file.name}:{node.lineno}"


def test_every_folder_of_the_house_is_looked_at() -> None:
    """A test that reads no file would pass for ever."""
    for folder in (*MAY_IMPORT, *MAY_NOT_IMPORT):
        assert list((ROOT / folder).rglob("*.py")), folder
