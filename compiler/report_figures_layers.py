"""Figures of the part on the edge: bits and errors of its layers, and what is in memory while they run."""

from __future__ import annotations

from collections.abc import Sequence

from .report_data import Bundle, Json, LayerRow
from .report_figures import CHOSEN, EDGE, LINK, OTHER, Figure, axis, decimals, plain
from .report_html import bytes_text, ms_text, short

TICKS = 14
"""Layers that are named below a figure; the others tell their name under the pointer."""


def bits_figure(layers: Sequence[LayerRow]) -> Figure | None:
    """Return bits and signal-to-noise ratio of the layers on the edge; None where nothing there has bits."""
    shown = [layer for layer in layers if layer.side == "edge"]
    if not any(layer.weight_bits or layer.act_bits for layer in shown):
        return None
    traces: list[Json] = [
        _steps("weights", [layer.weight_bits for layer in shown], EDGE, "square", shown),
        _steps("results", [layer.act_bits for layer in shown], LINK, "circle-open", shown),
    ]
    known = [(i, layer) for i, layer in enumerate(shown) if layer.sqnr_db is not None]
    traces.append(
        {
            "type": "bar",
            "name": "signal to noise, dB",
            "x": [i for i, _ in known],
            "y": [layer.sqnr_db for _, layer in known],
            "marker": {"color": OTHER},
            "xaxis": "x",
            "yaxis": "y2",
            "customdata": [_told(layer) for _, layer in known],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    )
    layout: Json = {
        "xaxis": {**_named(shown), "anchor": "y2"},
        "yaxis": axis("bits", range=[0, 8.9], tickvals=[0, 2, 4, 6, 8], domain=[0.53, 1]),
        "yaxis2": axis("SNR, dB", rangemode="tozero", domain=[0, 0.43]),
        "bargap": 0.4,
    }
    caption = (
        "Above, the bits of each layer's weights and results on the edge; a layer without a mark stays in floating point. Below, how much "
        "of its signal each keeps: the ratio of signal to quantisation noise in decibels, more is better. Predicted."
    )
    return Figure("bits", "Bits and errors along the network", caption, traces, layout, 460)


def memory_figure(layers: Sequence[LayerRow], bundle: Bundle) -> Figure | None:
    """Return the edge's memory while each layer runs, what is always there apart, with peak and limit; None without any."""
    shown = [layer for layer in layers if layer.side == "edge" and layer.ram_bytes is not None]
    if not shown:
        return None
    used = [layer.ram_bytes or 0 for layer in shown]
    resident = min(resident_bytes(bundle), *used)
    limit: int | None = bundle.manifest["limits"]["edge_ram_bytes"]
    unit, scale = next(((u, s) for u, s in (("MB", 1e6), ("KB", 1e3)) if max(used) >= s), ("B", 1.0))
    peak = used.index(max(used))
    places = list(range(len(shown)))
    parts = (
        ("weights and other constants, all the time", [resident] * len(used), EDGE),
        ("inputs and results", [u - resident for u in used], LINK),
    )
    traces: list[Json] = [
        {
            "type": "bar",
            "name": name,
            "x": places,
            "y": decimals(value / scale for value in values),
            "marker": {"color": colour},
            "customdata": [[plain(layer.name), bytes_text(value)] for layer, value in zip(shown, values, strict=True)],
            "hovertemplate": f"%{{customdata[0]}}<br>{name}: %{{customdata[1]}}<extra></extra>",
        }
        for name, values, colour in parts
        if any(values)
    ]
    near = limit if limit is not None and limit <= 3 * max(used) else None
    top = max(max(used), near or 0) * 1.22 / scale
    shapes: list[Json] = []
    notes: list[Json] = [
        {
            "x": peak,
            "y": max(used) / scale,
            "text": f"peak {bytes_text(max(used))}: {plain(short(shown[peak].name))}",
            "showarrow": True,
            "arrowhead": 2,
            "ax": 0,
            "ay": -26,
            "xanchor": "left" if peak < 0.3 * len(shown) else "right" if peak > 0.7 * len(shown) else "center",
        }
    ]
    if near is not None:
        shapes.append(
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": near / scale,
                "y1": near / scale,
                "line": {"dash": "dash", "width": 2, "color": CHOSEN},
            }
        )
        notes.append(
            {
                "xref": "paper",
                "x": 1,
                "xanchor": "right",
                "y": near / scale,
                "yanchor": "bottom",
                "text": f"limit {bytes_text(near)}",
                "showarrow": False,
            }
        )
    layout: Json = {
        "barmode": "stack",
        "bargap": 0.08,
        "xaxis": _named(shown),
        "yaxis": axis(f"memory, {unit}", range=[0, top]),
        "shapes": shapes,
        "annotations": notes,
    }
    beyond = "" if near is not None or limit is None else f" The limit, {bytes_text(limit)}, lies far above."
    caption = f"What the edge's RAM holds while each layer runs, in order of time. Predicted.{beyond}"
    return Figure("memory", "Memory over time", caption, traces, layout, 400)


def resident_bytes(bundle: Bundle) -> int:
    """Return the RAM that the chosen plan's constants take all the time, as `evaluate.constant_bits` has it; 0 where that is not known."""
    problem = bundle.problem
    if problem is None or problem.get("constants_in_storage", False):
        return 0
    on_edge = {layer.name for layer in bundle.layers if layer.side == "edge"}
    ops: list[Json] = [op for op in problem["ops"] if op["name"] in on_edge]
    bits: dict[str, int] = bundle.manifest["bits"]["weights"]
    weights = {o["weight"] for op in ops for o in op["inputs"] if o.get("weight", -1) >= 0}
    constants = {c for op in ops for c in op.get("constants", [])}
    total = sum(problem["constants"][c]["memory_bits"] for c in constants)
    for index in weights:
        weight: Json = problem["weights"][index]
        width = bits.get(weight["name"], 8) if problem["packed"] else 8
        total += weight["elements"] * width + weight["scale_bits"]
    return -(-total // 8)


def _steps(name: str, bits: Sequence[int | None], colour: str, symbol: str, layers: Sequence[LayerRow]) -> Json:
    known = [(i, width) for i, width in enumerate(bits) if width is not None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"bits of {name}",
        "x": [i for i, _ in known],
        "y": [width for _, width in known],
        "line": {"shape": "hvh", "width": 1.2, "color": colour},
        "marker": {"symbol": symbol, "size": (8 if len(layers) < 60 else 5) + (3 if symbol == "circle-open" else 0), "color": colour},
        "customdata": [_told(layers[i]) for i, _ in known],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _told(layer: LayerRow) -> str:
    parts = [f"<b>{plain(short(layer.name, 40))}</b>", f"{layer.kind}, {ms_text(layer.latency_ms)} {layer.basis}"]
    parts += [f"weights {layer.weight_bits} bits"] if layer.weight_bits else []
    parts += [f"result {layer.act_bits} bits"] if layer.act_bits else []
    parts += [f"signal to noise {layer.sqnr_db:.1f} dB"] if layer.sqnr_db is not None else []
    parts += [f"changes the output by {layer.output_change:.2g}"] if layer.output_change is not None else []
    return "<br>".join(parts)


def _named(layers: Sequence[LayerRow]) -> Json:
    """Return an axis over layers in order, some of them named."""
    step = max(1, -(-len(layers) // TICKS))
    places = list(range(0, len(layers), step))
    names = [plain(short(layers[i].name, 16)) for i in places]
    ticks = {"tickvals": places, "ticktext": names, "tickangle": -50, "tickfont": {"size": 10}}
    return {**ticks, "range": [-0.7, len(layers) - 0.3], "automargin": True, "zeroline": False, "showgrid": False}
