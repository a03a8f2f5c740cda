"""estimate-cost: what every op costs on the edge at every bit-width and on the cloud in float, and what the wire's codes cost both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from autosplitc.ir import (
    CompileError,
    Diagnostic,
    DType,
    Graph,
    Module,
    Op,
    TensorType,
    array_ref,
    at_batch_one,
    constant_values,
)
from autosplitc.targets import (
    BIT_ROWS,
    FLOAT_ROW,
    ROWS,
    OpCost,
    OpView,
    Target,
    checked_cost,
    pack_view,
    products,
    row_of,
    unpack_view,
    unprofiled,
    view,
)

from .base import Env, Pass
from .facts import Costs, OpCosts, Ranges, Request, WireCosts
from .roles import roles


@dataclass(frozen=True)
class EstimateCost(Pass):
    """Ask both targets for the cost of every op of `main`, and of packing and unpacking every value that may cross as codes.

    A value whose size is known only at run time counts with the largest size seen in calibration (`Ranges.sizes`), or as nothing where
    none was seen; such ops stay in the cloud, so only its figures rest on that.
    """

    name: ClassVar[str] = "estimate-cost"
    summary: ClassVar[str] = "compute time and off-chip traffic of every op at every bit-width, on the edge and in the cloud"
    gives = (Costs,)

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with `Costs`.

        Raises CompileError: AS420 where a target gives no usable cost, AS421 for ops that the cloud target cannot run, AS422 where the
        edge target's bandwidth or overlap differs from op to op, AS444 for ops that a measured target has no time of (a warning, AS445,
        where it may interpolate).
        """
        sizes = _seen_elements(module)
        _check_profiles(module.main, env, sizes)
        request = module.get(Request)
        keep_float = request.keep_float if request is not None else ""
        return module.with_fact(estimate(module.main, env.edge, env.cloud, sizes, keep_float))


def estimate(graph: Graph, edge: Target, cloud: Target, seen_elements: Mapping[str, int], keep_float: str = "") -> Costs:
    """Return the costs of a graph's ops and wires.

    `seen_elements` holds the sizes of values that are not known from the graph; `keep_float` is as in `Request`.
    """
    records: list[OpCosts] = []
    edge_costs: list[OpCost | None] = []
    problems: list[Diagnostic] = []
    first_traffic = 0
    for op in graph.ops:
        seen = _seen_view(graph, op, seen_elements)
        edge_cost = _cost(edge, seen, op.name, problems)
        cloud_cost = _cost(cloud, seen, op.name, problems)
        edge_costs.append(edge_cost)
        if cloud_cost is None:
            problems.append(_cannot_run(cloud, op))
            continue
        cloud_s, bound_by = _float_latency(cloud_cost)
        operands = len(op.inputs) + len(op.results)
        records.append(
            OpCosts(
                op=op.name,
                macs=seen.macs,
                edge_ok=edge_cost is not None,
                cloud_s=cloud_s,
                cloud_bound_by=bound_by,
                first_traffic=first_traffic,
                operands=operands,
                edge_measured=() if edge_cost is None else tuple(sorted(edge_cost.measured_rows)),
                cloud_measured=FLOAT_ROW in cloud_cost.measured_rows,
            )
        )
        first_traffic += operands
    wires = _wires(graph, edge, cloud, keep_float, problems)
    if problems:
        raise CompileError(_told_once(problems))
    bandwidth_bytes_per_s, overlap = _edge_memory(edge, graph, edge_costs)
    compute_s = np.zeros((len(records), ROWS, ROWS))
    traffic_bytes = np.zeros((first_traffic, ROWS))
    for index, (record, cost) in enumerate(zip(records, edge_costs, strict=True)):
        if cost is not None:
            compute_s[index] = cost.compute_s
            if record.operands:
                traffic_bytes[record.first_traffic : record.first_traffic + record.operands] = cost.traffic_bytes
    return Costs(graph.name, bandwidth_bytes_per_s, overlap, tuple(records), array_ref(compute_s), array_ref(traffic_bytes), wires)


def op_views(module: Module) -> tuple[tuple[str, OpView], ...]:
    """Return name and view of every op of `main` as targets see it."""
    sizes = _seen_elements(module)
    return tuple((op.name, _seen_view(module.main, op, sizes)) for op in module.main.ops)


def _check_profiles(graph: Graph, env: Env, seen_elements: Mapping[str, int]) -> None:
    """Tell of ops that a measured target has no time of. Raises CompileError (AS444) where it must not make times up for them."""

    def views() -> Iterator[tuple[str, OpView]]:
        return ((op.name, _seen_view(graph, op, seen_elements)) for op in graph.ops)

    found = (*unprofiled(env.edge, "edge", views()), *unprofiled(env.cloud, "cloud", views()))
    errors = [d for d in found if d.severity == "error"]
    if errors:
        raise CompileError(errors)
    for warning in found:
        env.warn(warning)


def _seen_elements(module: Module) -> dict[str, int]:
    ranges = module.get(Ranges)
    return {} if ranges is None else {seen.value: seen.elements for seen in ranges.sizes}


def _seen_view(graph: Graph, op: Op, seen_elements: Mapping[str, int]) -> OpView:
    """Return what targets see of an op; a value of unknown size has one axis of as many elements as were seen."""
    given = view(graph, op)
    inputs = tuple(_seen_type(t, seen_elements.get(name)) for name, t in zip(op.inputs, given.inputs, strict=True))
    results = tuple(_seen_type(t, seen_elements.get(name)) for name, t in zip(op.results, given.results, strict=True))
    if inputs == given.inputs and results == given.results:
        return given
    seen = replace(given, inputs=inputs, results=results)
    return replace(seen, macs=max(given.macs, sum(part.macs for part in products(seen))))


def _seen_type(type_: TensorType, elements: int | None) -> TensorType:
    if elements is None or type_.wraps or type_.elements is not None:
        return type_
    return TensorType(type_.dtype, (elements,))


def _wires(graph: Graph, edge: Target, cloud: Target, keep_float: str, problems: list[Diagnostic]) -> tuple[WireCosts, ...]:
    """Return what packing and unpacking take for every value that may cross as codes, where it is anything at all.

    Values of one type cost the same, so the targets are asked once for each. A target that knows no packing takes no time for it.
    """
    known: dict[tuple[TensorType, bool], WireCosts] = {}
    found: list[WireCosts] = []
    codes = _made_as_codes(graph, keep_float)
    for name, type_ in _may_cross(graph):
        key = type_, name in codes
        if key not in known:
            pack = _cost(edge, pack_view(type_, codes=name in codes), name, problems)
            unpack = _cost(cloud, unpack_view(type_), name, problems)
            known[key] = WireCosts(name, _times(pack, _AS_CODES), _times(unpack, _AS_FLOAT), _bits_measured(pack), _bits_measured(unpack))
        if any(known[key].pack_s) or any(known[key].unpack_s):
            found.append(replace(known[key], value=name))
    return tuple(found)


def _made_as_codes(graph: Graph, keep_float: str) -> frozenset[str]:
    """Return the values that ops on codes make: whatever their bits, nothing is left to quantise when they cross at those."""
    found = roles(graph, keep_float)
    makers = {value: graph.producer.get(root) for value, root in found.root.items()}
    return frozenset(value for value, maker in makers.items() if maker is not None and maker.name in found.quantised)


def _may_cross(graph: Graph) -> list[tuple[str, TensorType]]:
    """Return the f32 values of known size that ops read, constants and what is made of them aside, with their types at batch size 1."""
    constant = constant_values(graph)
    names = (*(v.name for v in graph.inputs), *(r for op in graph.ops for r in op.results if r and r not in constant))
    types = ((name, at_batch_one(graph.type_of(name))) for name in names if graph.users.get(name))
    return [(name, type_) for name, type_ in types if type_.dtype is DType.F32 and type_.elements is not None]


_AS_CODES = tuple((row, row) for row in range(FLOAT_ROW))
"""Rows of input and result of packing at 1..8 bits."""
_AS_FLOAT = tuple((row, FLOAT_ROW) for row in range(FLOAT_ROW))
"""The same of unpacking: what it makes is float."""


def _times(cost: OpCost | None, rows: tuple[tuple[int, int], ...]) -> tuple[float, ...]:
    if cost is None or cost is _NOTHING:
        return (0.0,) * len(rows)
    return tuple(cost.latency_s(pair, (pair[0], FLOAT_ROW)) for pair in rows)


def _bits_measured(cost: OpCost | None) -> tuple[int, ...]:
    return () if cost is None else tuple(b for b in BIT_ROWS if row_of(b) in cost.measured_rows)


def _told_once(problems: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return one diagnostic for each message, at the first op or value that it is about, with the number of the others."""
    alike: dict[tuple[str, str], list[Diagnostic]] = {}
    for problem in problems:
        alike.setdefault((problem.code, problem.message), []).append(problem)
    return [
        replace(first, notes=(*first.notes, f"and {len(others)} more alike")) if others else first
        for first, *others in alike.values()
    ]


def _cost(target: Target, seen: OpView, name: str, problems: list[Diagnostic]) -> OpCost | None:
    """Return a cost of op or value `name`; what is wrong with it goes to `problems`."""
    try:
        return checked_cost(target, seen, name)
    except CompileError as error:
        problems.extend(error.diagnostics)
        return _NOTHING


_NOTHING = OpCost(np.zeros((ROWS, ROWS)), (), 1.0, False)
"""Stands for a cost that is wrong until all have been looked at."""


def _cannot_run(cloud: Target, op: Op) -> Diagnostic:
    message = f"cloud target {cloud.name!r} cannot run {op.kind}"
    return Diagnostic("AS421", message, f'op "{op.name}" ({op.loc})', hint="--cloud tpu, or another target that runs every op of the model")


def _float_latency(cost: OpCost) -> tuple[float, str]:
    """Return the latency with everything in float, in seconds, and what it is bound by."""
    rows, mac_rows = (FLOAT_ROW,) * len(cost.traffic_bytes), (FLOAT_ROW, FLOAT_ROW)
    return cost.latency_s(rows, mac_rows), cost.bound_by(rows, mac_rows)


def _edge_memory(edge: Target, graph: Graph, costs: list[OpCost | None]) -> tuple[float, bool]:
    """Return the edge's bandwidth and overlap, which must be the same for every op; 1 byte/s stands where it runs no op at all."""
    first: tuple[float, bool] | None = None
    for op, cost in zip(graph.ops, costs, strict=True):
        if cost is None:
            continue
        this = (cost.bandwidth_bytes_per_s, cost.overlap)
        if first is not None and this != first:
            message = f"target {edge.name!r} gives op-dependent bandwidth or overlap: {first} and {this}"
            raise CompileError(Diagnostic("AS422", message, f'op "{op.name}"', hint="an edge target has one memory: use one of each"))
        first = this
    return first if first is not None else (1.0, False)
