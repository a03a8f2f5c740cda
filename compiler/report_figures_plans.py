"""Figures of plans: latency against error and measured drop, the parts of the latency, latency against the rate."""

from __future__ import annotations

from collections.abc import Sequence

from .report_data import Bundle, Json, PlanRow
from .report_figures import CHOSEN, CLOUD, EDGE, LINK, OTHER, RIVAL, Figure, axis, decimals, latency_axis, log_axis, plain
from .report_html import bytes_text, error_text, ms_text, rate_text, short
from .report_rates import Line, Rates
from .report_rivals import Rival

LISTED = 9
"""Plans that the bars show beside Cloud-Only, Edge-Only and what is compared with."""

_SYMBOLS = {"split": "circle", "cloud-only": "square", "edge-only": "diamond"}


def front_figure(bundle: Bundle, rivals: Sequence[Rival]) -> Figure:
    """Return all plans by latency and predicted error; an error of 0 stands on a line of its own below the others."""
    errors = [
        e for e in (*(p.error for p in bundle.plans), *(r.error for r in rivals if r.error is not None), *_front_errors(bundle)) if e > 0
    ]
    floor = decimals([min(errors, default=1e-3) / 8])[0]
    traces: list[Json] = []
    for feasible, kind in ((f, k) for f in (True, False) for k in _SYMBOLS):
        plans = [p for p in bundle.plans if p.kind == kind and p.feasible == feasible and not p.chosen]
        if plans:
            traces.append(_points(_group(kind, feasible), plans, floor, _SYMBOLS[kind] + ("" if feasible else "-open")))
    if bundle.front:
        traces.insert(0, _front_line(bundle, floor))
    known = [r for r in rivals if r.error is not None]
    if known:
        traces.append(_rival_points(known, floor))
    if bundle.chosen is not None:
        traces.append(_points("chosen", [bundle.chosen], floor, _SYMBOLS[bundle.chosen.kind], CHOSEN, 15))
    latencies = [x for trace in traces for x in trace["x"]]
    levels = [y for trace in traces for y in trace["y"]]
    error_axis = log_axis("predicted error (log scale)", levels)
    any_zero = floor in levels
    if any_zero:
        ticks = zip(error_axis.get("tickvals", ()), error_axis.get("ticktext", ()), strict=True)
        kept = [(tick, text) for tick, text in ticks if tick > 3 * floor]
        error_axis |= {"tickvals": [floor, *(tick for tick, _ in kept)], "ticktext": ["none", *(text for _, text in kept)]}
    none = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": floor,
        "y1": floor,
        "line": {"dash": "dot", "width": 1, "color": OTHER},
    }
    layout: Json = {"xaxis": latency_axis(latencies), "yaxis": error_axis, "shapes": [none] if any_zero else []}
    caption = (
        "Each mark is a plan: further left is faster, further down is closer to the original model. Hollow marks break a limit. "
        "Both figures are predicted."
    )
    return Figure("front", "Speed against error", caption, traces, layout, 420)


def drop_figure(bundle: Bundle) -> Figure | None:
    """Return the plans that were measured by latency and accuracy lost, with intervals and the limit; None where none was."""
    accuracy = bundle.accuracy
    plans = [p for p in bundle.plans if p.drop is not None]
    if accuracy is None or not plans:
        return None
    noise = accuracy["metric"] == "sqnr"
    traces = [
        _drops("chosen" if chosen else "measured", own, noise)
        for chosen in (False, True)
        if (own := [p for p in plans if p.chosen == chosen])
    ]
    limit = 100 * accuracy["threshold"]
    unit = "noise, % of the signal" if noise else "accuracy lost, points"
    layout: Json = {
        "xaxis": latency_axis([p.latency_ms for p in plans]),
        "yaxis": axis(f"{unit} (measured)", rangemode="tozero"),
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": limit,
                "y1": limit,
                "line": {"dash": "dash", "width": 2, "color": OTHER},
            }
        ],
        "annotations": [
            {"xref": "paper", "x": 0, "y": limit, "xanchor": "left", "yanchor": "bottom", "text": f"limit {limit:.4g}", "showarrow": False}
        ],
    }
    caption = (
        f"Plans that were built and measured on the evaluation data by {accuracy['metric']}; bars are 95 % intervals. "
        "A hollow mark was given up early, when it could no longer keep the limit. Latency is predicted."
    )
    return Figure("drop", "Speed against accuracy lost", caption, traces, layout, 420)


def bars_figure(bundle: Bundle, rivals: Sequence[Rival]) -> Figure:
    """Return the latency of plans and baselines in its three parts."""
    rows = [*((_bar_name(p), (p.edge_ms, p.link_ms, p.cloud_ms), p.feasible) for p in _shown(bundle))]
    rows += [(short(r.name, 26), r.parts_ms, not r.why) for r in rivals]
    names = [f"<b>{plain(name)}</b>" if name.startswith("▸") else plain(name) for name, _, _ in rows]
    totals = [sum(parts) for _, parts, _ in rows]
    traces: list[Json] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label,
            "y": list(range(len(rows))),
            "x": decimals(parts[i] for _, parts, _ in rows),
            "marker": {"color": colour},
            "customdata": [[name, ms_text(parts[i])] for name, parts, _ in rows],
            "hovertemplate": f"%{{customdata[0]}}<br>{label} %{{customdata[1]}}<extra></extra>",
        }
        for i, (label, colour) in enumerate((("edge", EDGE), ("link", LINK), ("cloud", CLOUD)))
    ]
    layout: Json = {
        "barmode": "stack",
        "bargap": 0.35,
        "xaxis": axis("latency a sample, ms", range=[0, 1.3 * max(totals, default=1.0)]),
        "yaxis": {"tickvals": list(range(len(rows))), "ticktext": names, "autorange": "reversed", "automargin": True, "ticklen": 4},
        "annotations": [
            {"x": total, "y": i, "text": ms_text(total) + ("" if ok else " *"), "showarrow": False, "xanchor": "left", "xshift": 4}
            for i, (total, (_, _, ok)) in enumerate(zip(totals, rows, strict=True))
        ],
    }
    caption = "Where the time goes. ▸ is the chosen plan; * breaks a limit." + (
        " Times on the edge or in the cloud rest in part on measurements."
        if any(p.measured_ms for p in bundle.plans)
        else " All predicted."
    )
    return Figure("bars", "Latency: edge, link, cloud", caption, traces, layout, 130 + 30 * max(len(rows), 2))


def rate_figure(rates: Rates) -> Figure:
    """Return the latency of the chosen plan, Cloud-Only, Edge-Only and the winners at other rates against the rate of the link."""
    low, high = _window(rates)
    steps = [low * (high / low) ** (i / 60) for i in range(61)]
    lines = _lines_to_draw(rates, low, high)
    traces: list[Json] = []
    for place, line in enumerate(lines):
        plan = line.plan
        colour = (
            CHOSEN
            if plan.chosen
            else CLOUD
            if plan.kind == "cloud-only"
            else EDGE
            if plan.kind == "edge-only"
            else (RIVAL, OTHER, "#0a0", "#c4a000")[place % 2]
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": ("chosen: " if plan.chosen else "") + f"{plan.number} {plain(plan.brief(22))}",
                "x": decimals(step / 1e6 for step in steps),
                "y": decimals(line.at(step) for step in steps),
                "line": {
                    "color": colour,
                    "width": 3.5 if plan.chosen else 2,
                    "dash": "solid" if plan.chosen else ("dash", "dot", "dashdot")[place % 3],
                },
                "hovertemplate": "%{x:.3g} Mbps: %{y:.3g} ms<extra>" + plain(short(plan.name, 30)) + "</extra>",
            }
        )
    latencies = [y for trace in traces for y in trace["y"]]
    now = rates.rate_bps / 1e6
    layout: Json = {
        "xaxis": log_axis("rate of the link, Mbps (log scale)", [low / 1e6, high / 1e6]),
        "yaxis": log_axis("latency a sample, ms (log scale)", latencies),
        "shapes": [
            {
                "type": "line",
                "x0": now,
                "x1": now,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"dash": "dash", "width": 1.5, "color": OTHER},
            }
        ],
        "annotations": [
            {
                "x": _log10(now),
                "yref": "paper",
                "y": 1,
                "yanchor": "top",
                "xanchor": "left",
                "xshift": 4,
                "showarrow": False,
                "text": f"planned: {rate_text(rates.rate_bps)}",
            }
        ],
    }
    caption = (
        "How the plans that keep all limits fare on a slower or faster link, each with the bits it has in the list below. "
        "Predicted; a plan that is not listed might win far from the planned rate."
    )
    return Figure("rate", "Latency against the rate of the link", caption, traces, layout, 420)


def _window(rates: Rates) -> tuple[float, float]:
    """Return the rates to draw: a factor of 30 about the planned one, further where another plan takes over a little beyond."""
    found = [rate for rate, _ in rates.switches()[1:] if rates.rate_bps / 300 < rate < rates.rate_bps * 300]
    return min([rates.rate_bps / 30, *(r / 3 for r in found)]), max([rates.rate_bps * 30, *(r * 3 for r in found)])


def _lines_to_draw(rates: Rates, low: float, high: float) -> list[Line]:
    """Return the chosen plan's line, the first Cloud-Only and Edge-Only, and up to four that win somewhere between two rates."""
    winners = [line for rate, line in rates.switches() if rate < high]
    ends = [next((line for line in rates.lines if line.plan.kind == kind), None) for kind in ("cloud-only", "edge-only")]
    near = sorted(winners, key=lambda line: line.plan.number)
    del low
    found = [rates.chosen, *(line for line in ends if line is not None), *near[:4]]
    return list({line.plan.number: line for line in found}.values())


def _shown(bundle: Bundle) -> list[PlanRow]:
    """Return the chosen plan, Cloud-Only and Edge-Only, and the first of the others; of those with the same cut and wire the first."""
    ends = [plan for kind in ("cloud-only", "edge-only") if (plan := bundle.first(kind)) is not None]
    firsts: dict[tuple[object, ...], PlanRow] = {}
    for plan in bundle.plans:
        firsts.setdefault((plan.kind, plan.after, plan.payload_bytes, plan.codec, plan.feasible), plan)
    wanted = {p.number for p in (*ends, *list(firsts.values())[:LISTED], *([bundle.chosen] if bundle.chosen else []))}
    return [plan for plan in bundle.plans if plan.number in wanted]


def _bar_name(plan: PlanRow) -> str:
    return f"{'▸ ' if plan.chosen else ''}{plan.number} {plan.brief(16)}"


def _group(kind: str, feasible: bool) -> str:
    name = {"split": "splits", "cloud-only": "Cloud-Only", "edge-only": "Edge-Only"}[kind]
    return name if feasible else f"{name}, over a limit"


def _points(label: str, plans: Sequence[PlanRow], floor: float, symbol: str, colour: str = "", size: int = 10) -> Json:
    own = {"circle": OTHER, "square": CLOUD, "diamond": EDGE}[symbol.removesuffix("-open")]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": decimals(p.latency_ms for p in plans),
        "y": decimals(max(p.error, floor) for p in plans),
        "marker": {"symbol": symbol, "size": size, "color": colour or own, "line": {"width": 1.5, "color": colour or own}},
        "customdata": [_told(p) for p in plans],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _told(plan: PlanRow) -> str:
    parts = (
        f"<b>{plan.number} {plain(short(plan.name, 40))}</b>",
        f"latency {ms_text(plan.latency_ms)}, error {error_text(plan.error)}",
        f"sent {bytes_text(plan.sent_bytes)}, RAM {bytes_text(plan.ram_bytes)}",
        *([plain(short(plan.violations, 60))] if plan.violations else []),
    )
    return "<br>".join(parts)


def _drops(label: str, plans: Sequence[PlanRow], noise: bool) -> Json:
    measured = [(p, p.drop) for p in plans if p.drop is not None]
    shares = [(100 * d.drop, 100 * (d.drop if d.low is None else d.low), 100 * (d.drop if d.high is None else d.high)) for _, d in measured]
    unit = "%" if noise else "points"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": decimals(p.latency_ms for p, _ in measured),
        "y": decimals(share for share, _, _ in shares),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": decimals(high - share for share, _, high in shares),
            "arrayminus": decimals(share - low for share, low, _ in shares),
            "thickness": 1.5,
        },
        "marker": {
            "color": CHOSEN if label == "chosen" else OTHER,
            "size": 14 if label == "chosen" else 10,
            "symbol": [_SYMBOLS[p.kind] + ("" if d.complete else "-open") for p, d in measured],
            "line": {"width": 1.5, "color": CHOSEN if label == "chosen" else OTHER},
        },
        "customdata": [f"{_told(p)}<br>lost {100 * d.drop:.2f} {unit} on {d.n:,} samples" for p, d in measured],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _front_errors(bundle: Bundle) -> list[float]:
    return [float(row["error"]) for row in bundle.front if row.get("error")]


def _front_line(bundle: Bundle, floor: float) -> Json:
    rows: list[tuple[float, float]] = []
    for latency_ms, error in sorted({(float(row["latency_ms"]), float(row["error"])) for row in bundle.front if row.get("error")}):
        if not rows or error < rows[-1][1]:
            rows.append((latency_ms, error))
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "proven front, any memory",
        "x": decimals(x for x, _ in rows),
        "y": decimals(max(y, floor) for _, y in rows),
        "line": {"shape": "hv", "color": OTHER, "width": 1},
        "marker": {"size": 5, "color": OTHER},
        "hovertemplate": "front: %{x:.4g} ms, error %{y:.3g}<extra></extra>",
    }


def _rival_points(rivals: Sequence[Rival], floor: float) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "baselines",
        "x": decimals(r.latency_ms for r in rivals),
        "y": decimals(max(r.error or 0.0, floor) for r in rivals),
        "marker": {"symbol": ["x-open" if r.why else "x" for r in rivals], "size": 10, "color": RIVAL},
        "customdata": [f"<b>{plain(r.name)}</b><br>latency {ms_text(r.latency_ms)}, error {error_text(r.error or 0.0)}" for r in rivals],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _log10(value: float) -> float:
    from math import log10

    return round(log10(value), 6)
