"""What Avro records and enums become in Python: the link between a schema and somebody else's types.

Nothing here knows those types: they are handed in by the caller, by record and enum name without namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A record as a tuple class: ``fields`` in the order of its constructor.

    ``whole``: this field gets all the bytes that are being decoded (header included); it is not encoded. Fields of the
    schema that are not in ``fields`` are read and dropped, and written as their default. ``write`` and ``read``
    convert a field on its way to and from Avro.
    """

    cls: type[tuple[Any, ...]]
    fields: tuple[str, ...]
    whole: str | None = None
    write: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    read: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shapes:
    """Shapes of records and classes of enums by name. A record without shape is a dict, an enum without class a str."""

    records: Mapping[str, Shape] = field(default_factory=dict)
    enums: Mapping[str, type[StrEnum]] = field(default_factory=dict)


PLAIN = Shapes()
