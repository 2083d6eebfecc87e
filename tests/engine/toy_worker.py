"""A worker of the toy application in a process of its own, which can be told to die or stop at a named point.

python -m tests.engine.toy_worker '{"bootstrap": ..., "prefix": ..., "partitions": 2, "group": ..., "slot": 0, ...}'

`point`, `nth` and `action`: at the n-th passing of the point, `kill` (SIGKILL itself), `stop` (SIGSTOP itself) or
`wait` (write the file `signal` and go on when it is gone). `events` is a file to which `ready` is written.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streams.engine.config import EngineConfig
from streams.engine.worker import EngineWorker
from tests.engine.toy import Toy


def probe_of(spec: dict[str, Any]) -> Callable[[str], None]:
    passed: Counter[str] = Counter()

    def probe(point: str) -> None:
        passed[point] += 1
        if point != spec.get("point") or passed[point] != spec.get("nth", 1):
            return
        if spec["action"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif spec["action"] == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            file = Path(spec["signal"])
            file.touch()
            while file.exists():
                time.sleep(0.01)

    return probe


def main() -> int:
    spec = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s")
    toy = Toy(spec["prefix"], spec["partitions"], spec["group"])
    toy.away = spec.get("away", False)
    config = EngineConfig(
        spec["bootstrap"],
        slot=spec.get("slot", 0),
        partitions=spec.get("expected_partitions"),
        store=spec.get("store", "disk"),
        store_dir=Path(spec["store_dir"]),
        batch_records=spec.get("batch_records", 100),
        session_timeout_ms=spec.get("session_timeout_ms", 3_000),
        transaction_timeout_ms=spec.get("transaction_timeout_ms", 5_000),
        deadline_seconds=spec.get("deadline_seconds", 8.0),
    )
    worker = EngineWorker(toy.topology, config, probe=probe_of(spec), on_ready=lambda: Path(spec["ready"]).touch())
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    return worker.run()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)
