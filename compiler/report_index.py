"""The report of several limits on the accuracy lost: all answers on one page, with a link to the report of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .folder import THRESHOLDS
from .report_data import Bundle, Json, PlanRow, read_bundle, read_rows
from .report_figures import CLOUD, EDGE, LINK, OTHER, Figure, axis, decimals, latency_axis, plain
from .report_html import Html, ms_text, short, table, tag, times_text
from .report_page import page, pair, section


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one limit: its row of thresholds.csv, its bundle and the plan chosen there."""

    row: Mapping[str, str]
    bundle: Bundle
    plan: PlanRow

    @property
    def limit(self) -> str:
        """The limit for people."""
        return f"{100 * float(self.row['max_drop']):.4g} %"


def index_page(folder: Path) -> str:
    """Return the report of all limits. Raises CompileError (AS630) where the bundle of one is missing."""
    found = [(row, read_bundle(folder / row["folder"])) for row in read_rows(folder / THRESHOLDS)]
    answers = [Answer(row, bundle, bundle.chosen) for row, bundle in found if bundle.chosen is not None]
    figures = [_bars(answers), _scatter(answers)] if answers else []
    manifest = found[0][1].manifest
    options, compiler = manifest["options"], manifest["compiler"]
    body = [
        tag("p", _headline(answers), class_="headline"),
        _answers_table(answers),
        section("Speed and accuracy", pair(figures[:1], figures[1:])) if figures else Html(""),
    ]
    setting = tag("span", f"edge {options['edge']} · link {options['net']} · cloud {options['cloud']}")
    footer = f"{compiler['name']} {compiler['version']}. Made from the files of this folder; each limit has a report of its own."
    return page(f"{manifest['source']['name']}: where to run it, by accuracy lost", setting, body, figures, footer)


def _headline(answers: Sequence[Answer]) -> str:
    if not answers:
        return "No plan is known: the folders of the limits hold no solutions.csv."
    first, last = answers[0], answers[-1]
    if first.plan.latency_ms == last.plan.latency_ms:
        return f"{ms_text(first.plan.latency_ms)} a sample whatever may be lost, {first.limit} to {last.limit}: {first.plan.name}."
    return (
        f"{ms_text(first.plan.latency_ms)} a sample where {first.limit} of the accuracy may be lost, "
        f"{ms_text(last.plan.latency_ms)} where {last.limit} may."
    )


def _answers_table(answers: Sequence[Answer]) -> Html:
    heads = (
        "may lose",
        "plan",
        "latency (predicted)",
        "against Cloud-Only",
        "lost (measured)",
        "95 % interval",
        "samples",
        "within the limit",
    )
    return table(heads, map(_cells, answers), right=frozenset({0, 2, 3, 4, 5, 6}))


def _cells(found: Answer) -> tuple[str, ...]:
    row, cloud = found.row, found.bundle.first("cloud-only")
    ratio = cloud.latency_ms / found.plan.latency_ms if cloud is not None and found.plan.latency_ms else None
    interval = f"{_percent(row['drop_low'])} to {_percent(row['drop_high'])}" if row["drop_low"] and row["drop_high"] else ""
    return (
        tag("a", found.limit, href=f"{quote(row['folder'])}/report.html"),
        found.plan.name,
        ms_text(found.plan.latency_ms),
        "" if ratio is None else "the same" if found.plan.kind == "cloud-only" else f"{times_text(ratio)} as fast",
        _percent(row["drop"]),
        interval,
        row["n"],
        "yes" if row["holds"] == "1" else "no",
    )


def _percent(share: str) -> str:
    return f"{100 * float(share):.2f} %" if share else ""


def _scatter(answers: Sequence[Answer]) -> Figure:
    """Return the answers by latency and accuracy lost, with their limits, as in Fig. 5 of the Auto-Split paper."""
    known = [a for a in answers if a.row["drop"]]
    lost = [100 * float(a.row["drop"]) for a in known]
    ends = [(100 * float(a.row["drop_low"] or a.row["drop"]), 100 * float(a.row["drop_high"] or a.row["drop"])) for a in known]
    traces: list[Json] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "answers",
            "x": decimals(a.plan.latency_ms for a in known),
            "y": decimals(lost),
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": decimals(high - y for y, (_, high) in zip(lost, ends, strict=True)),
                "arrayminus": decimals(y - low for y, (low, _) in zip(lost, ends, strict=True)),
                "thickness": 1.5,
            },
            "line": {"shape": "vh", "dash": "dot", "color": OTHER},
            "marker": {"size": 12, "color": EDGE},
            "customdata": [f"may lose {a.limit}: {plain(short(a.plan.name, 40))}" for a in known],
            "hovertemplate": "%{customdata}<br>%{x:.4g} ms, %{y:.3g} % lost<extra></extra>",
        }
    ]
    limits = [(100 * float(a.row["max_drop"]), a.limit) for a in known]
    layout: Json = {
        "shapes": [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": {"dash": "dash", "width": 1, "color": OTHER}}
            for y, _ in limits
        ],
        "annotations": [
            {"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": "middle", "text": f"may lose {text}", "showarrow": False}
            for y, text in limits
        ],
        "xaxis": latency_axis([a.plan.latency_ms for a in known] or [1.0]),
        "yaxis": axis("accuracy lost, % (measured)"),
        "showlegend": False,
    }
    caption = "Each mark is the answer for one limit (dashed); bars are 95 % intervals of what was measured. Latency is predicted."
    return Figure("front", "Speed against accuracy lost", caption, traces, layout, 400)


def _bars(answers: Sequence[Answer]) -> Figure:
    """Return the latency of every answer, and Cloud-Only's, in its three parts."""
    rows = [(f"{a.limit}  {plain(a.plan.brief(16))}", a.plan) for a in answers]
    cloud = answers[0].bundle.first("cloud-only")
    if cloud is not None and all(a.plan.kind != "cloud-only" for a in answers):
        rows.append(("Cloud-Only", cloud))
    traces: list[Json] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label,
            "y": list(range(len(rows))),
            "x": decimals(getattr(plan, f"{label}_ms") for _, plan in rows),
            "marker": {"color": colour},
            "hovertemplate": f"{label} %{{x:.3g}} ms<extra></extra>",
        }
        for label, colour in (("edge", EDGE), ("link", LINK), ("cloud", CLOUD))
    ]
    layout: Json = {
        "barmode": "stack",
        "bargap": 0.35,
        "xaxis": axis("latency a sample, ms", range=[0, 1.3 * max(plan.latency_ms for _, plan in rows)]),
        "yaxis": {"tickvals": list(range(len(rows))), "ticktext": [name for name, _ in rows], "autorange": "reversed", "automargin": True},
        "annotations": [
            {"x": plan.latency_ms, "y": i, "text": ms_text(plan.latency_ms), "showarrow": False, "xanchor": "left", "xshift": 4}
            for i, (_, plan) in enumerate(rows)
        ],
    }
    return Figure("bars", "Latency by what may be lost", "Edge, link and cloud, predicted.", traces, layout, 130 + 34 * max(len(rows), 2))
