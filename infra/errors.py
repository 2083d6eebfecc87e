"""What can go wrong with the local stack, each with a message that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StackError(Exception):
    """The stack cannot do what was asked; the message is for the user and says what to do next."""


class BusyPort(StackError):
    """A port that the stack must listen on is taken by another process."""


class AlreadyRunning(StackError):
    """Another process runs the stack on the same data directory."""


class BadDownload(StackError):
    """A download is missing, or is not the file that was pinned."""


class NoSpace(StackError):
    """The disk is full."""


class NotReady(StackError):
    """A service ended, or did not answer in time, while it was starting."""


class NotRunning(StackError):
    """There is no running stack in the data directory."""


@contextmanager
def disk_full_is_said(directory: Path) -> Iterator[None]:
    """Turn "no space left on device" into a :class:`NoSpace` that names the directory."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpace(
            f"no space left under {directory}: free some (the stack needs about 1 GB) and try again"
        ) from error
