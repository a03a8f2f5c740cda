"""Types of every value of an ONNX model, by onnx's shape inference, with the batch size found by comparing two batches.

Inference runs at batch 1 and at batch 2. A size k at batch 1 that is 2k at batch 2 is a multiple of the batch; a size that is equal in both
does not depend on it; any other is known only at run time. This sees through shape arithmetic that symbolic inference gives up on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .diagnostics import CompileError, Diagnostic, did_you_mean
from .graph import Graph
from .onnx_prepare import subgraphs
from .onnx_types import tensor_type
from .types import Dim, DType, TensorType

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

DEFAULT_BATCH = "N"


@dataclass(frozen=True)
class Inferred:
    """The model after inference at batch 1 and at batch 2 (the same object where no input has a batch), and the batch's name."""

    at_one: ModelProto
    at_two: ModelProto
    batch: str | None
    symbols: frozenset[str]


def fix_inputs(proto: ModelProto, input_shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Write given shapes into the model's inputs.

    Raises CompileError: AS302 no such input, AS303 the shape contradicts what the model says.
    """
    inputs = {value.name: value for value in proto.graph.input}
    problems: list[Diagnostic] = []
    for name, shape in input_shapes.items():
        if name not in inputs:
            problems.append(Diagnostic("AS302", f'the model has no input "{name}"', source, hint=did_you_mean(name, inputs)))
            continue
        declared = tensor_type(inputs[name].type)
        if declared.wraps or any(size <= 0 for size in shape) or not _fits(declared, shape):
            message = f"the shape {_shape_text(shape)} given for input '{name}' does not fit {declared}"
            problems.append(Diagnostic("AS303", message, f'{source}: input "{name}"'))
            continue
        _write_shape(inputs[name], shape)
    if problems:
        raise CompileError(problems)


def _fits(declared: TensorType, shape: tuple[int, ...]) -> bool:
    if declared.shape is None:
        return True
    same_rank = len(declared.shape) == len(shape)
    return same_rank and all(not isinstance(d, int) or d == size for d, size in zip(declared.shape, shape, strict=True))


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _write_shape(value: ValueInfoProto, shape: tuple[Dim, ...]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    value.type.tensor_type.shape.SetInParent()
    for size in shape:
        dim = dims.add()
        if isinstance(size, int):
            dim.dim_value = size
        elif size is not None:
            dim.dim_param = size


def infer(proto: ModelProto, source: str, *, trust: bool) -> Inferred:
    """Infer the types of all values; `trust`: what the model says about results holds where no input has a batch.

    Raises CompileError (AS203) where inference finds types that contradict each other.
    """
    symbols = _other_symbols(proto)
    leading = [value for value in proto.graph.input if _has_batch(value, symbols)]
    if not leading:
        at_one = _infer_at(proto, frozenset(), 1, source, trust=trust)
        return Inferred(at_one, at_one, None, symbols)
    named = next((t for t in (_leading(v) for v in leading) if t is not None), DEFAULT_BATCH)
    batch = named if re.fullmatch(r"[A-Za-z_]\w*", named) else DEFAULT_BATCH
    while batch in symbols:
        batch += "_"
    names = frozenset(value.name for value in leading)
    at_one, at_two = (_infer_at(proto, names, size, source, trust=False) for size in (1, 2))
    return Inferred(at_one, at_two, batch, symbols)


def _leading(value: ValueInfoProto) -> str | None:
    shape = tensor_type(value.type).shape
    return shape[0] if shape and isinstance(shape[0], str) else None


def _other_symbols(proto: ModelProto) -> frozenset[str]:
    """Names of symbolic sizes of inputs that are no batch: those that stand elsewhere than in front."""
    found: set[str] = set()
    for value in proto.graph.input:
        type_ = tensor_type(value.type)
        found.update(d for d in (type_.shape or ())[0 if type_.wraps else 1 :] if isinstance(d, str))
    return frozenset(found)


def _has_batch(value: ValueInfoProto, other: frozenset[str]) -> bool:
    type_ = tensor_type(value.type)
    return bool(type_.shape) and not type_.wraps and not isinstance(type_.shape[0], int) and type_.shape[0] not in other


def _infer_at(proto: ModelProto, batched: frozenset[str], size: int, source: str, *, trust: bool) -> ModelProto:
    """Infer with the leading size of the inputs in `batched` set."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(proto)
    symbols: set[Dim] = set()
    for value in copy.graph.input:
        if value.name in batched:
            first, *rest = tensor_type(value.type).shape or (None,)
            symbols.add(first)
            _write_shape(value, (size, *rest))
    _forget_types(copy.graph)
    for value in (*copy.graph.value_info, *copy.graph.output):
        type_ = tensor_type(value.type)
        if type_.shape and not type_.wraps:
            _write_shape(value, tuple(size if isinstance(d, str) and d in symbols else d for d in type_.shape))
    found = _run_inference(copy, source)
    if trust and _restate(copy.graph, proto.graph, found.graph):
        return _run_inference(copy, source)
    return found


def _run_inference(proto: ModelProto, source: str) -> ModelProto:
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        first = (str(error).strip().splitlines() or ["types cannot be inferred"])[0][:300]
        raise CompileError(Diagnostic("AS203", f"the model is not valid: {first}", source)) from None


def _restate(graph: GraphProto, stated: GraphProto, found: GraphProto) -> bool:
    """Write into `graph` what `stated` says about shapes that inference (`found`) does not know, and return whether there is any."""
    static = {value.name for value in (*found.value_info, *found.output) if tensor_type(value.type).is_static}
    beyond = {v.name: v for v in (*stated.value_info, *stated.output) if v.name not in static and tensor_type(v.type).is_static}
    for value in graph.output:
        if value.name in beyond:
            value.type.CopyFrom(beyond[value.name].type)
    outputs = {value.name for value in graph.output}
    graph.value_info.extend(value for name, value in beyond.items() if name not in outputs)
    return bool(beyond)


def _forget_types(graph: GraphProto) -> None:
    """Drop what the model says about results of ONNX's own ops: it may hold for other inputs, and inference does not correct it."""
    keep = {name for node in graph.node if node.domain for name in node.output}
    made = {name for node in graph.node for name in node.output} - keep
    kept = [value for value in graph.value_info if value.name in keep]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for value in graph.output:
        if value.name in made and value.type.WhichOneof("value") == "tensor_type":
            value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for inner in subgraphs(node):
            _forget_types(inner)


def graph_types(one: GraphProto, two: GraphProto, inferred: Inferred) -> dict[str, TensorType]:
    """Return the type of every value of a graph that inference could type, by name."""
    at_two = {value.name: tensor_type(value.type) for value in (*two.input, *two.value_info, *two.output)}
    found: dict[str, TensorType] = {}
    for value in (*one.input, *one.value_info, *one.output):
        type_ = tensor_type(value.type)
        if type_.dtype is not DType.UNKNOWN or value.name not in found:
            found[value.name] = _merged(type_, at_two.get(value.name, type_), inferred)
    return found


def _merged(one: TensorType, two: TensorType, inferred: Inferred) -> TensorType:
    if one.shape is None or two.shape is None or len(one.shape) != len(two.shape):
        return TensorType(one.dtype, None, one.wraps)
    if one.wraps:
        sizes = tuple(a if isinstance(a, int) and a == b else None for a, b in zip(one.shape, two.shape, strict=True))
        return TensorType(one.dtype, sizes, one.wraps)
    return TensorType(one.dtype, tuple(_dim(a, b, inferred) for a, b in zip(one.shape, two.shape, strict=True)), one.wraps)


def _dim(one: Dim, two: Dim, inferred: Inferred) -> Dim:
    if isinstance(one, int) and isinstance(two, int):
        if one == two:
            return one
        if two == 2 * one and inferred.batch is not None:
            return inferred.batch if one == 1 else f"{one}*{inferred.batch}"
        return None
    return one if one == two and one in inferred.symbols else None


def unknown_input_dims(graph: Graph, source: str = "") -> tuple[Diagnostic, ...]:
    """Return a diagnostic (AS301) for every input whose size is not known apart from the batch, with a hint to paste."""
    batches = {v.type.shape[0] for v in graph.inputs if v.type.shape and isinstance(v.type.shape[0], str)}
    elsewhere = {d for v in graph.inputs for d in (v.type.shape or ())[1:]}
    batch = batches - elsewhere
    found: list[Diagnostic] = []
    for value in graph.inputs:
        shape = value.type.shape
        if value.type.wraps or (shape is not None and all(isinstance(d, int) or (i == 0 and d in batch) for i, d in enumerate(shape))):
            continue
        text = str(value.type).removeprefix(value.type.dtype)
        location = f'{source}: input "{value.name}"' if source else f'input "{value.name}"'
        hint = f"--input-shape {value.name}:{_suggestion(shape)}"
        found.append(Diagnostic("AS301", f"the size of input '{value.name}' is not known: {text}", location, hint=hint))
    return tuple(found)


def _suggestion(shape: tuple[Dim, ...] | None) -> str:
    """Return an example shape: 1 for the batch, 224 for the sides of a picture, 128 for other sizes."""
    if shape is None:
        return "1x3x224x224"
    side = 224 if len(shape) == 4 else 128
    channels = 3 if len(shape) == 4 and not any(isinstance(d, int) and i > 1 for i, d in enumerate(shape)) else side
    sizes = [d if isinstance(d, int) else (1, channels)[i] if i < 2 else side for i, d in enumerate(shape)]
    return _shape_text(tuple(sizes))
