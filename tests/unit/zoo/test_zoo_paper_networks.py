"""The paper's networks: parameters and multiply-accumulates as published, seeded weights, outputs that know the input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autosplitc.hooks import Watch
from autosplitc.inspect_model import inspect_model
from autosplitc.zoo.entries import ENTRIES
from autosplitc.zoo.nodes import save
from autosplitc.zoo.paper_networks import NETWORKS, PaperNetwork, write

if TYPE_CHECKING:
    from onnx import ModelProto

SMALL = ("resnet18", "googlenet", "mnasnet")
SEEDED = [
    pytest.param(network, id=network.zoo, marks=() if network.zoo in SMALL else pytest.mark.heavy)
    for network in NETWORKS
    if network.build is not None
]


def built(network: PaperNetwork) -> ModelProto:
    assert network.build is not None
    return network.build({"licence": "Apache-2.0"})


def learned(model: ModelProto) -> int:
    """Return the parameters that training would find; torchvision counts those of frozen normalisations (Faster R-CNN) not."""
    frozen = "frozen" if model.graph.name.startswith("faster_rcnn") else ""
    convolved = {name for node in model.graph.node if node.op_type in ("Conv", "Gemm") for name in node.input[1:]}
    normal = {name for node in model.graph.node if node.op_type == "BatchNormalization" for name in node.input[1:3]}
    counted = convolved if frozen else convolved | normal
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.name in counted)


@pytest.mark.parametrize("network", SEEDED)
def test_parameters_and_multiply_accumulates_are_the_published_ones(network: PaperNetwork, tmp_path: Path) -> None:
    model = built(network)
    assert learned(model) == network.parameters
    save(model, tmp_path / "model.onnx")
    found = inspect_model(tmp_path / "model.onnx", {network.input[0]: network.input[1]}, Watch())
    if network.macs is not None:
        assert found["macs"] == pytest.approx(network.macs, rel=0.015)
    if network.zoo != "faster-rcnn":
        assert found["not_understood"] == {}


def test_every_network_of_the_paper_is_in_the_zoo() -> None:
    assert len(NETWORKS) == 10
    assert {network.zoo for network in NETWORKS} <= {entry.name for entry in ENTRIES}
    assert {entry.name: dict(entry.input_shapes) for entry in ENTRIES if entry.name in {n.zoo for n in NETWORKS}} == {
        network.zoo: dict([network.input]) for network in NETWORKS
    }


def test_the_same_network_is_the_same_bytes(tmp_path: Path) -> None:
    network = next(n for n in NETWORKS if n.zoo == "mnasnet")
    for name in ("a", "b"):
        write(network, {}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_heads_carry_darknets_indices() -> None:
    """Auto-Split, table 9: the layers that YOLOv3 collects end at 82, 94, 106, those of YOLOv3-spp at 89, 101, 113 (counted from 1)."""
    from autosplitc.zoo.yolov3 import build

    for pyramid, wanted in ((False, (82, 94, 106)), (True, (89, 101, 113))):
        model = build(pyramid=pyramid, properties={})
        ends = [node.input[0] for node in model.graph.node if node.op_type == "Identity"]
        assert ends == [f"layer{index - 1}.conv" for index in wanted]


@pytest.mark.heavy
def test_detections_are_sorted_boxes_within_the_image(tmp_path: Path) -> None:
    import onnxruntime

    network = next(n for n in NETWORKS if n.zoo == "faster-rcnn")
    save(built(network), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    name, shape = network.input
    for seed in (0, 1):
        image = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        boxes, scores, labels = session.run(None, {name: image})
        assert boxes.shape == (len(scores), 4)
        assert 0 < len(scores) <= 100
        assert np.all(np.diff(scores) <= 0)
        assert scores.min() > 0.05
        assert labels.min() >= 1
        assert labels.max() <= 90
        assert np.all(boxes[:, :2] <= boxes[:, 2:])
        assert boxes.min() >= 0
        assert boxes.max() <= 1088
