"""What the model computes for itself of ids, partitions and currencies: nothing is taken from the ledger's code."""

from __future__ import annotations

import hashlib
import re

BIGGEST = 9_223_372_036_854_775_807
"""The largest figure in minor units."""

_ACCOUNT = re.compile(r"\A[A-Za-z0-9._:-]{1,64}\Z")

_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL "
    "LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR "
    "PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY "
    "TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XCD XCG XOF XPF YER ZAR ZMW ZWG "
)
CURRENCIES = frozenset(_CODES.split())
"""ISO 4217 codes of rules version 1."""


def well_formed(account: str) -> bool:
    """Whether the text can be an account id."""
    return _ACCOUNT.match(account) is not None


def id_of(account: str, key: str) -> bytes:
    """The 16 bytes of a transfer id: a version 8 UUID of SHA-256 over account (length before it) and key."""
    text = account.encode()
    digest = hashlib.sha256(b"%b%b%b" % (len(text).to_bytes(4, "big"), text, key.encode())).digest()
    raw = bytearray(digest[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return bytes(raw)


def home_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's Java producer gives to a key: murmur2 with seed 0x9747b28c, the sign bit dropped."""
    word, wide = 0xFFFFFFFF, 0x5BD1E995
    mixed = (0x9747B28C ^ len(key)) & word
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * wide & word
        part = (part ^ part >> 24) * wide & word
        mixed = (mixed * wide & word) ^ part
    rest = key[whole:]
    if rest:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * wide & word
    mixed = (mixed ^ mixed >> 13) * wide & word
    mixed ^= mixed >> 15
    return (mixed & 0x7FFFFFFF) % partitions
