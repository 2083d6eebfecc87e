"""Which loopback ports the services listen on: chosen free once, then kept with the data."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.errors import BusyPort

HOST = "127.0.0.1"
# Below the range that systems hand out to outgoing connections, so that none of those takes a chosen port.
LOWEST, HIGHEST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server may listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(names: list[str], kept_in: Path, given: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the given one, else the one kept in the file, else a free one, then kept."""
    kept: dict[str, int] = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    ports = {**kept, **given}
    for name in names:
        while name not in ports:
            candidate = random.randint(LOWEST, HIGHEST)
            if candidate not in ports.values() and is_free(candidate):
                ports[name] = candidate
    kept_in.write_text(json.dumps(ports, indent=1))
    return ports


def require_free(port: int, name: str, kept_in: Path) -> None:
    """Raise :class:`BusyPort`, saying who has the port and what to do, if a server cannot listen on it."""
    if is_free(port):
        return
    raise BusyPort(
        f"port {port} ({name}) on {HOST} is busy: {_owner(port)} listens on it. Stop that, choose another "
        f"with --port {name}=NUMBER, or delete {kept_in} to have a free one chosen."
    )


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.pid is not None
            if listens and getattr(connection.laddr, "port", None) == port:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return "another process"
    return "another process"
