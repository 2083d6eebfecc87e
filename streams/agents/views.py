"""Web views of a worker, on loopback: an account from its owner's table, health, metrics.

A request for an account of another worker's partition is passed on to that worker, once. Who owns what is asked of
the workers' own files (:mod:`streams.agents.presence`); an answer that is out of date is noticed, because a worker
answers only for partitions that it has at that moment.
"""

from __future__ import annotations

from typing import Any, Protocol

import aiohttp
import faust
from faust import web

from streams.agents.payments import Payments
from streams.agents.presence import Presence, Worker
from streams.agents.sensors import EngineSensor
from streams.engine.table import PartitionTables
from streams.ledger.intents import OpenAccount
from streams.ledger.rows import AccountRow, PartitionRow

PASSED_ON = "X-Twofold-Passed-On"
"""On a request that another worker has passed on: it is answered or refused, never passed on again."""
PASS_ON_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Asked(Protocol):
    """What the views ask of the worker; None before it has started."""

    payments: Payments | None
    presence: Presence | None
    sensor: EngineSensor


def add_views(app: faust.App, worker: Asked) -> None:
    """Give the app its views."""

    @app.page("/accounts/{account}", name="account")
    class AccountView(web.View):
        """One account: figures, state, limits and profile, from the table of the partition's owner."""

        async def get(self, request: web.Request, account: str) -> web.Response:
            payments, presence = worker.payments, worker.presence
            if payments is None or presence is None:
                return self.json({"error": "starting"}, status=503)
            partition = payments.routes[account]
            tables = payments.owned.get(partition)
            if tables is not None:
                found = read_account(tables, account)
                return self.json(
                    found or {"error": "account_not_found", "account": account}, status=200 if found else 404
                )
            owner = None if PASSED_ON in request.headers else presence.owner(partition)
            if owner is None:
                return self.json({"error": f"partition {partition} has no owner here; ask again"}, status=503)
            return await self._pass_on(owner, account)

        async def _pass_on(self, owner: Worker, account: str) -> web.Response:
            url = f"http://127.0.0.1:{owner.port}/accounts/{account}"
            try:
                async with self.app.http_client.get(url, headers={PASSED_ON: "1"}, timeout=PASS_ON_TIMEOUT) as answer:
                    return self.json(await answer.json(), status=answer.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                return self.json({"error": f"the owner does not answer: {error!r}"}, status=503)

    @app.page("/health", name="health")
    class HealthView(web.View):
        """200 while this worker processes all its partitions; 503 with the reasons otherwise."""

        async def get(self, request: web.Request) -> web.Response:
            health = worker.sensor.health()
            return self.json(health, status=200 if health["healthy"] else 503)

    @app.page("/metrics", name="metrics")
    class MetricsView(web.View):
        """The engine's metrics as Prometheus text."""

        async def get(self, request: web.Request) -> web.Response:
            return self.text(worker.sensor.prometheus(), content_type="text/plain; version=0.0.4")


def read_account(tables: PartitionTables, account: str) -> dict[str, Any] | None:
    """An account of an owned partition as last committed, or None if it was never opened."""
    row: AccountRow | None = tables.table("accounts").committed(account)
    profile: OpenAccount | None = tables.table("profiles").committed(account)
    at: PartitionRow | None = tables.table("partition").committed(b"")
    if row is None:
        return None
    shown: dict[str, Any] = {"account": account, "partition": tables.partition, "sequence": at.sequence if at else 0}
    shown |= {"balance": row.credits_posted - row.debits_posted, **row._asdict()}
    if profile is not None:
        shown |= {name: getattr(profile, name) for name in ("tenant", "owner", "name", "type")}
        shown["metadata"] = dict(profile.metadata)
    return shown
