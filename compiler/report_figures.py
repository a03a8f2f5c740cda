"""What the figures of a report have in common: colours, axes, and the plain dictionaries that plotly draws.

Colours that are told apart with any colour vision, after M. Okabe and K. Ito, Color Universal Design, 2008; text and grid take the page's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from .report_html import Html, tag

Json = dict[str, Any]

EDGE, LINK, CLOUD = "#2f86c6", "#e39a0c", "#1b9e77"
"""Colours of the edge, the link and the cloud, everywhere in a report."""
CHOSEN = "#d55e00"
OTHER = "#8a8f98"
RIVAL = "#b565a7"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: its fixed id on the page, its title, what it shows in a sentence or two, plotly's traces and layout, its height."""

    name: str
    title: str
    caption: str
    traces: Sequence[Json]
    layout: Json
    height_px: int = 380

    def html(self) -> Html:
        """Return the place where plotly draws it, with title and caption."""
        place = tag("div", id=f"figure-{self.name}", class_="plot", style=f"height:{self.height_px}px", role="img", aria_label=self.title)
        return tag("figure", tag("figcaption", tag("h3", self.title), tag("p", self.caption)), place, id=f"about-{self.name}")

    def json(self) -> Json:
        """Return what plotly takes."""
        return {"data": list(self.traces), "layout": {**BASE, **self.layout, "height": self.height_px}}


BASE: Json = {
    "autosize": True,
    "margin": {"l": 56, "r": 16, "t": 12, "b": 48},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "hovermode": "closest",
    "showlegend": True,
    "legend": {"orientation": "h", "traceorder": "normal", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
}


def axis(title: str, **more: Any) -> Json:
    """Return an axis."""
    return {"title": {"text": title, "standoff": 8}, "automargin": True, "zeroline": False, **more}


def log_axis(title: str, values: Iterable[float], **more: Any) -> Json:
    """Return a logarithmic axis over positive values, with room at both ends; ticks at 1, 2, 5, or decades."""
    span = log_range(values)
    steps = (1, 2, 5) if span[1] - span[0] < 2.2 else (1,)
    every = max(1, round((span[1] - span[0]) / 7))
    ticks = [digit * 10.0**power for power in range(floor(span[0]), ceil(span[1]) + 1) if power % every == 0 for digit in steps]
    shown = [tick for tick in ticks if span[0] <= log10(tick) <= span[1]]
    texts = {"tickvals": shown, "ticktext": [_tick_text(tick) for tick in shown]} if shown else {}
    return axis(title, type="log", range=span, **texts, **more)


def log_range(values: Iterable[float]) -> list[float]:
    """Return the range of a logarithmic axis: the logarithms of the least and the greatest positive value, with room beside them."""
    found = [log10(value) for value in values if value > 0] or [0.0]
    room = max(0.08 * (max(found) - min(found)), 0.08)
    return [round(min(found) - room, 4), round(max(found) + room, 4)]


def _tick_text(value: float) -> str:
    if 1e-4 <= value < 1e6:
        return f"{value:,.0f}" if value >= 1 else f"{value:.1g}"
    power = floor(log10(value) + 1e-9)
    digit = round(value / 10.0**power)
    return f"{'' if digit == 1 else f'{digit}·'}10<sup>{power}</sup>"


def spread_out(values: Iterable[float]) -> bool:
    """Whether values are so far apart that a logarithmic axis shows them better."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > 15 * min(positive)


def latency_axis(values: Sequence[float]) -> Json:
    """Return an axis for latencies in ms, logarithmic where they are far apart."""
    if spread_out(values):
        return log_axis("latency a sample, ms (log scale)", values)
    return axis("latency a sample, ms", rangemode="tozero")


def decimals(values: Iterable[float], places: int = 6) -> list[float]:
    """Return figures short enough for a page."""
    return [float(f"{value:.{places}g}") for value in values]


def plain(text: str) -> str:
    """Return a text in which plotly finds no markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")
