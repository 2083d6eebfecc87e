"""A Faust sensor that carries the engine's metrics, and renders them for people and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import faust

from streams.engine.metrics import Metrics


class EngineSensor(faust.Sensor):
    """The engine's metrics as Faust's own sensor interface gives them (``asdict``). Empty before the engine runs."""

    metrics: Metrics | None = None

    def asdict(self) -> Mapping[str, Any]:
        """Counters since the start, and the present state."""
        return {} if self.metrics is None else dict(self._values(self.metrics))

    def health(self) -> dict[str, Any]:
        """Whether all is well, and if not what is not: halted queues and partitions with their reasons."""
        metrics = self.metrics
        if metrics is None:
            return {"healthy": False, "state": "starting"}
        halts = {f"{queue.topic}/{queue.partition}": reason for queue, reason in metrics.halts.items()}
        return {
            "healthy": metrics.state == "running" and not halts and not metrics.halted_partitions,
            "state": metrics.state,
            "partitions": list(metrics.partitions),
            "restoring": dict(metrics.restoring),
            "halted_queues": halts,
            "halted_partitions": dict(metrics.halted_partitions),
        }

    def prometheus(self) -> str:
        """The numbers in Prometheus' text format."""
        lines = []
        for name, value in self.asdict().items():
            kind = "gauge" if name in {"partitions", "halted_queues", "halted_partitions"} else "counter"
            full = f"twofold_engine_{name}" + ("_total" if kind == "counter" else "")
            lines += [f"# TYPE {full} {kind}", f"{full} {value}"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _values(metrics: Metrics) -> Iterator[tuple[str, float]]:
        for name in ("batches", "records", "outputs", "aborted", "splits", "commit_seconds", "handle_seconds"):
            yield name, getattr(metrics, name)
        yield "partitions", len(metrics.partitions)
        yield "halted_queues", len(metrics.halts)
        yield "halted_partitions", len(metrics.halted_partitions)
