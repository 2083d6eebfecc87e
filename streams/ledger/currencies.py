"""Currencies and the exponents of their minor units, by rules version.

Version 1 is ISO 4217 as published on 2026-01-01, without the codes that have no minor unit (gold, SDR, testing). A
version is never edited and an exponent never changes: a new publication is a new version.
"""

from __future__ import annotations

from collections.abc import Mapping

_VERSION_1 = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
        "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
        "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
        "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
        "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG "
        "YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}


def _exponents(table: Mapping[int, str]) -> dict[str, int]:
    return {code: exponent for exponent, codes in table.items() for code in codes.split()}


EXPONENTS: dict[int, dict[str, int]] = {1: _exponents(_VERSION_1)}
"""Rules version -> currency code -> number of decimal places of its minor unit."""
