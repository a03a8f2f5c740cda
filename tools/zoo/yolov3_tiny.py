"""YOLOv3-tiny for COCO from darknet's files (Redmon and Farhadi 2018, arXiv:1804.02767).

8,858,734 parameters. Input: RGB in 0..1, letterboxed to 416 x 416. The two heads come out raw, three anchors times (x, y, w, h,
objectness, 80 classes) in the channel axis; decoding stays with the caller, who finds the anchors and each head's mask in the
model's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .darknet import Section, WeightReader, cfg_error, parse_cfg, weights_error
from .nodes import NodeRecorder

if TYPE_CHECKING:
    from onnx import ModelProto

EPSILON = 1e-6
"""darknet `src/blas.c: normalize_cpu` adds it to the deviation, ONNX to the variance; the variances are far larger."""

LEAKY_SLOPE = 0.1

HEAD_MASKS = {"head_13": (3, 4, 5), "head_26": (1, 2, 3)}
"""The anchors of each head. The description says 0, 1, 2 for the finer one; the weights were trained with 1, 2, 3."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A layer's result: its ONNX name, channels, and rows (= columns)."""

    name: str
    channels: int
    size: int


def convert(weights: bytes, description: bytes, properties: Mapping[str, str]) -> ModelProto:
    """Return the model `input` f32[N,3,416,416] -> `head_13` f32[N,255,13,13], `head_26` f32[N,255,26,26].

    Raises `CompileError` AS685 when the description holds an unknown layer or the weights are not used up exactly.
    """
    network, *layers = parse_cfg(description.decode("utf-8", errors="replace"))
    size = network.integer("width", 416)
    reader = WeightReader(weights)
    record = NodeRecorder()
    values: list[_Value] = []
    given = previous = _Value("input", network.integer("channels", 3), size)
    heads: list[_Value] = []
    for index, layer in enumerate(layers):
        previous = _add_layer(record, reader, layer, index, previous, values)
        values.append(previous)
        if layer.kind == "yolo":
            heads.append(previous)
    if reader.left:
        raise weights_error(f"{reader.left} values are left over")
    outputs = {f"head_{head.size}": ("N", head.channels, head.size, head.size) for head in heads}
    for head, name in zip(heads, outputs, strict=True):
        record.node("Identity", name, (head.name,))
    decoding = {"anchors": json.dumps(layers[-1].integers("anchors")), "masks": json.dumps(HEAD_MASKS)}
    return record.model("yolov3_tiny", {given.name: ("N", given.channels, size, size)}, outputs, {**properties, **decoding})


def _add_layer(record: NodeRecorder, reader: WeightReader, layer: Section, index: int, x: _Value, earlier: list[_Value]) -> _Value:
    name = f"layer{index}"
    match layer.kind:
        case "convolutional":
            return _convolution(record, reader, layer, name, x)
        case "maxpool":
            return _max_pool(record, layer, name, x)
        case "upsample":
            factor = layer.integer("stride", 2)
            scales = record.constant(f"{name}.scales", np.array([1, 1, factor, factor], np.float32))
            asymmetric = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            record.node("Resize", f"{name}.resize", (x.name, "", scales), mode="nearest", **asymmetric)
            return _Value(f"{name}.resize", x.channels, x.size * factor)
        case "route":
            sources = [earlier[i if i >= 0 else index + i] for i in layer.integers("layers")]
            if len(sources) == 1:
                return sources[0]
            record.node("Concat", f"{name}.concat", [source.name for source in sources], axis=1)
            return _Value(f"{name}.concat", sum(source.channels for source in sources), sources[0].size)
        case "yolo":
            return x
        case _:
            raise cfg_error(f"unknown layer [{layer.kind}]", layer.line)


def _convolution(record: NodeRecorder, reader: WeightReader, layer: Section, name: str, x: _Value) -> _Value:
    filters, kernel, stride = layer.integer("filters", 1), layer.integer("size", 1), layer.integer("stride", 1)
    padding = kernel // 2 if layer.integer("pad", 0) else 0
    geometry = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [padding] * 4}
    biases = reader.take(filters)
    normalised = bool(layer.integer("batch_normalize", 0))
    scales, means, variances = (reader.take(filters) for _ in range(3)) if normalised else (biases, biases, biases)
    weight = record.weight(f"{name}.weight", reader.take(filters, x.channels, kernel, kernel))
    if normalised:
        y = record.node("Conv", f"{name}.conv", (x.name, weight), **geometry)
        parameters = {f"{name}.scale": scales, f"{name}.bias": biases, f"{name}.mean": means, f"{name}.variance": variances}
        y = record.batch_norm(f"{name}.norm", y, parameters, EPSILON)
    else:
        y = record.node("Conv", f"{name}.conv", (x.name, weight, record.weight(f"{name}.bias", biases)), **geometry)
    activation = layer.text("activation", "linear")
    if activation not in ("leaky", "linear"):
        raise cfg_error(f"unknown activation {activation}", layer.line)
    if activation == "leaky":
        y = record.node("LeakyRelu", f"{name}.leaky", (y,), alpha=LEAKY_SLOPE)
    return _Value(y, filters, (x.size + 2 * padding - kernel) // stride + 1)


def _max_pool(record: NodeRecorder, layer: Section, name: str, x: _Value) -> _Value:
    kernel, stride = layer.integer("size", 2), layer.integer("stride", 2)
    total = layer.integer("padding", kernel - 1)
    size = (x.size + total - kernel) // stride + 1
    # darknet starts total // 2 before the input and lets the window run over the end; only the part that is read is padding.
    before = total // 2
    after = max(0, (size - 1) * stride + kernel - before - x.size)
    pads = [before, before, after, after]
    record.node("MaxPool", f"{name}.pool", (x.name,), kernel_shape=[kernel, kernel], strides=[stride, stride], pads=pads)
    return _Value(f"{name}.pool", x.channels, size)
