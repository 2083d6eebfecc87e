"""Settings from ``TWOFOLD_*`` variables: where Kafka, the registry and Postgres are, and how the ledger is cut."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path


class SettingsError(ValueError):
    """A variable is missing or has a value that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """Each field is read from the variable ``TWOFOLD_<FIELD>``; the defaults fit the local stack of this folder."""

    bootstrap_servers: str = "127.0.0.1:9092"
    registry_url: str = "http://127.0.0.1:8081/apis/ccompat/v7"
    postgres_dsn: str = "postgresql://postgres@127.0.0.1:5432/twofold"
    data_dir: Path = Path(".twofold")
    topic_prefix: str = ""
    """Put before every topic's name, so that several ledgers can share a cluster."""
    group: str = "twofold"
    """Consumer group of the workers, and the prefix of transactional ids."""
    partitions: int = 8
    """Partitions of the input topics and all tables; fixed when the topics are created."""
    slot: int = 0
    """The worker's slot: its transactional id is ``<group>-<slot>``, its stores are in ``data_dir/stores/<slot>``."""
    store: str = "disk"
    """``disk`` or ``memory``."""
    batch_ms: int = 20
    """How long a batch gathers input while more keeps arriving, in milliseconds."""
    batch_records: int = 8000
    """The most input records (legs and intents counted) of one batch."""
    web_port: int = 0
    """Port of the worker's views on 127.0.0.1; 0: any free one (announced in ``data_dir/workers/<slot>.json``)."""
    sink_epoch: int = 1
    """Epoch of the sink: names its Postgres schema ``ledger_<epoch>``."""
    report_seconds: int = 2
    """How often the reconciliation agent publishes a report."""

    def topic(self, name: str) -> str:
        """The full name of a topic of :mod:`streams.topics`."""
        return self.topic_prefix + name

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the variables. Raises SettingsError for a number that is none."""
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {}
        for f in fields(cls):
            name = "TWOFOLD_" + f.name.upper()
            text = environ.get(name)
            if text is None:
                continue
            if f.type == "int":
                try:
                    values[f.name] = int(text)
                except ValueError:
                    raise SettingsError(f"{name}={text!r} is not a whole number") from None
            elif f.type == "Path":
                values[f.name] = Path(text)
            else:
                values[f.name] = text
        return cls(**values)  # type: ignore[arg-type]

    def to_env(self) -> dict[str, str]:
        """The variables that give these settings."""
        return {"TWOFOLD_" + f.name.upper(): str(getattr(self, f.name)) for f in fields(self)}
