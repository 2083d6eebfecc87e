"""Amounts as people write them: major units of the currency, from the integers in minor units."""

from __future__ import annotations

from streams.ledger.currencies import EXPONENTS

LATEST = EXPONENTS[max(EXPONENTS)]


def exponent(currency: str) -> int:
    """Decimal places of the currency's minor unit; 0 for a code that is none, so that nothing is made up."""
    return LATEST.get(currency, 0)


def major(amount: int, currency: str) -> str:
    """Minor units as a decimal number in major units: exact, for reading again. 1234 EUR-cents are "12.34"."""
    places = exponent(currency)
    digits = str(abs(amount)).rjust(places + 1, "0")
    whole, cents = (digits[:-places], digits[-places:]) if places else (digits, "")
    return ("-" if amount < 0 else "") + whole + (f".{cents}" if cents else "")


def shown(amount: int | None, currency: str | None) -> str:
    """The same for people: thousands apart, with the currency behind; empty for no amount."""
    if amount is None:
        return ""
    sign, number = ("-", major(-amount, currency or "")) if amount < 0 else ("", major(amount, currency or ""))
    whole, dot, cents = number.partition(".")
    return f"{sign}{int(whole):,}{dot}{cents} {currency or '(minor units)'}"
