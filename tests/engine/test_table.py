"""A table is a dict with an undo: overlay, cache and store can never be told apart."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.engine.store.memory import MemoryStore
from streams.engine.table import PartitionTables, TableSpec

SPEC: TableSpec[str, int] = TableSpec(
    "t", 1, "changelog", str.encode, bytes.decode, lambda v: b"%d" % v, lambda raw: int(raw), cached=3
)
KEYS = st.sampled_from("abcdefghij")


class TableMachine(RuleBasedStateMachine):
    """Random reads, writes, commits and aborts against two dicts: committed, and as the batch sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.tables = PartitionTables(0, [SPEC], self.store)
        self.table = self.tables.table("t")
        self.committed: dict[str, int] = {}
        self.batch: dict[str, int] = {}
        self.changelog: dict[bytes, bytes] = {}

    @rule(key=KEYS, row=st.integers(0, 9))
    def put(self, key: str, row: int) -> None:
        self.table.put(key, row)
        self.batch[key] = row

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.table.delete(key)
        self.batch.pop(key, None)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.table.get(key) == self.batch.get(key)
        assert self.table.committed(key) == self.committed.get(key)

    @rule()
    def commit(self) -> None:
        changes = self.tables.changes()
        for _, key, value in changes:
            if value is None:
                assert key in self.changelog, "a deletion of what was never written leaves no trace"
                del self.changelog[key]
            else:
                self.changelog[key] = value
        self.tables.commit(changes, b"stamp")
        self.committed = dict(self.batch)

    @rule()
    def abort(self) -> None:
        self.tables.drop()
        self.batch = dict(self.committed)

    @rule()
    def scan(self) -> None:
        assert dict(self.table.items()) == self.batch

    @invariant()
    def the_changelog_is_the_store(self) -> None:
        assert dict(self.store.scan(b"")) == self.changelog
        assert self.changelog == {b"\x01" + k.encode(): b"%d" % v for k, v in self.committed.items()}


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=60, stateful_step_count=40)
