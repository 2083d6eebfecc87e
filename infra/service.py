"""What the stack asks of a service: its ports, how to prepare it, how to run it, and whether it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from infra.process import Command


class Service(ABC):
    """A server of the local stack. ``name`` is its name on the command line, in ports, logs and run files."""

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    ready_within: ClassVar[float] = 180.0
    """Seconds it may take to answer before the start counts as failed. One that ends is noticed at once, so this is
    for a machine that is busy beyond measure."""

    def __init__(self, home: Path, ports: Mapping[str, int], short_lived: bool = False) -> None:
        self.home = home
        self.ports = ports
        self.short_lived = short_lived

    @abstractmethod
    def prepare(self) -> None:
        """Fetch what it needs and make its data directory; a later call changes nothing that holds data."""

    @abstractmethod
    def command(self) -> Command:
        """How to run it."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers a real request now; quick, never raises for "not yet"."""

    @abstractmethod
    def address(self) -> str:
        """What its clients are told."""
