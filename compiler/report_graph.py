"""The model's graph with the cut drawn, as inline SVG: chains of ops in one box each where there are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .report_data import Bundle, Json, LayerRow
from .report_html import Html, bytes_text, joined, ms_text, short, tag
from .report_layout import Placed, place

MOST_OPS = 70
"""Ops up to which each has a box of its own."""

MOST_NAMES = 4
"""Tensors that cross up to which their names stand in the drawing."""

LEAST_WIDTH = 1.8
"""Columns of boxes that a drawing is wide at least."""

INPUT = "model input"

_WIDTH, _HEIGHT, _STEP_X, _STEP_Y, _PAD = 150, 34, 172, 58, 26


@dataclass(frozen=True, slots=True)
class Box:
    """A node of the drawing: the ops in it by index, in order."""

    ops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes with the arcs between them; `crossing`: arcs that cross the cut, with the names of what crosses on each."""

    boxes: tuple[Box, ...]
    arcs: tuple[tuple[int, int], ...]
    below: tuple[bool, ...]
    crossing: dict[tuple[int, int], tuple[str, ...]]


def graph_svg(bundle: Bundle) -> Html | None:
    """Return the graph as SVG in a box that scrolls, with a line below that tells of the node pointed at; None without problem.json."""
    if bundle.problem is None or not bundle.layers:
        return None
    rows = {layer.name: layer for layer in bundle.layers if layer.kind not in ("pack", "unpack")}
    inner: list[Json] = [op for op in bundle.problem["ops"] if op["name"] in rows]
    if not inner:
        return None
    inputs = [(i, value["name"]) for i, value in enumerate(bundle.problem["values"]) if value.get("is_input", False)]
    ops = [*({"name": name, "inputs": [], "results": [{"value": i}]} for i, name in inputs), *inner]
    layers = [*(_input(name) for _, name in inputs), *(rows[op["name"]] for op in inner)]
    drawing = draw(bundle.problem, ops, [layer.side == "cloud" for layer in layers])
    placed = _centred(place(drawing.arcs, drawing.below))
    width, height = round(placed.width * _STEP_X + 2 * _PAD), placed.height * _STEP_Y + 3 * _PAD
    parts = [
        *_bands(placed, width, height, bundle),
        *(_arc(placed, arc, drawing.crossing.get(arc, ())) for arc in drawing.arcs),
        *_tensor_names(placed, drawing),
        *(_node(placed, i, [layers[op] for op in box.ops]) for i, box in enumerate(drawing.boxes)),
    ]
    size = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    picture = tag("svg", *parts, role="img", aria_label="graph of the model with the cut", **size)
    at = round(_cut_y(placed)) if any(drawing.below) else 0
    return joined(
        (
            tag("div", picture, class_="graph", tabindex="0", data_cut=str(at)),
            tag("p", "Point at a box, or tap it, to see what it is.", class_="told", id="graph-told", aria_live="polite"),
        )
    )


def draw(problem: Json, ops: Sequence[Json], in_cloud: Sequence[bool]) -> Drawing:
    """Return the boxes and arcs of ops as a problem has them, in order, the model's inputs among them as ops that read nothing.

    Chains on one side become one box where there are many ops.
    """
    names = [value["name"] for value in problem["values"]]
    maker = {o["value"]: i for i, op in enumerate(ops) for o in op["results"] if o.get("value", -1) >= 0}
    tensors: dict[tuple[int, int], list[str]] = {}
    for i, op in enumerate(ops):
        for operand in op["inputs"]:
            value = operand.get("value", -1)
            if value in maker and names[value] not in tensors.setdefault((maker[value], i), []):
                tensors[maker[value], i].append(names[value])
    boxes = _chains(list(tensors), in_cloud) if len(ops) > MOST_OPS else [Box((i,)) for i in range(len(ops))]
    home = {op: i for i, box in enumerate(boxes) for op in box.ops}
    arcs: dict[tuple[int, int], None] = {}
    crossing: dict[tuple[int, int], list[str]] = {}
    for (first, second), held in tensors.items():
        arc = home[first], home[second]
        if arc[0] != arc[1]:
            arcs[arc] = None
            if in_cloud[first] != in_cloud[second]:
                crossing.setdefault(arc, []).extend(name for name in held if name not in crossing.get(arc, []))
    below = tuple(in_cloud[box.ops[0]] for box in boxes)
    return Drawing(tuple(boxes), tuple(arcs), below, {arc: tuple(held) for arc, held in crossing.items()})


def _chains(arcs: Sequence[tuple[int, int]], in_cloud: Sequence[bool]) -> list[Box]:
    """Return runs of ops of one side in which each has only the next as reader, and that only it as maker."""
    outs, ins = Counter(first for first, _ in arcs), Counter(second for _, second in arcs)
    after = {a: b for a, b in arcs if outs[a] == 1 and ins[b] == 1 and ins[a] and in_cloud[a] == in_cloud[b]}
    later = set(after.values())
    starts = [i for i in range(len(in_cloud)) if i not in later]
    boxes: list[Box] = []
    for start in starts:
        run = [start]
        while run[-1] in after:
            run.append(after[run[-1]])
        boxes.append(Box(tuple(run)))
    return sorted(boxes, key=lambda box: box.ops[-1])


def _cut_y(placed: Placed) -> float:
    return _PAD + placed.cut * _STEP_Y + (_PAD - (_STEP_Y - _HEIGHT)) / 2


def _y(placed: Placed, layer: int) -> float:
    """Return the top of a layer's boxes; the cloud's stand a little apart."""
    return _PAD + layer * _STEP_Y + (_PAD if layer >= placed.cut else 0)


def _bands(placed: Placed, width: int, height: int, bundle: Bundle) -> list[Html]:
    """Return the grounds of both sides, and the cut with what crosses it."""
    cut = round(_cut_y(placed))
    sent = bundle.manifest["wire"]["bytes_per_sample"]
    kind = bundle.manifest["decision"]["kind"]
    parts = [
        tag("rect", class_="ground edge", x="0", y="0", width=str(width), height=str(cut)),
        tag("rect", class_="ground cloud", x="0", y=str(cut), width=str(width), height=str(height - cut)),
    ]
    if kind == "edge-only":
        return [
            tag("rect", class_="ground edge", x="0", y="0", width=str(width), height=str(height)),
            tag("text", "on the edge", class_="side", x="8", y="16"),
        ]
    line = tag("line", class_="cut", x1="0", y1=str(cut), x2=str(width), y2=str(cut))
    names = [tag("text", "on the edge", class_="side", x="8", y="16")] if kind == "split" else []
    below = tag("text", "in the cloud", class_="side", x="8", y=str(cut + 16))
    crosses = tag("text", f"{bytes_text(sent)} cross", class_="side right", x=str(width - 8), y=str(cut + 16))
    return [*parts, line, *names, below, *([crosses] if sent else [])]


def _arc(placed: Placed, arc: tuple[int, int], names: tuple[str, ...]) -> Html:
    first, second = arc
    points = [
        (_center(placed.x[first]), _y(placed, placed.layer[first]) + _HEIGHT),
        *((_center(x), _y(placed, layer) + _HEIGHT / 2) for x, layer in placed.bends[arc]),
        (_center(placed.x[second]), _y(placed, placed.layer[second])),
    ]
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f"C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"
    if not names:
        return tag("path", class_="arc", d=path)
    told = f"crosses: {', '.join(names)}"
    return tag("g", tag("title", told), tag("path", class_="arc crossing", d=path), class_="node", tabindex="0", data_told=told)


def _tensor_names(placed: Placed, drawing: Drawing) -> list[Html]:
    """Return the names of what crosses, each once beside its line above the cut; none where they would not find room."""
    firsts = {names: arc for arc, names in reversed(drawing.crossing.items())}
    if len(firsts) > MOST_NAMES:
        return []
    found: list[Html] = []
    for names, (first, second) in firsts.items():
        points = [*((x, layer) for x, layer in placed.bends[first, second]), (placed.x[second], placed.layer[second])]
        x = next(x for x, layer in points if layer >= placed.cut)
        near = (_center(placed.x[first]) + _center(x)) / 2 if placed.layer[first] == placed.cut - 1 else _center(x)
        found.append(tag("text", short(", ".join(names), 26), class_="tensor", x=f"{near + 6:.0f}", y=f"{_cut_y(placed) - 6:.0f}"))
    return found


def _centred(placed: Placed) -> Placed:
    """Return a drawing that has room for what is written on the grounds, beside a single column of boxes too."""
    if placed.width >= LEAST_WIDTH:
        return placed
    aside = (LEAST_WIDTH - placed.width) / 2
    bends = {arc: tuple((x + aside, layer) for x, layer in points) for arc, points in placed.bends.items()}
    return replace(placed, x=tuple(x + aside for x in placed.x), bends=bends, width=LEAST_WIDTH)


def _node(placed: Placed, index: int, layers: Sequence[LayerRow]) -> Html:
    x, y = _center(placed.x[index]) - _WIDTH / 2, _y(placed, placed.layer[index])
    told = _told(layers)
    lines = (short(layers[0].name, 22), _second(layers[0])) if len(layers) == 1 else (_range(layers), _sum(layers))
    return tag(
        "g",
        tag("title", told),
        tag("rect", x=f"{x:.0f}", y=f"{y:.0f}", width=str(_WIDTH), height=str(_HEIGHT), rx="5"),
        tag("text", lines[0], class_="name", x=f"{x + _WIDTH / 2:.0f}", y=f"{y + 14:.0f}"),
        tag("text", lines[1], class_="what", x=f"{x + _WIDTH / 2:.0f}", y=f"{y + 27:.0f}"),
        class_=f"node {'cloud' if layers[0].side == 'cloud' else 'edge'}",
        tabindex="0",
        data_told=told,
    )


def _center(x: float) -> float:
    return _PAD + x * _STEP_X + _STEP_X / 2


def _input(name: str) -> LayerRow:
    return LayerRow(name, INPUT, "edge", None, None, None, None, 0.0, "", "", None)


def _second(layer: LayerRow) -> str:
    if layer.kind == INPUT:
        return INPUT
    bits = "".join(f" {letter}{width}" for letter, width in (("W", layer.weight_bits), ("A", layer.act_bits)) if width)
    return f"{short(layer.kind, 14)}{bits}, {ms_text(layer.latency_ms)}"


def _range(layers: Sequence[LayerRow]) -> str:
    return short(f"{len(layers)} ops to {layers[-1].name}", 24)


def _sum(layers: Sequence[LayerRow]) -> str:
    kind, count = Counter(layer.kind for layer in layers).most_common(1)[0]
    return f"{count} x {short(kind, 12)}, {ms_text(sum(layer.latency_ms for layer in layers))}"


def _told(layers: Sequence[LayerRow]) -> str:
    return "; ".join(_one(layer) for layer in layers) if len(layers) <= 12 else f"{_told(layers[:11])}; and {len(layers) - 11} more"


def _one(layer: LayerRow) -> str:
    if layer.kind == INPUT:
        return f"{layer.name}: an input of the model"
    bits = [f"weights {layer.weight_bits} bits"] if layer.weight_bits else []
    bits += [f"result {layer.act_bits} bits"] if layer.act_bits else []
    where = "in the cloud, floating point" if layer.side == "cloud" else "on the edge"
    return ", ".join((f"{layer.name}: {layer.kind} {where}", *bits, f"{ms_text(layer.latency_ms)} {layer.basis}"))
