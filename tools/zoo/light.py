"""The onnx package's nine light models with seeded weights in place of their constant ones.

The package's backend tests ship real topologies whose weights are ConstantOfShape nodes of one value each, so that every
channel computes the same and the output hardly knows the input. Here each such node becomes an initializer of the same name:
He normal (He et al. 2015, arXiv:1502.01852) for convolutions and matrix products, near identity for normalisations. Small
weights that the package kept as initializers are drawn anew too, since they belong to weights that are gone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

from .nodes import IR_VERSION, save

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

SEED = 0
LOGIT_DEVIATION = 2.0
"""Standard deviation over the classes to which the classifier is scaled, so that Softmax neither saturates nor flattens."""

SMALLEST_CHANGE = 1e-3
"""Smallest change of the output between two inputs, relative in the 2-norm, at which it counts as depending on the input."""

Weights = NDArray[np.float32]


def package_model(topology: str) -> Path:
    """Return the path of `light_<topology>.onnx` in the installed onnx package; raise `CompileError` AS687 when it lacks it."""
    import onnx

    path = Path(str(onnx.__file__)).parent / "backend" / "test" / "data" / "light" / f"light_{topology}.onnx"
    if not path.is_file():
        note = f"onnx {onnx.__version__}"
        raise CompileError(Diagnostic("AS687", f"the onnx package has no light_{topology}.onnx", location=str(path.parent), notes=(note,)))
    return path


def write_light(topology: str, properties: Mapping[str, str], path: Path) -> None:
    """Write the seeded model; names of values and nodes stay.

    Raises `CompileError` AS687 when the package lacks the topology, AS688 when the output does not depend on the input.
    """
    import onnx

    model = onnx.load_model_from_string(package_model(topology).read_bytes())
    seed_weights(model, SEED)
    onnx.helper.set_model_props(model, dict(properties))
    _scale_classifier(model, path)
    save(model, path)
    check_dependence(path, topology)


def seed_weights(model: ModelProto, seed: int) -> None:
    """Replace, in place, each float weight by a seeded one of the same name; graph inputs are then the data alone."""
    from onnx import numpy_helper

    graph = model.graph
    readings = _readings(graph)
    shapes = {name: shape for name, shape in _weight_shapes(graph).items() if name in readings}
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape" or node.output[0] not in shapes]
    read = {name for node in nodes for name in node.input}
    seeded = [numpy_helper.from_array(_draw(shape, *readings[name], _generator(name, seed)), name) for name, shape in shapes.items()]
    stored = [tensor for tensor in graph.initializer if tensor.name in read and tensor.name not in shapes] + seeded
    stored_names = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored_names]
    model.ir_version = max(model.ir_version, IR_VERSION)  # before version 4 an initializer had to be an input too
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(nodes)
    graph.initializer.extend(stored)
    graph.input.extend(inputs)


def check_dependence(path: Path, name: str) -> None:
    """Run the model on two seeded inputs; raise `CompileError` AS688 unless the output is finite and tells them apart."""
    first, second = (_run(path, seed)[0] for seed in (SEED, SEED + 1))
    change = float(np.linalg.norm(first - second) / np.linalg.norm(first))
    if not change >= SMALLEST_CHANGE:
        note = f"relative change of the output between two inputs: {change:.2g}, wanted: {SMALLEST_CHANGE:g}"
        raise CompileError(Diagnostic("AS688", f"the output of {name} does not depend on its input", location=name, notes=(note,)))


def _scale_classifier(model: ModelProto, path: Path) -> None:
    """Scale the last weight by the power of two that brings the logits near `LOGIT_DEVIATION`; uses `path` as scratch.

    A power of two, so that the weights do not depend on how a machine rounds the run that measures the logits.
    """
    from onnx import helper, numpy_helper

    producers = {result: node for node in model.graph.node for result in node.output}
    last = producers[model.graph.output[0].name]
    while last.op_type not in ("Gemm", "Conv"):
        last = producers[last.input[0]]
    model.graph.output.append(helper.make_empty_tensor_value_info(last.output[0]))
    save(model, path)
    del model.graph.output[-1]
    exponent = round(math.log2(LOGIT_DEVIATION / float(_run(path, SEED)[-1].std())))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    name = last.input[1] if last.input[1] in stored else producers[last.input[1]].input[0]
    stored[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored[name]) * np.float32(2.0**exponent), name))


def _run(path: Path, seed: int) -> list[Weights]:
    """Return the outputs for a standard normal input."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = tuple(size if isinstance(size, int) else 1 for size in given.shape)
    data = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return session.run(None, {given.name: data})


def _readings(graph: GraphProto) -> dict[str, tuple[NodeProto, int]]:
    """Return for each value the node, and the position there, that first computes with it; reshapes are looked through."""
    first: dict[str, tuple[NodeProto, int]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            first.setdefault(name, (node, position))
    for node in reversed(graph.node):
        if node.op_type in ("Reshape", "Unsqueeze") and node.output[0] in first:
            first[node.input[0]] = first[node.output[0]]
    return first


def _weight_shapes(graph: GraphProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all float weights: results of ConstantOfShape and initializers."""
    import onnx
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {name: tuple(tensor.dims) for name, tensor in stored.items() if tensor.data_type == onnx.TensorProto.FLOAT}
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in stored:
            shapes[node.output[0]] = tuple(int(size) for size in numpy_helper.to_array(stored[node.input[0]]))
    return shapes


def _draw(shape: tuple[int, ...], reader: NodeProto, position: int, generator: np.random.Generator) -> Weights:
    normal = generator.standard_normal(shape, dtype=np.float32)
    match reader.op_type, position:
        case "Conv", 1:
            return normal * np.float32(math.sqrt(2.0 / math.prod(shape[1:])))
        case "Gemm", 1:
            transposed = any(attribute.name == "transB" and attribute.i for attribute in reader.attribute)
            return normal * np.float32(math.sqrt(2.0 / (shape[-1] if transposed else shape[0])))
        case ("BatchNormalization", 1) | ("Mul", _):
            return np.float32(1.0) + np.float32(0.1) * normal
        case "BatchNormalization", 4:
            return np.exp(np.float32(0.1) * normal)
        case _:
            return np.float32(0.1) * normal


def _generator(name: str, seed: int) -> np.random.Generator:
    """Return a stream of its own for each weight, so that none depends on the order of the others."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")])
