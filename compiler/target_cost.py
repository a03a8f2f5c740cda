"""What every op of a model costs on one target, for `autosplitc targets cost`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autosplitc.ir import Graph, Module, Op, op_row
from autosplitc.passes import expand, pass_class
from autosplitc.targets import FLOAT_ROW, OpView, Target, checked_cost, row_of, view

from .driver import run_pipeline
from .hooks import Hooks, Watch
from .manifest import Json
from .request import Model, read_source, simplifying_env
from .table_text import columns

Pair = tuple[int, int]
"""Bits of weights, bits of activations."""

_UNKNOWN = "-"


def cost_table(model: Model, target: Target, input_shapes: Mapping[str, tuple[int, ...]], watch: Watch) -> Json:
    """Return the cost of every op of the simplified graph at every pair of the target's bit-widths and in float, batch size 1.

    Latencies in seconds, none where the target does not take the op. `bytes_float`: off-chip traffic with everything in float.
    `measured`: at which widths of the input the times were measured on the device ("float" among them); all others are predicted.
    Raises CompileError as importing does, and AS420 where the target gives no usable cost.
    """
    hooks = Hooks(watch)
    with hooks.timed("import"):
        source = read_source(model, input_shapes)
    simplify = [pass_class(name)() for name in expand("simplify")]
    graph = run_pipeline(Module((source.graph,)), simplify, simplifying_env(hooks), hooks).main
    pairs = tuple((w, a) for w in target.weight_bits for a in target.act_bits)
    ops = [_op(target, graph, op, pairs) for op in graph.ops]
    return {
        "model": source.label,
        "target": target.name,
        "source": target.source,
        "pairs": [pair_name(pair) for pair in pairs],
        "ops": ops,
        "total": {column: _total(ops, column) for column in (*map(pair_name, pairs), "float")},
    }


def pair_name(pair: Pair) -> str:
    """Return `W4A8` for 4-bit weights and 8-bit activations."""
    return f"W{pair[0]}A{pair[1]}"


def cost_text(found: Json) -> str:
    """Return the table for people: widths where weights and activations have equally many bits, as far as there are any."""
    shown = [*_even(found["pairs"]), "float"]
    rows = [("OP", "KIND", "MACS", "FLOAT B", *(f"{column} MS" for column in shown), "BOUND BY", "FIGURES")]
    for op in found["ops"]:
        times = (_ms(op["latency_s"][column]) if op["takes"] else _UNKNOWN for column in shown)
        rows.append((op["op"], op["kind"], f"{op['macs']:,}", f"{op['bytes_float']:,.0f}", *times, op["bound_by"], _basis(op)))
    rows.append(("total", "", "", "", *(_ms(found["total"][column]) for column in shown), "", ""))
    heading = f"{found['model']}   {found['target']}   latency of every op at batch size 1\n{found['source']}"
    return f"{heading}\n\n{columns(rows, right=frozenset(range(2, 4 + len(shown))))}"


def cost_rows(found: Json) -> tuple[Sequence[str], list[list[object]]]:
    """Return heading and rows for CSV: every pair of widths."""
    pairs: list[str] = [*found["pairs"], "float"]
    heading = ("op", "kind", "macs", "takes", "bytes_float", *(f"ms_{name.lower()}" for name in pairs), "bound_by", "measured_bits")
    rows: list[list[object]] = []
    for op in found["ops"]:
        times = [f"{op['latency_s'][name] * 1e3:.6f}" if op["takes"] else None for name in pairs]
        measured = " ".join(map(str, op["measured"]))
        rows.append([op["op"], op["kind"], op["macs"], int(op["takes"]), round(op["bytes_float"]), *times, op["bound_by"], measured])
    return heading, rows


def _op(target: Target, graph: Graph, op: Op, pairs: Sequence[Pair]) -> Json:
    seen = view(graph, op)
    cost = checked_cost(target, seen, op.name)
    found: Json = {"op": op.name, "kind": op.kind, "macs": seen.macs, "takes": cost is not None}
    if cost is None:
        return {**found, "bytes_float": 0.0, "latency_s": {}, "bound_by": "not taken", "measured": []}
    in_float = _rows(seen, None)
    return {
        **found,
        "bytes_float": cost.moved_s(in_float[0]) * cost.bandwidth_bytes_per_s,
        "latency_s": {
            **{pair_name(pair): cost.latency_s(*_rows(seen, pair)) for pair in pairs},
            "float": cost.latency_s(*in_float),
        },
        "bound_by": cost.bound_by(*in_float),
        "measured": ["float" if row == FLOAT_ROW else row + 1 for row in sorted(cost.measured_rows)],
    }


def _rows(op: OpView, pair: Pair | None) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return the rows of every input and result, and those of the two MAC operands, as `OpCost.latency_s` takes them.

    Activations and weights are at the pair's bits, or all in float; other constants are float. Ops that compute in float do so at any bits.
    """
    quant = op_row(op.kind).quant
    weights, acts = (FLOAT_ROW, FLOAT_ROW) if pair is None or quant == "float" else (row_of(pair[0]), row_of(pair[1]))
    inputs = [acts] * len(op.inputs)
    for i, constant in enumerate(op.constant):
        if constant:
            inputs[i] = weights if quant == "mac" and i == 1 else FLOAT_ROW
    first = inputs[0] if inputs else FLOAT_ROW
    second = inputs[1] if quant == "mac" and len(inputs) > 1 else FLOAT_ROW
    return (*inputs, *[acts] * len(op.results)), (first, second)


def _total(ops: Sequence[Json], column: str) -> float:
    return sum(op["latency_s"][column] for op in ops if op["takes"])


def _even(pairs: Sequence[str]) -> list[str]:
    """Return the pairs with as many bits on both sides; all where there is none."""
    even = [name for name in pairs if name.removeprefix("W").split("A")[0] == name.split("A")[1]]
    return even or list(pairs)


def _basis(op: Json) -> str:
    if not op["takes"] or not op["measured"]:
        return "predicted" if op["takes"] else ""
    return "measured at " + ", ".join(map(str, op["measured"]))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.4f}"
