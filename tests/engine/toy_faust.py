"""The toy as a Faust app: `faust -A tests.engine.toy_faust worker`, told by the variable TOY what to run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from streams.engine.config import EngineConfig
from streams.engine.service import CrashingSupervisor, EngineApp, EngineService
from tests.engine.toy import Toy

SPEC: dict[str, Any] = json.loads(os.environ["TOY"])
TOY = Toy(SPEC["prefix"], SPEC["partitions"], SPEC["group"])

app = EngineApp("toy", web_enabled=False, datadir=SPEC["store_dir"])
engine = EngineService(
    app,
    TOY.topology,
    EngineConfig(SPEC["bootstrap"], store="memory", batch_records=10, session_timeout_ms=3_000),
    on_ready=lambda: Path(SPEC["ready"]).touch(),
)


@app.agent(engine.channel, supervisor_strategy=CrashingSupervisor)
async def count(batches: Any) -> None:
    """Counts; dies of one value, as an agent whose own code is wrong would."""
    async for work in batches:
        if any(record.value == b"agent dies" for record in work.batch):
            raise ZeroDivisionError("the agent itself, outside of the handler")
        work.run()
