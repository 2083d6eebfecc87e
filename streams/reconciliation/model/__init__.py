"""An independent, naive, single-threaded model of the whole ledger, to prove the ledger by.

It is written differently on purpose: figures are sums over lists of movements, idempotency is a dict of whole bodies,
velocity is a list of past debits. It shares no code with the ledger.
"""

from streams.reconciliation.model.follow import Delivered, Disagreement, ModelResult, expected
from streams.reconciliation.model.machine import Model

__all__ = ["Delivered", "Disagreement", "Model", "ModelResult", "expected"]
