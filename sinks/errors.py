"""Why a sink stops for good. Everything else (a lost connection, a deadlock) is tried again."""

from __future__ import annotations


class SinkHalted(Exception):
    """The journal and Postgres cannot both be right, or Postgres refuses: an operator has to act. Exit code 3."""


class JournalGap(SinkHalted):
    """A partition's journal sequence is not the next one: a record is missing, repeated or torn."""


class Forked(SinkHalted):
    """This Kafka is not the one that Postgres was written from, or Postgres is ahead of it."""


class Superseded(SinkHalted):
    """Another epoch is live: this sink's schema is not written any more."""


class FiguresDisagree(SinkHalted):
    """An account's figures in a record, in Postgres, or summed from the records are not the same."""


class Unreadable(SinkHalted):
    """A journal record cannot be decoded."""


class Overtaken(Exception):
    """Another sink wrote this batch's records first. Nothing was written: read the positions again."""
