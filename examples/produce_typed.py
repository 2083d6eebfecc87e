"""Open two accounts and one for the outside world, pay money in, pay with it. Amounts are in cents.

python examples/produce_typed.py   run it again: every intent is a DUPLICATE, and nothing is paid twice
"""

from read_journal import decisions, shown

from twofold import Delivery, OpenAccount, Producer, Transfer


def ask(producer: Producer, *intents: OpenAccount | Transfer) -> None:
    """Send intents and wait until each is decided: that Kafka acknowledged an intent is not yet a decision."""
    places: list[Delivery] = []
    for intent in intents:
        producer.send(intent, on_delivery=places.append)
    producer.flush()
    for place in places:
        print(*map(shown, decisions(*place)), sep="\n")


with Producer() as producer:
    world = OpenAccount("world", "open", "EUR", minimum_balance=None)  # the outside world may go below zero
    ask(producer, world, OpenAccount("alice", "open", "EUR", owner="Alice"), OpenAccount("shop", "open", "EUR"))
    ask(producer, Transfer("world", "deposit-1", "alice", 100_00, "EUR"))
    ask(producer, Transfer("alice", "order-17", "shop", 12_50, "EUR"))
