"""The page of a report: its template, styles and behaviour, and plotly's JavaScript, in one file that needs no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

from .report_figures import Figure
from .report_html import Html, joined, script_json, tag

WORDS = (
    ("split", "the model is cut in two: the first part runs on the edge, the rest in the cloud"),
    ("edge", "the device at hand, such as a camera or a phone; the cloud is the server behind the link"),
    ("Cloud-Only, Edge-Only", "nothing is split: the input itself is sent, or everything runs on the device"),
    ("bits", "how many bits a number takes; W4 A8 means weights of 4 bits and results of 8. Fewer are faster and smaller, and less exact"),
    ("error", "how much quantising to few bits disturbs the network, summed over all tensors; no unit, 0 is none"),
    ("signal to noise (SNR)", "the power of a signal over that of its error, in decibels: 10 dB is ten times, 30 dB a thousand times"),
    ("baseline", "the answer of another method for the same model, devices and link"),
    ("predicted, measured", "computed from descriptions of the devices; or taken from running the files that were written"),
    ("proven", "the search looked at, or ruled out by a bound, everything that could be faster"),
    ("point", "one hundredth: from 92 % to 91 % is a loss of one point"),
)


def page(title: str, setting: Html, body: Sequence[Html], figures: Sequence[Figure], footer: str) -> str:
    """Return the whole page. The same arguments give the same text."""
    parts = {
        "title": tag("x", title)[3:-4],
        "heading": tag("x", title)[3:-4],
        "setting": setting,
        "style": _text("report.css"),
        "body": joined((*body, _words())),
        "footer": tag("p", footer),
        "figures": script_json({f"figure-{figure.name}": figure.json() for figure in figures}),
        "plotly": plotly_js() if figures else "",
        "behaviour": _text("report.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _text("report.html"))


def section(head: str, *parts: Html) -> Html:
    """Return a section of the page."""
    return tag("section", tag("h2", head), *parts)


def pair(left: Sequence[Figure], right: Sequence[Figure]) -> Html:
    """Return figures in two columns where there is room; the first in one where the other is empty."""
    columns = (tag("div", *(figure.html() for figure in column), class_="column") for column in (left, right) if column)
    return tag("div", *columns, class_="pair")


def missing(what: str, how: str) -> Html:
    """Return the line that stands for a part whose file is not there."""
    return tag("p", f"{what} is left out: {how}", class_="missing")


@cache
def plotly_js() -> str:
    """Return the JavaScript of the installed plotly, whose Python part is not loaded: that takes longer than the report."""
    found = distribution("plotly").locate_file("plotly/package_data/plotly.min.js")
    return Path(str(found)).read_text(encoding="utf-8")


def _words() -> Html:
    pairs = (joined((tag("dt", word), tag("dd", meaning))) for word, meaning in WORDS)
    return section("Words", tag("dl", *pairs))


@cache
def _text(name: str) -> str:
    return files("autosplitc").joinpath(name).read_text(encoding="utf-8").rstrip("\n")
