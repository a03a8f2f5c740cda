"""Builds the planning problem of a module: facts and targets in, integers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from autosplitc.ir import Const, Graph, Module, Op, constant_values, op_row, read_array
from autosplitc.targets import Network

from ..base import Env
from ..facts import Costs, Liveness, OpCosts, Request, Sensitivity, WireSizes
from ..given_codes import GivenCodes
from ..roles import Roles, roles
from .coded import with_sizes
from .error_tables import LIMIT_UNITS, error_scale
from .problem import NONE, FixedConst, Limits, Link, Operand, OpItem, Problem
from .tensors import Tensors, nanoseconds

FILE_BITS_PER_OP = 8 * 400
"""Estimate of what an edge op's nodes (itself, its activation's quantisers, their names) add to the model file."""


def build(module: Module, env: Env) -> Problem:
    """Return the planning problem of `main`.

    Raises CompileError (AS151) where the user asks for bits that the edge target does not take.
    """
    request, graph, costs = module.fact(Request), module.main, module.fact(Costs)
    found = roles(graph, request.keep_float)
    sensitivity = module.fact(Sensitivity)
    scale = error_scale(request, sensitivity, env.edge)
    wires = {w.value: w for w in costs.wires}
    tensors = Tensors(graph, found, request, sensitivity, module.fact(Liveness), env.edge, scale, wires)
    fixed = [c for c in graph.consts if c.name not in found.weight_axis]
    weight_index = {w.name: i for i, w in enumerate(tensors.weights)}
    fixed_index = {c.name: i for i, c in enumerate(fixed)}
    table = _OpTable(graph, found, tensors.given, costs, tensors.index, weight_index, fixed_index, constant_values(graph))
    sizes, link = module.get(WireSizes), link_of(env.network)
    return Problem(
        values=with_sizes(tensors.values, sizes.sizes if sizes is not None else (), link),
        groups=tensors.groups,
        weights=tensors.weights,
        constants=tuple(FixedConst(c.name, _memory_bits(c)) for c in fixed),
        ops=table.items(),
        link=link,
        limits=_limits(request, env, scale.total, None if scale.tensor_unit is None else LIMIT_UNITS),
        overlap=costs.edge_overlap,
        packed=env.edge.resident == "packed",
        constants_in_storage=env.edge.resident == "storage",
        return_result=request.return_result,
        wire_exempt=request.wire_bits is not None and len(request.wire_bits) == 1,
        error_unit=scale.unit,
    )


def ram_bytes(request: Request, env: Env) -> int:
    """Return the edge's memory for weights and working set: what the user says, or the target's."""
    return env.edge.ram_bytes if request.edge_ram_bytes is None else request.edge_ram_bytes


def _limits(request: Request, env: Env, error: int | None, tensor_error: int | None) -> Limits:
    storage = env.edge.storage_bytes if request.edge_storage_bytes is None else request.edge_storage_bytes
    return Limits(
        ram_bits=8 * ram_bytes(request, env),
        storage_bits=None if storage is None else 8 * storage,
        error=error,
        tensor_error=tensor_error,
        latency_ns=None if request.max_latency_s is None else nanoseconds(request.max_latency_s),
    )


def link_of(network: Network) -> Link:
    """Return a network in the problem's integers."""
    return Link(
        rate_bps=max(1, round(network.rate_bps)),
        fixed_ns=nanoseconds(network.message_s),
        capacity_bytes=network.packet_bytes - network.header_bytes if network.packet_bytes else 0,
        overhead_bytes=network.overhead_bytes,
        packet_ns=nanoseconds(network.packet_s),
    )


def _memory_bits(const: Const) -> int:
    """Return the memory of a constant at its own width; strings take their bytes."""
    return (const.type.elements or 0) * const.type.dtype.bits or 8 * const.blob.nbytes


@dataclass(frozen=True)
class _OpTable:
    """Turns ops and their costs into items of the problem.

    A quantiser of the model costs nothing where its codes are kept. In the cloud what depends on constants alone is made once, ahead of all
    samples, so it costs nothing there, on whichever side of the cut it stands.
    """

    graph: Graph
    roles: Roles
    given: GivenCodes
    costs: Costs
    values: Mapping[str, int]
    weights: Mapping[str, int]
    constants: Mapping[str, int]
    constant: frozenset[str]

    def items(self) -> tuple[OpItem, ...]:
        """Return the ops in graph order."""
        compute = read_array(self.costs.compute_s)
        traffic = read_array(self.costs.traffic_bytes) / self.costs.edge_bandwidth_bytes_per_s
        return tuple(
            self._item(op, cost, compute[i], traffic[cost.first_traffic : cost.first_traffic + cost.operands])
            for i, (op, cost) in enumerate(zip(self.graph.ops, self.costs.ops, strict=True))
        )

    def _item(self, op: Op, cost: OpCosts, compute_s: NDArray[Any], traffic_s: NDArray[Any]) -> OpItem:
        spent = 0.0 if op.name in self.given.fused else 1.0
        return OpItem(
            name=op.name,
            inputs=tuple(self._operand(name) for name in op.inputs),
            results=tuple(self._operand(name) for name in op.results),
            on_codes=op.name in self.roles.quantised,
            mac=self._mac(op),
            compute_ns=_ns_rows(compute_s * spent),
            traffic_ns=_ns_rows(traffic_s * spent),
            cloud_ns=0 if op.name in self.constant else nanoseconds(cost.cloud_s),
            constants=tuple(dict.fromkeys(self.constants[name] for name in op.inputs if name in self.constants)),
            refusal="" if cost.edge_ok else f"the target does not take {op.kind}",
            file_bits=FILE_BITS_PER_OP,
            measured_rows=cost.edge_measured if spent else (),
            cloud_measured=cost.cloud_measured,
        )

    def _operand(self, name: str) -> Operand:
        return Operand(self.values.get(name, NONE), self.weights.get(name, NONE))

    def _mac(self, op: Op) -> tuple[int, int]:
        """Inputs whose bits a compute table depends on: codes of ours or of the model; other inputs stand in the float row."""
        quant = op_row(op.kind).quant
        if op.name in self.roles.quantised and quant == "mac":
            return 0, 1
        if op.inputs and (op.name in self.roles.quantised or quant == "same"):
            return 0, NONE
        given = [i if name in self.given.bits else NONE for i, name in enumerate(op.inputs[: 2 if quant == "mac" else 1])]
        return (*given, NONE, NONE)[0], (*given, NONE, NONE)[1]


def _ns_rows(table_s: NDArray[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(nanoseconds(x) for x in row) for row in table_s.tolist())
