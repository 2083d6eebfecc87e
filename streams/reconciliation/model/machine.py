"""One step of the model: an intent, a Tick, an unreadable record or a leg, in the order in which they are given."""

from __future__ import annotations

import bisect

from streams.reconciliation.model.account import Account
from streams.reconciliation.model.crossing import credit, finish
from streams.reconciliation.model.decisions import decide, give_back
from streams.reconciliation.model.memory import KIND_OF, Body, Hold, Memory, Place
from streams.reconciliation.model.names import home_of, id_of, well_formed
from streams.reconciliation.model.refusals import Refused, refuse_if
from streams.reconciliation.model.world import Record, World, as_asked

MOST_DUE = 500
UNNUMBERED = ("OpenAccount", "Configure", "Resolve")


class Model:
    """The whole ledger, one step at a time. Every step returns the journal records that it must give."""

    def __init__(self, partitions: int) -> None:
        self.world = World(partitions)

    def tick(self, place: Place, time: int) -> list[Record]:
        """A record with neither key nor value: it moves the time."""
        self._arrive(place, time)
        self.world.write("TICK", "TICKED", place)
        return self.world.records

    def unreadable(self, place: Place, time: int, reason: str, length: int, sha256: bytes) -> list[Record]:
        """A record that nobody can decode."""
        self._arrive(place, time)
        about = {"length": length, "sha256": sha256}
        self.world.write("UNREADABLE", "DEAD_LETTERED", place, reason=reason, dead_letter=about)
        return self.world.records

    def intent(
        self, place: Place, time: int, key: bytes | None, name: str, body: Body, wire: bytes | None
    ) -> list[Record]:
        """An intent with the Kafka key that it came under."""
        self._arrive(place, time)
        transfer = id_of(body["account"], body["idempotency_key"])
        if self._misrouted(place, key, name, body):
            self._answer(name, body, place, transfer, "REJECTED", reason="misrouted")
            return self.world.records
        memory = self.world.remembered(body["account"], body["idempotency_key"])
        if memory is not None:
            self._seen_before(memory, name, body, place, transfer)
            return self.world.records
        memory = Memory(name, body, wire, transfer, place)
        self.world.remember(memory)
        self._decide_in_order(memory)
        return self.world.records

    def leg(
        self, place: Place, step: int, transfer: bytes, pending: int, operator_refuses: bool = False
    ) -> list[Record] | None:
        """The leg that asks for step 2 or 3 of a transfer; None if no such leg is under way."""
        way = self.world.legs.pop((step, transfer, pending), None)
        if way is None:
            return None
        self.world.begin(place)
        if step == 2:
            credit(self.world, way, place, operator_refuses)
        else:
            finish(self.world, way, place)
        return self.world.records

    def _arrive(self, place: Place, time: int) -> None:
        self.world.begin(place)
        here = self.world.here
        here.time = max(here.time, time)
        done = 0
        while done < MOST_DUE and here.deadlines and here.deadlines[0][0] <= here.time:
            _, _, _, due = here.deadlines.pop(0)
            done += self._fall_due(due)

    def _fall_due(self, due: Memory | Hold) -> bool:
        if isinstance(due, Hold):
            if not due.alive or due.closing:
                return False
            self._expire(due)
            return True
        if due.state != "PARKED":
            return False
        account = self.world.accounts[due.account]
        account.waiting = [early for early in account.waiting if early[1] is not due]
        self.world.write_about(due, "REJECTED", reason="sequence_gap")
        return True

    def _expire(self, hold: Hold) -> None:
        amount = hold.open
        give_back(self.world, hold, amount, close=True)
        self.world.write(
            "HOLD",
            "EXPIRED",
            self.world.trigger,
            transfer=hold.memory.transfer,
            pending=hold.pending,
            account=hold.account,
            counterparty=hold.payee,
            amount=amount,
            currency=hold.currency,
            figures=self.world.changed(self.world.accounts[hold.account]),
        )

    def _misrouted(self, place: Place, key: bytes | None, name: str, body: Body) -> bool:
        if name in ("Configure", "Resolve"):
            return key is not None or (name == "Resolve" and body["partition"] != place[1])
        if key is None or key != body["account"].encode():
            return True
        return home_of(key, len(self.world.partitions)) != place[1]

    def _answer(self, name: str, body: Body, place: Place, transfer: bytes, outcome: str, **more: object) -> None:
        """A record about an intent that takes no key."""
        kind = KIND_OF[name]
        asked = as_asked(kind, body)
        self.world.write(kind, outcome, place, transfer=transfer, account=body["account"], **asked, **more)

    def _seen_before(self, memory: Memory, name: str, body: Body, place: Place, transfer: bytes) -> None:
        field = memory.difference(name, body)
        if field is not None:
            self._answer(name, body, place, transfer, "REJECTED", reason=f"exists_with_different_{field}")
            return
        first = {
            "outcome": memory.state,
            "reason": memory.reason,
            "sequence": memory.decided,
            "input": memory.place,
        }
        self._answer(name, body, place, transfer, "DUPLICATE", first=first)

    def _decide_in_order(self, memory: Memory) -> None:
        world = self.world
        if memory.name in UNNUMBERED:
            decide(world, memory)
            return
        try:
            refuse_if(not well_formed(memory.account), "invalid_account_id")
            refuse_if(memory.account not in world.accounts, "account_not_found")
            account = world.accounts[memory.account]
            number = memory.body["sequence"]
            if number is not None and number != account.expected_number:
                self._park(memory, account, number)
                return
        except Refused as refused:
            world.write_about(memory, "REJECTED", reason=refused.reason)
            return
        decide(world, memory)
        if number is not None:
            self._consume_number(account)

    def _park(self, memory: Memory, account: Account, number: int) -> None:
        here = self.world.here
        refuse_if(number < account.expected_number, "sequence_stale")
        refuse_if(any(number == waiting for waiting, _ in account.waiting), "sequence_taken")
        refuse_if(len(account.waiting) >= here.rules.park_limit, "sequence_parked_full")
        bisect.insort(account.waiting, (number, memory), key=lambda early: early[0])
        here.expect(here.time + here.rules.park, memory.transfer, memory)
        self.world.write_about(memory, "PARKED")

    def _consume_number(self, account: Account) -> None:
        account.expected_number += 1
        while account.waiting and account.waiting[0][0] == account.expected_number:
            _, early = account.waiting.pop(0)
            decide(self.world, early)
            account.expected_number += 1
