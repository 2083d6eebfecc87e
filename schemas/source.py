"""A small builder of Python source: lines, indentation, fresh names, and the constants the source refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Source:
    """Source of one function. Constants get names of their own, so no value of a schema is ever pasted into code."""

    def __init__(self, **names: Any) -> None:
        self.names: dict[str, Any] = dict(names)
        self._lines: list[str] = []
        self._depth = 0
        self._fresh = 0

    def line(self, text: str) -> None:
        """Add a line at the present indentation."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add ``head`` and indent what follows."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def fresh(self, prefix: str) -> str:
        """A variable name not used before."""
        self._fresh += 1
        return f"{prefix}{self._fresh}"

    def const(self, value: Any) -> str:
        """A name for a constant."""
        name = self.fresh("K")
        self.names[name] = value
        return name

    @property
    def text(self) -> str:
        """The source so far."""
        return "\n".join(self._lines)

    def function(self, name: str) -> Callable[..., Any]:
        """Compile, and give the function of that name."""
        namespace = dict(self.names)
        exec(compile(self.text, f"<avro {name}>", "exec"), namespace)
        function: Callable[..., Any] = namespace[name]
        return function
