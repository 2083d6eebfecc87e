"""Both stores behave alike, and like a dict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.errors import Fenced, Halted
from streams.engine.store import disk
from streams.engine.store.disk import DiskStore
from streams.engine.store.interface import Store
from streams.engine.store.memory import MemoryStore

KEYS = st.binary(min_size=1, max_size=3).filter(lambda key: key[0] < 255)
BATCHES = st.lists(st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=5)), max_size=6), max_size=8)
MAKERS: list[Callable[[Path], Store]] = [DiskStore, lambda folder: MemoryStore()]


@pytest.mark.parametrize("make", MAKERS, ids=["disk", "memory"])
@given(batches=BATCHES, prefix=st.binary(min_size=1, max_size=1), start=KEYS)
@settings(max_examples=40)
def test_a_store_is_a_sorted_dict(
    make: Callable[[Path], Store], batches: list[list[tuple[bytes, bytes | None]]], prefix: bytes, start: bytes
) -> None:
    """Writes apply in order and whole; a scan gives the keys of a prefix in order; the stamp is the last one's."""
    with tempfile.TemporaryDirectory() as folder:
        store = make(Path(folder) / "0")
        model: dict[bytes, bytes] = {}
        for number, batch in enumerate(batches):
            store.apply(batch, b"stamp %d" % number)
            for key, value in batch:
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
        assert {key: store.get(key) for key in model} == model
        wanted = sorted((k, v) for k, v in model.items() if k.startswith(prefix) and k >= start)
        assert list(store.scan(prefix, start)) == wanted
        assert store.stamp() == (b"stamp %d" % (len(batches) - 1) if batches else None)
        store.wipe()
        assert store.stamp() is None
        assert list(store.scan(b"")) == []
        store.close()


def test_a_disk_store_keeps_rows_and_stamp_across_a_reopening(tmp_path: Path) -> None:
    """What was applied is there, with the stamp that belongs to it."""
    store = DiskStore(tmp_path / "0")
    store.apply([(b"\x01a", b"1")], b"stamp")
    store.close()
    again = DiskStore(tmp_path / "0")
    assert (again.get(b"\x01a"), again.stamp()) == (b"1", b"stamp")
    again.close()


def test_a_store_that_another_worker_has_open_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers in one slot: the message says to give each its own."""
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.3)
    store = DiskStore(tmp_path / "0")
    with pytest.raises(Halted, match="its own slot"):
        DiskStore(tmp_path / "0")
    store.close()


def test_a_store_that_cannot_be_read_ends_the_worker_and_is_thrown_away(tmp_path: Path) -> None:
    """A read error is no poison record and no missing row: nothing may be decided from a damaged store."""
    store = DiskStore(tmp_path / "0")
    store.apply([(b"\x01" + i.to_bytes(4, "big"), bytes(200)) for i in range(1000)], b"stamp")
    store._db.flush()
    for file in (tmp_path / "0").glob("*.sst"):
        file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(Fenced, match="restored anew"):
        store.get(b"\x01" + (500).to_bytes(4, "big"))
    store.close()
    again = DiskStore(tmp_path / "0")
    assert again.stamp() is None
    again.close()
