"""One table of every topic: name, partitions, retention, compaction. Everything else reads it from here."""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 86_400_000
WINDOW_DAYS = 30
LONGEST_WINDOW_DAYS = 90
"""How long ``transfers-changelog`` keeps a final key: no idempotency window may be longer."""

ALWAYS = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "1048576"}


@dataclass(frozen=True)
class Topic:
    """A topic. ``partitions`` None: the ledger's own partition count."""

    name: str
    purpose: str
    settings: dict[str, str] = field(default_factory=dict)
    partitions: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings, those that every topic has included."""
        return {**ALWAYS, **self.settings}


FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}

INTENTS = Topic("payment-intents", "What clients ask for; key: the deciding account, murmur2.", FOR_EVER)
LEGS = Topic("transfer-legs", "Between the partitions of a transfer; internal.", FOR_EVER)
JOURNAL = Topic("journal", "Every decision, with the balanced entries; key: transfer id.", FOR_EVER)
ACCOUNTS_CHANGELOG = Topic(
    "accounts-changelog",
    "Tables: accounts, holds, parked intents, transfers not final, positions, parameters.",
    {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(DAY_MS),
        "max.compaction.lag.ms": str(7 * DAY_MS),
    },
)
TRANSFERS_CHANGELOG = Topic(
    "transfers-changelog",
    "Tables: final transfers with their idempotency keys, settled transfers.",
    {"cleanup.policy": "compact,delete", "retention.ms": str((LONGEST_WINDOW_DAYS + 5) * DAY_MS)},
)
DEAD_LETTERS = Topic("dead-letters", "Intents that could not be decoded, with the reason.", FOR_EVER)
REPORTS = Topic(
    "reconciliation-reports",
    "What the reconciliation agent found.",
    {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS)},
    partitions=1,
)

TOPICS = (INTENTS, LEGS, JOURNAL, ACCOUNTS_CHANGELOG, TRANSFERS_CHANGELOG, DEAD_LETTERS, REPORTS)
