"""One idempotency key, one outcome: a repeated intent is answered with its first outcome, a changed one refused."""

from __future__ import annotations

from typing import Any

from streams.ledger.case import Case, duplicate, refuse_without_key
from streams.ledger.draft import Draft
from streams.ledger.intents import Intent
from streams.ledger.rows import TransferRow


def answer_known(draft: Draft, case: Case[Any], row: TransferRow) -> None:
    """Answer an intent whose key is taken. Changes no row."""
    field = first_difference(row.intent, case.intent)
    if field is None:
        duplicate(draft, case, row)
    else:
        refuse_without_key(draft, case, f"exists_with_different_{field}")


def first_difference(first: Intent, again: Intent) -> str | None:
    """The first business field, in the order of the class, in which two intents of one key differ; None: none.

    ``wire`` is not a business field: the same intent may be written by another schema or serializer.
    """
    if type(first) is not type(again):
        return "kind"
    assert first._fields[-1] == "wire"
    for name, one, other in zip(first._fields[:-1], first, again, strict=False):
        if one != other:
            return name
    return None
