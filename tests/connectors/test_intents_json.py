"""Intents as text: what is written is read back, and errors name the line and the field."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.generator import generate, opening
from connectors.intents_json import Line, LineError, from_json, read_csv, read_json_lines, to_json
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Capture, Hold, OpenAccount, Transfer

ANN = {"account": "ann", "idempotency_key": "o-17"}
TRANSFER = {"kind": "TRANSFER", **ANN, "payee": "shop", "amount": 1250, "currency": "EUR"}


def read(*lines: Any) -> list[Any]:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    return [line for _, line in read_json_lines(texts)]


def test_a_line_is_an_intent() -> None:
    """Fields are the record's, absent ones are its defaults, ids are UUID texts."""
    hold = transfer_id("ann", "h-1")
    capture = {"kind": "CAPTURE", **ANN, "hold": str(UUID(bytes=hold)), "metadata": {"a": "ß"}}
    assert read(TRANSFER, "", capture) == [
        Line(Transfer("ann", "o-17", "shop", 1250, "EUR")),
        Line(Capture("ann", "o-17", hold, metadata={"a": "ß"})),
    ]
    outside = {"kind": "OPEN", **ANN, "currency": "EUR", "minimum_balance": None}
    assert read(outside) == [Line(OpenAccount("ann", "o-17", "EUR", minimum_balance=None))]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_generated_comes_back_the_same(seed: int) -> None:
    """Every kind of intent, and every kind of trouble: through text and back, with its detours."""
    generated = [*opening(seed, 60), *generate(seed, 3000, 60, trouble=40)]
    assert len({one.label for one in generated}) > 35
    for one in generated:
        line = one.line()
        assert from_json(json.loads(json.dumps(to_json(line)))) == line


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        ("nope", None, "not JSON"),
        ("[1]", None, "not a JSON object"),
        ("[" * 100_000, None, "not JSON"),
        ({**ANN}, "kind", "missing"),
        ({**TRANSFER, "kind": "PAY"}, "kind", "'PAY'"),
        ({**TRANSFER, "kind": "CONFIGURE"}, "kind", "'CONFIGURE'"),
        ({"kind": "TRANSFER", **ANN, "payee": "shop", "currency": "EUR"}, "amount", "missing"),
        ({**TRANSFER, "amount": 12.5}, "amount", "whole number"),
        ({**TRANSFER, "amount": "1250"}, "amount", "whole number"),
        ({**TRANSFER, "amount": True}, "amount", "whole number"),
        ({**TRANSFER, "amount": 2**63}, "amount", "64 bits"),
        ('{"kind":"TRANSFER","amount":' + "9" * 5000 + "}", None, "not JSON"),
        ('{"kind":"TRANSFER","account":"a","account":"b"}', "account", "twice"),
        ({**TRANSFER, "payee": None}, "payee", "text"),
        ({**TRANSFER, "payee": "\0"}, "payee", "U+0000"),
        ({**TRANSFER, "account": ""}, "account", "empty"),
        ({**TRANSFER, "idempotency_key": ""}, "idempotency_key", "empty"),
        ({**TRANSFER, "reference": "x" * 257}, "reference", "at most 256"),
        ({**TRANSFER, "metadata": {"k": 1}}, "metadata['k']", "text"),
        ({**TRANSFER, "metadata": {str(i): "" for i in range(33)}}, "metadata", "33 entries"),
        ({**TRANSFER, "note": "x"}, "note", "no field of TRANSFER"),
        ({**TRANSFER, "wire": "x"}, "wire", "no field of TRANSFER"),
        ({"kind": "RELEASE", **ANN, "hold": "h-1"}, "hold", "UUID"),
        ({"raw": "?"}, "raw", "base64"),
        ({**TRANSFER, "send": {"partition": -1}}, "partition", "whole number"),
    ],
)
def test_a_bad_line_is_named_by_number_and_field_and_no_other_is_lost(line: Any, field: str, problem: str) -> None:
    """The lines around it are read."""
    before, bad, after = read(TRANSFER, line, TRANSFER)
    assert isinstance(bad, LineError)
    assert (bad.number, bad.field) == (2, field)
    assert problem in bad.problem
    assert before == after == Line(Transfer("ann", "o-17", "shop", 1250, "EUR"))


@given(st.lists(st.one_of(st.text(), st.from_type(object).map(str), st.sampled_from([json.dumps(TRANSFER)]))))
def test_any_text_gives_a_line_or_an_error_for_each_line(lines: list[str]) -> None:
    """Whatever is in a file, each line that is not blank is answered, in order."""
    answers = list(read_json_lines(lines))
    assert [number for number, _ in answers] == [n for n, line in enumerate(lines, 1) if line.strip()]
    assert all(answer.number == number for number, answer in answers if isinstance(answer, LineError))


def test_csv_has_a_header_and_empty_cells_are_absent_fields() -> None:
    """Numbers, booleans, ids and metadata are read from their text; kinds may be mixed."""
    rows = [
        "kind,account,idempotency_key,payee,amount,currency,metadata,expires_in_seconds\n",
        'TRANSFER,ann,k1,shop,12,EUR,"{""a"":""b""}",\n',
        "TRANSFER,ann,k2,shop,12.5,EUR,,\n",
        "TRANSFER,ann\n",
        'TRANSFER,ann,k3,shop,1,EUR,"{",\n',
        "HOLD,ann,k4,null,7,EUR,,60\n",
    ]
    first, decimal, short, broken, hold = [line for _, line in read_csv(rows)]
    assert first == Line(Transfer("ann", "k1", "shop", 12, "EUR", metadata={"a": "b"}))
    assert (decimal.number, decimal.field) == (3, "amount")
    assert short.number == 4
    assert "cells" in short.problem
    assert (broken.number, broken.field) == (5, "metadata")
    assert hold == Line(Hold("ann", "k4", 7, "EUR", None, 60))
