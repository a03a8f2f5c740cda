"""Packing outside the graph is that of the graphs, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import autosplitc
from autosplitc.ir import pack_bits
from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.packing import pack, packed_bytes, payload_of, tensors_of, unpack

WAIST, AFTER = (6, 5, 7), "r"


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("elements", [1, 7, 8, 9, 63, 1000])
def test_codes_come_back(bits: int, elements: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (3, elements)).astype(np.uint8)
    data = pack(codes, bits)
    assert data.shape == (3, packed_bytes(elements, bits))
    assert [bytes(row) for row in data] == [bytes(pack_bits(row, bits)) for row in codes]
    np.testing.assert_array_equal(unpack(data, bits, elements), codes)


@pytest.mark.parametrize("bits", [0, 9])
def test_other_bits_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="1 to 8 bits"):
        pack(np.zeros((1, 4), np.uint8), bits)
    with pytest.raises(ValueError, match="4 codes of 4 bits take 2 bytes, not 3"):
        unpack(np.zeros((1, 3), np.uint8), 4, 4)


def model() -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    first, second = rng.standard_normal((6, 3, 3, 3)).astype(np.float32), rng.standard_normal((4, 6, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], [AFTER]),
        helper.make_node("Conv", [AFTER, "v"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 7, 9])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 5, 7])]
    weights = [onnx.numpy_helper.from_array(first, "w"), onnx.numpy_helper.from_array(second, "v")]
    graph = helper.make_graph(nodes, "two", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_graphs_pack_the_same(bits: int, tmp_path: Path) -> None:
    """What the payload says in numbers gives the same payload again, and the cloud graph's answer follows from those numbers."""
    result = autosplitc.compile(model(), network="1mbps", cut=[AFTER], weight_bits=[8], act_bits=[8], wire_bits=[bits], min_sqnr_db=0.0)
    bundle = Bundle.load(result.save(tmp_path / "out"))
    wire = bundle.manifest["wire"]
    assert [tensor["bits"] for tensor in wire["tensors"]] == [bits]
    x = np.random.default_rng(bits).standard_normal((3, 3, 7, 9)).astype(np.float32)
    (payload,) = bundle.session("edge").run([bundle.payload_name], {"x": x})
    numbers = tensors_of(wire, payload)
    assert numbers[wire["tensors"][0]["name"]].shape == (3, *WAIST)
    np.testing.assert_array_equal(payload_of(wire, numbers), payload)
    (answer,) = bundle.session("cloud").run(None, {bundle.payload_name: payload})
    weights = onnx.numpy_helper.to_array(model().graph.initializer[1])[:, :, 0, 0]
    expected = np.einsum("nchw,oc->nohw", numbers[wire["tensors"][0]["name"]], weights)
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_tensors_that_cross_as_they_are() -> None:
    wire = {
        "bytes_per_sample": 13,
        "tensors": [
            {"name": "n", "dtype": "i64", "shape": [1], "bits": 0, "offset_bytes": 0, "nbytes": 8},
            {"name": "f", "dtype": "f32", "shape": [1, 1], "bits": 0, "offset_bytes": 8, "nbytes": 4},
            {"name": "b", "dtype": "bool", "shape": [1], "bits": 0, "offset_bytes": 12, "nbytes": 1},
        ],
    }
    values = {"n": np.array([-3, 5]), "f": np.array([[1.5], [-2.0]], np.float32), "b": np.array([True, False])}
    back = tensors_of(wire, payload_of(wire, values))
    assert {name: value.tolist() for name, value in back.items()} == {name: value.tolist() for name, value in values.items()}


@pytest.mark.parametrize(("values", "said"), [({}, "missing"), ({"n": np.zeros((2, 3))}, "shape")])
def test_what_does_not_fit_is_said(values: dict[str, np.ndarray], said: str) -> None:
    wire = {"bytes_per_sample": 8, "tensors": [{"name": "n", "dtype": "i64", "shape": [1], "bits": 0, "offset_bytes": 0, "nbytes": 8}]}
    with pytest.raises(LinkError, match=said) as caught:
        payload_of(wire, values)
    assert caught.value.code == "AS844"
    with pytest.raises(LinkError, match="a sample has 8 bytes"):
        tensors_of(wire, np.zeros((1, 7), np.uint8))
