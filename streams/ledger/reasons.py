"""Every reason code, in one table: its meaning and the HTTP status that fits it. docs/reasons.md is made from it."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """A reason code, in one line for people, and the HTTP status that fits it."""

    code: str
    meaning: str
    http: int


ACCOUNT_AND_TERMS = (
    Reason(
        "misrouted",
        "The record is not on its key's murmur2 partition, or its key is not the deciding account. Takes no key.",
        400,
    ),
    Reason("account_not_found", "The deciding account was never opened.", 404),
    Reason("account_exists", "An account with this id was opened before, even if it is closed now.", 409),
    Reason("account_frozen", "The deciding account is frozen.", 409),
    Reason("account_not_frozen", "The account to unfreeze is not frozen.", 409),
    Reason("account_closed", "The deciding account is closed for ever.", 409),
    Reason(
        "account_not_empty",
        "The account to close has a balance, something pending or held, or parked intents.",
        409,
    ),
    Reason("invalid_account_id", "An account id does not match [A-Za-z0-9._:-]{1,64}.", 400),
    Reason("invalid_currency", "The currency is not an ISO 4217 code of the rules version in force.", 400),
    Reason("invalid_amount", "The amount is not between 1 and 2^63-1.", 400),
    Reason("invalid_limits", "The limits contradict each other or are out of range.", 400),
    Reason("invalid_expiry", "The hold's expiry is not between 1 second and the idempotency window.", 400),
    Reason("invalid_parameters", "The parameters of a Configure are out of range.", 400),
    Reason("same_account", "Payer and payee are the same account.", 400),
    Reason("payee_missing", "Neither the capture nor its hold names a payee.", 400),
    Reason("currency_mismatch", "The intent's currency is not the account's.", 409),
)
KEY_AND_ORDER = (
    *(
        Reason(
            f"exists_with_different_{field}",
            f"The idempotency key was used before with another {field}. The first outcome stands.",
            409,
        )
        for field in (
            "kind",
            "payee",
            "amount",
            "currency",
            "sequence",
            "reference",
            "metadata",
            "hold",
            "transfer",
            "force",
            "expires_in_seconds",
            "tenant",
            "owner",
            "name",
            "type",
            "minimum_balance",
            "maximum_balance",
            "velocity_amount",
            "velocity_count",
            "velocity_window_seconds",
            "note",
            "rules",
            "window_seconds",
            "park_seconds",
            "park_limit",
            "offset",
            "leg",
            "action",
            "replacement",
        )
    ),
    Reason("sequence_stale", "The account's sequence is past this number already.", 409),
    Reason("sequence_taken", "Another intent with this account sequence is parked already.", 409),
    Reason(
        "sequence_gap",
        "The numbers before this one did not arrive in time. The expected number stays.",
        409,
    ),
    Reason("sequence_parked_full", "Too many early intents of this account are parked.", 429),
)
LIMITS_AND_FUNDS = (
    Reason("insufficient_funds", "The debit would take the account below its minimum balance.", 402),
    Reason("velocity_amount_exceeded", "The debits of the window would pass the account's limit.", 429),
    Reason(
        "velocity_count_exceeded",
        "The number of debits in the window would pass the account's limit.",
        429,
    ),
    Reason("overflow", "A figure of the account would pass 2^63-1.", 409),
)
HOLDS_AND_REVERSALS = (
    Reason("hold_not_found", "No hold with this id is known at this account.", 404),
    Reason("hold_not_open", "The hold is used up, released or expired.", 409),
    Reason("hold_exceeded", "More than the hold has open.", 409),
    Reason(
        "transfer_not_found",
        "No settled transfer with this id is known at this payee, or its window has passed.",
        404,
    ),
    Reason("reversal_not_reversible", "A reversal is not reversed.", 409),
    Reason("reversal_exceeded", "More than what is left of the transfer to reverse.", 409),
)
PAYEE = (
    Reason("payee_not_found", "The payee was never opened.", 404),
    Reason("payee_frozen", "The payee is frozen.", 409),
    Reason("payee_closed", "The payee is closed.", 409),
    Reason("payee_currency_mismatch", "The payee's currency is another one.", 409),
    Reason("payee_maximum_balance", "The credit would take the payee above its maximum balance.", 409),
    Reason("payee_overflow", "A figure of the payee would pass 2^63-1.", 409),
)
OPERATORS = (
    Reason("operator_refused", "An operator refused the leg that had halted its queue.", 409),
    Reason(
        "invalid_resolution",
        "A REPLACE names no leg, another action names one, or the offset or leg index is negative.",
        400,
    ),
    Reason("unknown_rules", "The rules version is not known to this worker.", 409),
)
DEAD_LETTERS = (
    Reason("too_large", "The record is larger than 256 KiB.", 413),
    Reason("bad_magic", "The value does not begin with the Confluent magic byte 0.", 400),
    Reason("truncated", "The value ends before its record does.", 400),
    Reason("unknown_schema", "The registry has no schema with this id.", 400),
    Reason("not_an_intent", "The schema is not one of the intents.", 400),
    Reason("bytes_left_over", "Bytes follow the end of the record.", 400),
    Reason("integer_out_of_range", "An integer is outside 64 bits or longer than ten bytes.", 400),
    Reason("undecodable", "The value cannot be decoded with its schema.", 400),
    Reason("field_too_long", "A text field is longer than its bound.", 400),
    Reason(
        "metadata_too_large",
        "Metadata has more than 32 entries, a key over 64 or a value over 512 bytes.",
        400,
    ),
    Reason("null_value", "The record has a key and no value.", 400),
)

GROUPS: dict[str, tuple[Reason, ...]] = {
    "The account and the terms of an intent": ACCOUNT_AND_TERMS,
    "Idempotency and order": KEY_AND_ORDER,
    "Limits and funds": LIMITS_AND_FUNDS,
    "Holds and reversals": HOLDS_AND_REVERSALS,
    "The payee (step 2, compensated in step 3)": PAYEE,
    "Operators": OPERATORS,
    "Dead letters": DEAD_LETTERS,
}
"""The table in the order of docs/reasons.md."""

REASONS: dict[str, Reason] = {reason.code: reason for group in GROUPS.values() for reason in group}
"""Reason code -> the reason."""
