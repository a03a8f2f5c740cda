"""Codes that a model brings along: float values around its own QuantizeLinear and DequantizeLinear that need not be held as floats.

Integer kernels read codes where the model dequantises and write codes where it quantises (ONNX's QDQ form means just that). So such a
value takes the bits of its codes, shares their memory, and the quantiser itself costs nothing. Scales and bits are the model's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from autosplitc.ir import DType, Graph, Op, op_row

from .from_bytes import byte_values

MAX_BITS = 8
"""Widest codes that integer kernels compute on; wider ones (biases) are dequantised."""


@dataclass(frozen=True)
class GivenCodes:
    """Float values that are held as codes of the model.

    bits: width of the codes by value. memory_bits: what an element takes in memory of its own: 0 where the codes are a constant's.
    memory_of: the value whose memory a value shares, for what quantisers between codes and held values make. fused: those quantisers.
    Values whose codes are a picture's bytes share the memory of those, and the arithmetic between is fused likewise.
    """

    bits: Mapping[str, int]
    memory_bits: Mapping[str, int]
    memory_of: Mapping[str, str]
    fused: frozenset[str]


def dequantised(graph: Graph) -> frozenset[str]:
    """Return the values that the model dequantises, through any number of ops that pass codes on."""
    found: set[str] = set()
    for op in graph.ops:
        if op.kind == "dequantize_linear" or (op_row(op.kind).quant == "same" and op.inputs[0] in found):
            found.update(r for r in op.results if r)
    return frozenset(found)


def codes_behind(graph: Graph, value: str) -> str:
    """Return the codes of at most 8 bits that the model dequantises to make a value, with constant scales; "" where it does not."""
    maker = graph.producer.get(value)
    if maker is None or maker.kind != "dequantize_linear" or graph.is_const(maker.inputs[0]):
        return ""
    fixed = all(graph.is_const(name) for name in maker.inputs[1:] if name)
    return maker.inputs[0] if fixed and _code_bits(graph, maker.inputs[0]) else ""


def given_codes(graph: Graph, coded: Collection[str]) -> GivenCodes:
    """Return the float values held as codes of the model. Values in `coded` are held as codes of ours and are none of them.

    A dequantised value is held as the codes that it is made of where every reader is of a known kind (what an op that is kept verbatim does
    with its inputs is not known); any other value as the codes that its one reader, a quantiser, makes of it.
    """
    floats = frozenset(name for name, t in graph.types.items() if t.dtype.is_float and name not in coded)
    from_codes = dequantised(graph)
    barred = _read_as_floats(graph)
    asked = _asked_bits(graph, floats - from_codes)
    bits = {v.name: asked[v.name] for v in graph.inputs if v.name in asked}
    memory_bits = dict(bits)
    memory_of: dict[str, str] = {}
    fused: set[str] = set()
    for made in byte_values(graph).values():
        if made.name in coded and made.bounds is not None:
            fused.update(op.name for op in made.ops)
            memory_of.update((op.result, made.codes) for op in made.ops)
    for op in graph.ops:
        source = op.inputs[0] if op.inputs else ""
        for result in op.results:
            if result not in floats:
                continue
            if result not in from_codes:
                held = asked.get(result, 0) if not op.kind.startswith("onnx.") else 0
            elif result in barred or result not in graph.users:
                held = 0
            else:
                held = _code_bits(graph, source) if op.kind == "dequantize_linear" else bits.get(source, 0)
            if held:
                bits[result] = memory_bits[result] = held
        if op.kind == "dequantize_linear" and op.results[0] in bits:
            fused.add(op.name)
            if graph.is_const(source):
                memory_bits[op.results[0]] = 0
            else:
                memory_of[op.results[0]] = source
        elif op.kind == "quantize_linear" and source in bits and source not in from_codes:
            fused.add(op.name)
            memory_of[op.results[0]] = source
    return GivenCodes(bits, memory_bits, memory_of, frozenset(fused))


def _code_bits(graph: Graph, name: str) -> int:
    """Return the bits of integer codes that kernels compute on, 0 for anything else."""
    dtype = graph.type_of(name).dtype
    return dtype.bits if dtype is not DType.BOOL and dtype[0] in "ui" and dtype.bits <= MAX_BITS else 0


def _read_as_floats(graph: Graph) -> frozenset[str]:
    """Values that something needs as floats: who takes the outputs, and ops kept verbatim, also behind ops that pass codes on."""
    found = set(graph.outputs)
    for op in reversed(graph.ops):
        passes = op_row(op.kind).quant == "same"
        if op.kind.startswith("onnx.") or (passes and any(r in found or r not in graph.users for r in op.results if r)):
            found.update(op.inputs)
    return frozenset(found)


def _asked_bits(graph: Graph, floats: Collection[str]) -> dict[str, int]:
    """Return the bits that quantisers make of values that nothing else reads, directly or through ops that pass codes on."""
    found: dict[str, int] = {}
    for op in reversed(graph.ops):
        source = op.inputs[0] if op.inputs else ""
        alone = source in floats and source not in graph.outputs and graph.users[source] == (op,) and op.inputs.count(source) == 1
        if alone:
            bits = _asked_by(graph, op, found)
            if bits:
                found[source] = bits
    return found


def _asked_by(graph: Graph, op: Op, found: Mapping[str, int]) -> int:
    if op.kind == "quantize_linear":
        return _code_bits(graph, op.results[0])
    return found.get(op.results[0], 0) if op_row(op.kind).quant == "same" and len(op.results) == 1 else 0
