"""HTML of reports: elements whose text is escaped, and figures for people in one spelling."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Sequence

from autosplitc.passes import size_text

TALL = 16
"""Rows above which a table scrolls up and down in its box."""


class Html(str):
    """Text that is HTML already; any other text is escaped where it goes into an element."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Return an element. Attributes are named as HTML has them, with `_` for `-`; one at the end goes, as in `class_`."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{words}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Html:
    """Return parts one after the other as HTML."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset(), marked: int = -1) -> Html:
    """Return a table in a box that scrolls. right: columns of figures. marked: the row that stands out, from 0."""

    def cells(kind: str, row: Sequence[str]) -> Html:
        return joined(tag(kind, cell, class_="figure") if i in right else tag(kind, cell) for i, cell in enumerate(row))

    body = [tag("tr", cells("td", row), class_="chosen") if i == marked else tag("tr", cells("td", row)) for i, row in enumerate(rows)]
    whole = tag("table", tag("thead", tag("tr", cells("th", heads))), tag("tbody", *body))
    return tag("div", whole, class_="scroll tall" if len(body) > TALL else "scroll", tabindex="0")


def script_json(value: object) -> Html:
    """Return JSON that may stand in a script element whatever its strings hold; the same value gives the same text."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def ms_text(ms: float) -> str:
    """Return milliseconds for people: `0.132 ms`, `11.0 ms`, `1.39 s`."""
    if ms >= 1e3:
        return f"{ms / 1e3:,.3g} s" if ms < 1e6 else f"{ms / 1e3:,.0f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms" if ms >= 10 else f"{ms:.2f} ms" if ms >= 1 else f"{ms:.3g} ms"


def bytes_text(nbytes: float | None) -> str:
    """Return bytes for people; `no limit` for None."""
    return "no limit" if nbytes is None else size_text(nbytes)


def rate_text(rate_bps: float) -> str:
    """Return a rate for people: `237 kbps`, `3 Mbps`."""
    for unit, scale in (("Gbps", 1e9), ("Mbps", 1e6), ("kbps", 1e3)):
        if rate_bps >= scale:
            return f"{rate_bps / scale:.3g} {unit}" if rate_bps < 999.5 * scale else f"{rate_bps / scale:,.0f} {unit}"
    return f"{rate_bps:.3g} bps"


def times_text(ratio: float) -> str:
    """Return how many times as much: `3.1 times`, `120 times`."""
    return f"{ratio:.2f} times" if ratio < 1.95 else f"{ratio:.1f} times" if ratio < 20 else f"{ratio:,.0f} times"


def error_text(error: float) -> str:
    """Return an error for people."""
    return "0" if not error else f"{error:.3g}" if math.isfinite(error) else "not finite"


def short(name: str, most: int = 24) -> str:
    """Return a name of at most `most` characters, its middle left out."""
    if len(name) <= most:
        return name
    tail = (most - 1) * 2 // 3
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"
