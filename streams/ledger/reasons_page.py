"""The page of reason codes, made from the table: ``python -m streams.ledger.reasons_page > docs/reasons.md``."""

from __future__ import annotations

from streams.ledger.reasons import GROUPS, Reason

HEAD = """\
# Reason codes

Every refusal has a reason: in the journal record, in the answer to the client, in the reports. This page is made from
`streams/ledger/reasons.py` (`python -m streams.ledger.reasons_page > docs/reasons.md`). The codes are stable; the HTTP
status is the one that fits when a refusal is answered over HTTP.
"""


def render() -> str:
    """The page, in Markdown."""
    return "\n".join([HEAD, *(_section(title, reasons) for title, reasons in GROUPS.items())])


def _section(title: str, reasons: tuple[Reason, ...]) -> str:
    rows = "".join(f"| `{reason.code}` | {reason.meaning} | {reason.http} |\n" for reason in reasons)
    return f"## {title}\n\n| code | meaning | HTTP |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    print(render(), end="")
