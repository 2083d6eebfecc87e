"""A seeded life of one ledger: every kind of intent, aimed at what exists, with every kind of trouble."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from streams.ledger.intents import (
    Capture,
    Close,
    Configure,
    Freeze,
    Hold,
    Intent,
    OpenAccount,
    Release,
    Resolve,
    Reverse,
    SetLimits,
    Transfer,
    Unfreeze,
)
from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Kind, LegKind, Resolution
from streams.reconciliation.model.account import Account
from tests.ledger.pair import DAY, Pair

WORLD = "world:eur"
BIGGEST = 2**63 - 1
ODD_AMOUNTS = (0, -1, BIGGEST, BIGGEST - 5, 2**62, -(2**63))
ODD_NAMES = ("nobody", "not an id", "", "x" * 65)
JUMPS = (0, 0, 1, 1_000, 10**6, 10**7, 61 * 10**6, 3_600 * 10**6, -1_000, -DAY)


class Life:
    """Sends one thing after another to a pair; all choices come from the seed."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.rng = random.Random(seed)
        self.count = 0
        self.weighted: list[tuple[Callable[[], None], int]] = [
            (self.fund, 8),
            (self.flood, 1),
            (self.transfer, 20),
            (self.numbered, 10),
            (self.hold, 10),
            (self.capture, 12),
            (self.release, 6),
            (self.reverse, 8),
            (self.open, 4),
            (self.set_limits, 3),
            (self.change_state, 3),
            (self.unfreeze, 4),
            (self.close, 2),
            (self.again, 4),
            (self.conflict, 8),
            (self.misroute, 2),
            (self.operate, 2),
            (self.tick, 3),
            (self.carry, 30),
        ]

    def step(self) -> None:
        """One action, after some time."""
        self.count += 1
        self.pair.time += self.rng.choice(JUMPS) if self.rng.random() < 0.98 else DAY * self.rng.choice([1, 31])
        actions, weights = zip(*self.weighted, strict=True)
        self.rng.choices(actions, weights)[0]()

    def key(self) -> str:
        """A key: nearly always a fresh one."""
        return f"k{self.count}" if self.rng.random() < 0.95 else f"k{self.rng.randrange(self.count + 1)}"

    def somebody(self) -> Account:
        """An account that exists."""
        return self.rng.choice(list(self.pair.model.world.accounts.values()))

    def name(self) -> str:
        """An account's name, now and then of none."""
        return self.rng.choice(ODD_NAMES) if self.rng.random() < 0.04 else self.somebody().name

    def amount(self, most: int = 80) -> int:
        """An amount, now and then an odd one."""
        return self.rng.choice(ODD_AMOUNTS) if self.rng.random() < 0.06 else self.rng.randint(1, max(1, most))

    def maybe(self, value: Any, chance: float = 0.5) -> Any:
        return value if self.rng.random() < chance else None

    def coin(self, account: Account) -> str:
        return self.rng.choice(["USD", "XXX", ""]) if self.rng.random() < 0.05 else account.currency

    def fund(self) -> None:
        """Money from outside."""
        self.pair.send(Transfer(WORLD, self.key(), self.name(), self.amount(300), "EUR"))

    def flood(self) -> None:
        """More than a payee's figures can hold, from accounts without a minimum."""
        endless = [a for a in self.pair.model.world.accounts.values() if a.limits["minimum_balance"] is None]
        payee = self.somebody().name
        for account in endless[:5]:
            self.pair.send(Transfer(account.name, f"{account.name} {self.count}", payee, 2**62, account.currency))

    def transfer(self) -> None:
        account = self.somebody()
        name = self.name() if self.rng.random() < 0.05 else account.name
        self.pair.send(Transfer(name, self.key(), self.name(), self.amount(), self.coin(account)))

    def numbered(self) -> None:
        """An intent with an account sequence: in order, early, late, or far away."""
        account = self.somebody()
        number = account.expected_number + self.rng.choice([0, 0, 0, 0, 1, 1, 2, 3, 5, -1])
        self.pair.send(
            self.rng.choice(
                [
                    Transfer(account.name, self.key(), self.name(), self.amount(), "EUR", number),
                    Hold(account.name, self.key(), self.amount(), "EUR", None, 600, number),
                    Close(account.name, self.key(), number),
                    Freeze(account.name, self.key(), number),
                    Unfreeze(account.name, self.key(), number),
                ]
            )
        )

    def hold(self) -> None:
        account = self.somebody()
        seconds = self.rng.choice([1, 60, 3_600, 86_400, 604_800, 0, 2_592_001])
        payee = self.maybe(self.name())
        self.pair.send(Hold(account.name, self.key(), self.amount(), self.coin(account), payee, seconds))

    def some_hold(self) -> tuple[str, bytes, int]:
        """(account, hold, open) of a hold that lives, mostly; else of any, or of none."""
        holds = list(self.pair.model.world.holds.values())
        alive = [hold for hold in holds if hold.alive] if self.rng.random() < 0.85 else holds
        if not alive:
            return self.somebody().name, b"\x00" * 16, 1
        hold = self.rng.choice(alive)
        return (self.name() if self.rng.random() < 0.1 else hold.account), hold.memory.transfer, hold.open

    def capture(self) -> None:
        account, hold, left = self.some_hold()
        amount = self.maybe(self.amount(left + 3), 0.6)
        self.pair.send(Capture(account, self.key(), hold, amount, self.maybe(self.name(), 0.7)))

    def release(self) -> None:
        account, hold, left = self.some_hold()
        self.pair.send(Release(account, self.key(), hold, self.maybe(self.amount(left + 2))))

    def reverse(self) -> None:
        settled = list(self.pair.model.world.settled.values())
        if not settled or self.rng.random() < 0.05:
            self.pair.send(Reverse(self.somebody().name, self.key(), b"\x01" * 16))
            return
        one = self.rng.choice(self.rng.choice(settled[-40:]))
        payee = self.name() if self.rng.random() < 0.1 else one.way.payee
        amount = self.maybe(self.amount(one.left + 1))
        self.pair.send(Reverse(payee, self.key(), one.way.memory.transfer, amount, self.rng.random() < 0.3))

    def limits(self) -> tuple[int | None, int | None, int | None, int | None, int]:
        """Limits, mostly valid ones."""
        odd = self.rng.random() < 0.15
        low = self.rng.choice([0, 0, -100, None, -BIGGEST] if not odd else [-(2**63), 5_000, BIGGEST])
        high = self.rng.choice([None, None, 400, 2_000] if not odd else [-500, BIGGEST, None])
        most, often = self.maybe(self.rng.randint(0 if odd else 50, 400), 0.3), self.maybe(self.rng.randint(1, 6), 0.3)
        return low, high, most, often, self.rng.choice([60, 600, 86_400] if not odd else [59, 31_536_001])

    def open(self) -> None:
        name = self.name() if self.rng.random() < 0.3 else f"acct-{self.count}"
        coin = self.rng.choice(["EUR"] * 6 + ["USD", "JPY", "ZZZ"])
        self.pair.send(OpenAccount(name, self.key(), coin, "tenant", "owner", "name", "type", *self.limits()))

    def set_limits(self) -> None:
        account = self.somebody()
        if account.name != WORLD:
            self.pair.send(SetLimits(account.name, self.key(), None, *self.limits()))

    def change_state(self) -> None:
        kind = self.rng.choice([Freeze, Unfreeze, Close])
        account = self.somebody()
        if account.name != WORLD:
            self.pair.send(kind(account.name, self.key()))

    def unfreeze(self) -> None:
        frozen = [a for a in self.pair.model.world.accounts.values() if a.status == "FROZEN"]
        if frozen:
            self.pair.send(Unfreeze(self.rng.choice(frozen).name, self.key()))

    def close(self) -> None:
        """Close an empty account; the money that may be on its way to it will have to turn round."""
        empty = [a for a in self.pair.model.world.accounts.values() if a.figures()[0] == 0 and a.status == "OPEN"]
        empty = [a for a in empty if a.figures()[1] == a.figures()[2] and a.name != WORLD]
        if empty:
            name = self.rng.choice(empty).name
            self.pair.send(Transfer(WORLD, f"late{self.count}", name, 7, "EUR"))
            self.pair.send(Close(name, self.key()))

    def again(self) -> None:
        self.pair.send_again(self.rng.randrange(max(0, len(self.pair.sent) - 200), len(self.pair.sent)))

    def conflict(self) -> None:
        """A used key with one field changed."""
        operators = [sent for sent in self.pair.sent[-900:] if not sent[2].account]
        recent = operators if operators and self.rng.random() < 0.2 else self.pair.sent[-60:]
        partition, key, intent = self.rng.choice(recent)
        field = self.rng.choice([f for f in intent._fields if f not in ("account", "idempotency_key", "wire")])
        self.pair.send(intent._replace(**{field: self.other(intent, field)}), partition, key)

    def other(self, intent: Intent, field: str) -> Any:
        """Another value of the type that the field has."""
        value = getattr(intent, field)
        if field == "replacement":
            return None if value else Leg(LegKind.CREDIT, b"t" * 16, 1, Kind.TRANSFER, "a", "b", 1, "EUR")
        if field == "action":
            return self.rng.choice([action for action in Resolution if action is not value])
        if field in ("hold", "transfer"):
            return b"\x02" * 16
        if field == "metadata":
            return {"changed": str(self.count)}
        if isinstance(value, bool):
            return not value
        if isinstance(value, str) or field == "payee":
            return f"other{self.count % 3}"
        return 1 if value is None else value + 1

    def misroute(self) -> None:
        account = self.somebody().name
        partition = self.rng.randrange(self.pair.count)
        key = self.rng.choice([None, b"", b"acct-1", account.encode()])
        self.pair.send(Transfer(account, self.key(), self.name(), 5, "EUR"), partition, key)

    def operate(self) -> None:
        """Configure or resolve, here and there a wrong one."""
        partition = self.rng.randrange(self.pair.count)
        window, park = self.rng.choice([60, 86_400, 2_592_000, 2_592_000, 59]), self.rng.choice([60, 3_600, 0])
        configure = Configure(self.key(), self.rng.choice([1, 1, 1, 2]), window, park, self.rng.choice([1, 3, 64, -1]))
        action = self.rng.choice(list(Resolution))
        resolve = Resolve(self.key(), self.rng.choice([partition, 99]), self.rng.randint(-1, 30), 0, action)
        self.pair.send(self.rng.choice([configure, resolve]), partition, self.maybe(b"k", 0.1))

    def tick(self) -> None:
        partition = self.rng.randrange(self.pair.count)
        (self.pair.unreadable if self.rng.random() < 0.3 else self.pair.tick)(partition)

    def carry(self) -> None:
        self.pair.carry(self.rng.randrange(64), self.rng.randrange(1, 12))
