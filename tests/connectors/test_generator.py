"""Generated traffic: the same for the same seed, like life in its proportions, troubled as much as was asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from connectors.generator import Generated, generate, opening
from connectors.generator.population import FEWEST_ACCOUNTS, Population
from streams.agents.codec import BadIntent, LedgerCodec
from streams.engine.partitioner import partition_of
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Capture, Hold, OpenAccount, Release, Reverse, Transfer

CODEC = LedgerCodec.offline()
COUNT = 20_000


@pytest.fixture(scope="module")
def traffic() -> list[Generated]:
    return list(generate(7, COUNT, 500))


def test_the_same_seed_gives_the_same_bytes() -> None:
    """A failure can be repeated from its seed; another seed is other traffic."""
    first, again, other = ([one.encoded(CODEC.encode_intent) for one in generate(s, 2000, 60)] for s in (5, 5, 6))
    assert first == again != other
    assert list(opening(5, 60)) == list(opening(5, 60))


def test_count_is_exact_even_when_gaps_wait_to_be_filled() -> None:
    """COUNT intents follow the opening, whatever the mixture."""
    for trouble in (0, 15, 100):
        assert len(list(generate(1, 777, FEWEST_ACCOUNTS, trouble=trouble))) == 777


def test_everybody_is_opened_once_then_funded() -> None:
    """Opens come before all else, in three currencies; the outside world has no minimum balance."""
    records = list(opening(3, 200))
    opened = [one.value for one in records if isinstance(one.value, OpenAccount)]
    assert records[:200] == [Generated(value, "open") for value in opened]
    assert len({one.account for one in opened}) == 200
    assert {one.currency for one in opened} == {"EUR", "USD", "JPY"}
    assert {one.type for one in opened if one.minimum_balance is None} == {"world"}
    money = [one.value for one in records if one.label == "starting_money"]
    assert all(isinstance(one, Transfer) and "world" in one.account for one in money)


def shares(traffic: list[Generated]) -> dict[str, float]:
    return {label: 100 * n / len(traffic) for label, n in Counter(one.label for one in traffic).items()}


def test_trouble_comes_in_its_shares(traffic: list[Generated]) -> None:
    """5 % exact duplicates, 1 % changed bodies, 3 % out of order, and every other trouble by name."""
    percent = shares(traffic)
    assert 4.5 < percent["duplicate"] < 5.5
    assert 0.8 < percent["changed_body"] < 1.2
    assert 2.5 < percent["early"] + percent["gap_never_filled"] < 3.5
    assert 0 < percent["gap_never_filled"] < 0.5
    assert percent.keys() >= {
        *("insufficient_funds", "unknown_payer", "unknown_payee", "closed_payer", "closed_payee", "frozen_payer"),
        *("frozen_payee", "currency_mismatch", "odd_amount", "wrong_partition", "wrong_key", "same_account"),
        *("invalid_account", "opened_again", "truncated", "wrong_magic", "unknown_schema", "oversized_metadata"),
    }


def test_life_has_all_its_parts(traffic: list[Generated]) -> None:
    """Purchases, salaries, transfers, money in and out, holds and every end of them, reversals full and partial."""
    assert shares(traffic).keys() >= {
        *("purchase", "salary", "person_to_person", "deposit", "withdrawal", "payout", "hold", "capture_full"),
        *("capture_partial", "capture_rest", "release", "reversal_full", "reversal_partial", "set_limits"),
        *("freeze", "unfreeze"),
    }


def test_without_trouble_there_is_none() -> None:
    """--trouble 0 is ordinary life alone."""
    labels = {one.label for one in generate(1, 5000, 100, trouble=0)}
    assert not labels & {"duplicate", "changed_body", "early", "truncated", "wrong_partition", "insufficient_funds"}


def test_zipf_makes_few_merchants_receive_much() -> None:
    """The exponent is the skew: with 0 all merchants are alike."""

    def share_of_first(zipf: float) -> float:
        receivers = Counter(
            one.value.payee
            for one in generate(1, 5000, 600, zipf=zipf, trouble=0)
            if one.label == "purchase" and isinstance(one.value, Transfer) and "eur-merchant" in one.value.payee
        )
        return receivers["eur-merchant-1"] / receivers.total()

    assert share_of_first(0) < 0.1 < 0.2 < share_of_first(1.5)


def test_a_duplicate_is_byte_for_byte_and_a_changed_body_is_not(traffic: list[Generated]) -> None:
    """Both repeat a key that was sent before."""
    sent: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for one in traffic:
        value: Any = one.value
        if isinstance(value, bytes) or one.cut or one.label == "oversized_metadata":
            continue
        key = value.account, value.idempotency_key
        if one.label == "duplicate":
            assert CODEC.encode_intent(value) in sent[key]
        elif one.label == "changed_body":
            assert sent[key]
            assert CODEC.encode_intent(value) not in sent[key]
        sent[key].add(CODEC.encode_intent(value))


def test_accounts_that_number_their_intents_number_all_of_them(traffic: list[Generated]) -> None:
    """Put in order, an account's numbers are 1, 2, 3, ...; only a gap that is never filled misses one."""
    numbers: dict[str, list[int]] = defaultdict(list)
    unnumbered = set()
    broken = {
        one.value.account for one in traffic if one.label == "gap_never_filled" and isinstance(one.value, Transfer)
    }
    for one in traffic:
        value: Any = one.value
        if one.label in ("duplicate", "changed_body", "unknown_payer") or isinstance(value, bytes | OpenAccount):
            continue
        if value.sequence is None:
            unnumbered.add(value.account)
        else:
            numbers[value.account].append(value.sequence)
    assert len(numbers) > 50
    assert not unnumbered & set(numbers)
    for account, found in numbers.items():
        missing = set(range(1, max(found) + 1)) - set(found)
        assert len(found) == len(set(found))
        assert len(missing) == (account in broken)


def test_reversals_and_captures_name_what_was_sent_before(traffic: list[Generated]) -> None:
    """By the ids that the ledger computes; a reversal comes thousands of intents after its transfer."""
    sent: dict[bytes, int] = {}
    for number, one in enumerate(traffic):
        value: Any = one.value
        if isinstance(value, Reverse):
            assert number - sent[value.transfer] > 2_500 or one.label == "duplicate"
        elif isinstance(value, Capture | Release):
            assert value.hold in sent
        if isinstance(value, Transfer | Hold):
            sent.setdefault(transfer_id(value.account, value.idempotency_key), number)


REASONS = {
    "truncated": {"truncated"},
    "wrong_magic": {"bad_magic"},
    "unknown_schema": {"unknown_schema"},
    "oversized_metadata": {"metadata_too_large"},
}


def test_only_what_is_meant_to_be_unreadable_is(traffic: list[Generated]) -> None:
    """Each unreadable record is refused for the reason in its label, and all others are intents."""
    for one in traffic:
        key, value = one.encoded(CODEC.encode_intent)
        if one.label in REASONS:
            with pytest.raises(BadIntent) as refused:
                CODEC.decode_intent(value)
            assert refused.value.reason in REASONS[one.label]
        else:
            CODEC.decode_intent(value)
        if one.label == "wrong_partition":
            assert one.partition not in (None, partition_of(key, 8))


def test_too_few_accounts_are_refused() -> None:
    """Each currency needs each role."""
    with pytest.raises(ValueError, match="at least"):
        Population(1, FEWEST_ACCOUNTS - 1, 1.0)
