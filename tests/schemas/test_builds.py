"""[!] The verdict about a record does not depend on whether fastavro runs compiled or in plain Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

JUDGE = """
import sys
if {plain}:
    for part in ("_read", "_write", "_schema", "_validation", "_logical_readers", "_logical_writers"):
        sys.modules["fastavro." + part] = None
import random
import fastavro.read
from schemas.codec import Codec
from schemas.errors import BadRecord
from streams.agents.codec import LedgerCodec
from connectors.generator import generate

assert fastavro.read._read.__name__.endswith("_py") is {plain}
codec, generic, rng = LedgerCodec.offline(), Codec.offline(), random.Random(7)
for generated in generate(3, 1500, 60, trouble=30):
    _, value = generated.encoded(codec.encode_intent)
    damaged = bytearray(value)
    at = rng.randrange(len(damaged))
    damaged[at:at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
    for data in (value, bytes(damaged)):
        for decode in (codec.decode_intent, generic.decode):
            try:
                print(decode(data))
            except BadRecord as error:
                print(error)
"""


def judged(plain: bool) -> str:
    code = JUDGE.replace("{plain}", str(plain))
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_both_builds_of_fastavro_give_the_same_verdicts() -> None:
    """Thousands of good and damaged records are judged in a process with each build: line by line the same."""
    compiled = judged(plain=False)
    assert compiled.count("truncated") > 50, "the corpus holds bad records"
    assert compiled.count("Transfer(") > 500, "the corpus holds good records"
    assert judged(plain=True) == compiled
