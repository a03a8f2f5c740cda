"""Values, activation groups and weights of the planning problem, with the bits that each may have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from autosplitc.ir import CompileError, Diagnostic, DType, Graph, at_batch_one, constant_values, read_array
from autosplitc.targets import Target

from ..facts import Liveness, LiveRange, Request, Sensitivity, WireCosts
from ..from_bytes import input_widths
from ..given_codes import GivenCodes, codes_behind, dequantised, given_codes
from ..quantize.errors import FORBIDDEN_NSR
from ..roles import Roles
from .error_tables import LIMIT_UNITS, ErrorScale, error_rows, wire_rows
from .problem import NONE, Group, Value, Weight

DEFAULT_WIRE_BITS = (1, 2, 4, 6, 8)
"""Bits that the wire may have besides those of the edge's activations."""

CONTAINER_BITS = (2, 2, 4, 4, 8, 6, 8, 8)
"""Bits that a weight of 1..8 bits takes in the edge's model file: INT2 and INT4 initializers, 6 as an INT4 and an INT2 plane, INT8."""

SCALE_BITS = 32
"""Bits of one scale; weights have one for each output channel."""

FILE_BITS_PER_CHANNEL = 72
"""Bits of the file for each output channel: the weights' scale and zero point, and the scale of the bias."""

FILE_BITS_PER_WEIGHT = 8 * 1100
"""Estimate of what the nodes that read one weight constant, with their names, add to the model file."""
Table: TypeAlias = tuple[tuple[int, ...], ...]


def allowed_bits(what: str, flag: str, asked: tuple[int, ...] | None, target: str, takes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the widths to choose from, ascending. Raises CompileError (AS151) where the target does not take one that was asked for."""
    wrong = sorted(set(asked or ()) - set(takes))
    if wrong:
        message = f"target {target!r} does not take {what} of {wrong[0]} bits"
        taken = ",".join(map(str, takes))
        raise CompileError(Diagnostic("AS151", message, notes=(f"it takes {taken}",), hint=f"{flag} {taken}"))
    return tuple(sorted(asked)) if asked else takes


@dataclass(frozen=True)
class Tensors:
    """Reads the facts about tensors of one graph. wires: what packing and unpacking take, by value; all others take no time."""

    graph: Graph
    roles: Roles
    request: Request
    sensitivity: Sensitivity
    liveness: Liveness
    edge: Target
    scale: ErrorScale
    wires: Mapping[str, WireCosts]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of every value of the problem by name."""
        return {v.value: i for i, v in enumerate(self.liveness.values)}

    @cached_property
    def given(self) -> GivenCodes:
        """Values held as codes of the model."""
        return given_codes(self.graph, self.roles.coded)

    @cached_property
    def _dequantised(self) -> frozenset[str]:
        return dequantised(self.graph)

    @cached_property
    def _constant(self) -> frozenset[str]:
        return constant_values(self.graph)

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """Constants held as codes."""
        request = self.request
        allowed = allowed_bits("weights", "--weight-bits", request.weight_bits, self.edge.name, self.edge.weight_bits)
        found: list[Weight] = []
        for name, axis in self.roles.weight_axis.items():
            dims = self.graph.type_of(name).dims
            bits = self._admitted(allowed, self._nsr[name], request.weight_bits)
            file_bits = FILE_BITS_PER_CHANNEL * dims[axis] + FILE_BITS_PER_WEIGHT
            found.append(Weight(name, math.prod(dims), bits, self._units(name), SCALE_BITS * dims[axis], CONTAINER_BITS, file_bits))
        return tuple(found)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Activation quantisers. A graph input's has `input_bits` and no error: it is the same for every plan.

        So has what a picture's bytes are scaled to; where the codes are the bytes it has 8 bits. What no op reads, the network's outputs,
        has the most bits that the edge takes: fewer would spare the arithmetic nothing, and cost the answer its digits.
        """
        request = self.request
        allowed = allowed_bits("activations", "--act-bits", request.act_bits, self.edge.name, self.edge.act_bits)
        roots = dict.fromkeys(self.roles.root[name] for name in self.index if name in self.roles.root)
        return tuple(self._group(root, allowed) for root in roots)

    def _group(self, root: str, allowed: tuple[int, ...]) -> Group:
        width = self._input_widths.get(root)
        if width is not None:
            return Group(root, (width,), (0,) * 8)
        if root in self._leaving:
            allowed = self.edge.act_bits[-1:]
        return Group(root, self._admitted(allowed, self._nsr[root], self.request.act_bits), self._units(root))

    @cached_property
    def _leaving(self) -> frozenset[str]:
        """Roots whose codes are graph outputs and are read by nothing but ops that pass them on."""
        root = self.roles.root
        read = {root[i] for op in self.graph.ops for i in op.inputs if i in root and root.get(op.name) != root[i]}
        return frozenset(root[name] for name in self.graph.outputs if name in root) - read

    @cached_property
    def _input_widths(self) -> Mapping[str, int]:
        return input_widths(self.graph, self.request.input_bits)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Values that ops read or make."""
        group = {g.name: i for i, g in enumerate(self.groups)}
        return tuple(self._value(life, group) for life in self.liveness.values)

    def _value(self, life: LiveRange, group: Mapping[str, int]) -> Value:
        name = life.value
        type_ = at_batch_one(self.graph.type_of(name))
        root = self.roles.root.get(name, "")
        given = (life.alias_of or name) in self.graph.input and name not in self._dequantised
        raw = type_.dtype is DType.F32 and (given or (root or name) in self._input_widths)
        wire_bits: tuple[int, ...] = ()
        wire_error: Table = ()
        wire_noise: Table = ()
        if raw:
            wire_bits = (self._input_widths.get(root or name, self.request.input_bits),)
        elif type_.dtype is DType.F32:
            wire_error = self._wire_errors.get(name) or self._wire_errors.get(root, ())
            wire_bits = self._wire_bits if wire_error else ()
            wire_error = self._without_resending(name, wire_error)
            wire_noise = self._without_resending(name, self._wire_noise.get(name) or self._wire_noise.get(root, ()))
        free = WireCosts(name, (), ())
        packing = self.wires.get(name, free) if wire_bits else free
        return Value(
            name=name,
            elements=life.elements if type_.dtype.bits else None,
            width_bits=type_.dtype.bits,
            group=group.get(root, NONE),
            alias_of=self.index[life.alias_of] if life.alias_of else NONE,
            is_input=name in self.graph.input,
            is_output=name in self.graph.outputs,
            raw=raw,
            wire_bits=wire_bits,
            wire_error=wire_error,
            wire_noise=wire_noise,
            given_bits=self.given.bits.get(name, 0),
            memory_bits=self.given.memory_bits.get(name, NONE),
            constant=name in self._constant,
            pack_ns=tuple(map(nanoseconds, packing.pack_s)),
            unpack_ns=tuple(map(nanoseconds, packing.unpack_s)),
            pack_measured=packing.pack_measured,
            unpack_measured=packing.unpack_measured,
        )

    def _without_resending(self, name: str, errors: Table) -> Table:
        """Return the errors of a wire: none at the bits of codes that the model dequantises, since those codes are what is sent then."""
        codes = codes_behind(self.graph, name)
        if not codes:
            return errors
        exact = self.graph.type_of(codes).dtype.bits - 1
        return tuple((*row[:exact], 0, *row[exact + 1 :]) for row in errors)

    @cached_property
    def _wire_bits(self) -> tuple[int, ...]:
        asked = self.request.wire_bits
        return tuple(sorted(asked or {*DEFAULT_WIRE_BITS, *self.edge.act_bits}))

    @cached_property
    def _nsr(self) -> Mapping[str, tuple[float, ...]]:
        return {e.tensor: e.nsr for e in (*self.sensitivity.weights, *self.sensitivity.activations)}

    @cached_property
    def _errors(self) -> Mapping[str, tuple[float, ...]]:
        """What is summed, by tensor."""
        return error_rows(self.sensitivity)

    @cached_property
    def _wire_errors(self) -> Mapping[str, Table]:
        """Units that a wire adds, [held at 1..8 bits or float][wire of 1..8 bits], by activation."""
        if self.sensitivity.measure == "sqnr":
            return {name: tuple(tuple(map(self.scale.units, row)) for row in table) for name, table in self._wire_nsr.items()}
        return {name: tuple(tuple(map(self.scale.units, row)) for row in wire_rows(self._errors[name])) for name in self._wire_nsr}

    @cached_property
    def _wire_noise(self) -> Mapping[str, Table]:
        """The same in units of the limit on single tensors; empty where there is none, or those are what is summed."""
        if self.scale.tensor_unit is None or self.sensitivity.measure == "sqnr":
            return {}
        return {name: tuple(tuple(map(self.scale.noise, row)) for row in table) for name, table in self._wire_nsr.items()}

    @cached_property
    def _wire_nsr(self) -> Mapping[str, tuple[tuple[float, ...], ...]]:
        table = read_array(self.sensitivity.wire_nsr)
        return {
            e.tensor: tuple(map(tuple, block.tolist()))
            for e, block in zip(self.sensitivity.activations, table, strict=True)
            if min(e.nsr) < FORBIDDEN_NSR
        }

    def _units(self, name: str) -> tuple[int, ...]:
        return tuple(map(self.scale.units, self._errors[name]))

    def _admitted(self, bits: tuple[int, ...], nsr: tuple[float, ...], asked: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return the widths at which a tensor keeps the limit on its own noise.

        Where none does it is the widest, where the user fixed one it is that; empty for a tensor that cannot be quantised.
        """
        bits = tuple(b for b in bits if nsr[b - 1] < FORBIDDEN_NSR)
        if self.scale.tensor_unit is None or (asked is not None and len(asked) == 1):
            return bits
        return tuple(b for b in bits if self.scale.noise(nsr[b - 1]) <= LIMIT_UNITS) or bits[-1:]


def nanoseconds(seconds: float) -> int:
    """Return a time in whole ns."""
    return round(seconds * 1e9)
