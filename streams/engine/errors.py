"""What can stop the engine, and what each stop asks of whom."""

from __future__ import annotations

from streams.engine.record import Queue

EXIT_HALTED = 3
"""The worker stopped for an operator: starting it again changes nothing."""
EXIT_FENCED = 4
"""Another worker has taken over, or Kafka no longer answers: start again, which restores what was committed."""


class EngineError(Exception):
    """Base of the engine's own errors."""


class Unavailable(EngineError):
    """Raised by the handler when something it must ask is away (such as the schema registry): a delay, not a decision.

    The batch is dropped and ``queue`` (all queues when None) is read again after a back-off.
    """

    def __init__(self, reason: str, queue: Queue | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.queue = queue


class Halted(EngineError):
    """The engine cannot go on without an operator. ``repair`` is the command that puts it right."""

    def __init__(self, reason: str, repair: str) -> None:
        super().__init__(f"{reason}. To repair: {repair}")
        self.reason = reason
        self.repair = repair


class WorkerHalted(Halted):
    """A halt that no partition of this worker may outlive: what is wrong is wrong for all of them."""


class Aborted(EngineError):
    """The transaction was aborted before its commit was asked for: nothing was written, the batch can be repeated."""


class Fenced(EngineError):
    """This worker no longer owns what it holds, or cannot know whether its commit happened: it must end now."""
