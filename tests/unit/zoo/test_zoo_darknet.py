"""Darknet's descriptions and weights."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import CompileError
from autosplitc.zoo.darknet import WeightReader, parse_cfg
from autosplitc.zoo.yolov3_tiny import EPSILON, LEAKY_SLOPE, convert

CFG = """
[net]
width = 4
height=4
channels=2
# a comment
[convolutional]
batch_normalize=1
filters=3
size=1
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=1

[upsample]
stride=2

[route]
layers = -1
[yolo]
mask = 0,1
anchors = 10,14,  23,27
"""


def weights(values: NDArray[np.float32]) -> bytes:
    return struct.pack("<iiiq", 0, 2, 0, 7) + values.astype("<f4").tobytes()


def test_sections_come_in_order_with_their_options_and_lines() -> None:
    sections = parse_cfg(CFG)
    assert [(section.kind, section.line) for section in sections[:3]] == [("net", 2), ("convolutional", 7), ("maxpool", 15)]
    assert sections[0].integer("width", 0) == 4
    assert sections[1].text("activation", "linear") == "leaky"
    assert sections[4].integers("layers") == (-1,)
    assert sections[5].integers("anchors") == (10, 14, 23, 27)


@pytest.mark.parametrize(
    ("text", "location"),
    [("[net\n", "cfg:1"), ("width=3\n", "cfg:1"), ("[net]\n\nwidth\n", "cfg:3"), ("[]", "cfg:1")],
)
def test_a_broken_line_is_pointed_at(text: str, location: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_cfg(text)
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].location) == ("AS685", location)


def test_an_option_that_is_no_integer_is_pointed_at() -> None:
    with pytest.raises(CompileError, match="width of \\[net\\] is no integer: wide"):
        parse_cfg("[net]\nwidth=wide\n")[0].integer("width", 0)


def test_both_headers_are_skipped() -> None:
    assert WeightReader(weights(np.ones(3, np.float32))).left == 3
    assert WeightReader(struct.pack("<iiii", 0, 1, 0, 7) + bytes(8)).left == 2


def test_a_network_computes_what_darknet_does() -> None:
    import onnxruntime

    generator = np.random.default_rng(0)
    values = generator.uniform(0.5, 1.5, 3 * 4 + 6).astype(np.float32)
    bias, scale, mean, variance = values[:12].reshape(4, 3, 1, 1)
    x = generator.standard_normal((1, 2, 4, 4), dtype=np.float32)
    convolved: NDArray[np.float32] = np.einsum("oi,niyx->noyx", values[12:].reshape(3, 2), x)
    y = (convolved - mean) / np.sqrt(variance + EPSILON) * scale + bias
    padded = np.pad(np.maximum(y, LEAKY_SLOPE * y), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
    pooled = np.max([padded[:, :, i : i + 4, j : j + 4] for i in (0, 1) for j in (0, 1)], axis=0)
    wanted = pooled.repeat(2, axis=2).repeat(2, axis=3)

    model = convert(weights(values), CFG.encode(), {"licence": "none"})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["head_8"], {"input": x})[0], wanted, rtol=1e-5, atol=1e-5)
    properties = {item.key: item.value for item in model.metadata_props}
    assert properties["anchors"] == "[10, 14, 23, 27]"
    assert properties["licence"] == "none"


def unknown_layer(text: str) -> str:
    return text.replace("[upsample]", "[shortcut]")


def unknown_activation(text: str) -> str:
    return text.replace("leaky", "swish")


@pytest.mark.parametrize(
    ("change", "count", "message"),
    [
        (str, 17, "6 values wanted, 5 left"),
        (str, 20, "2 values are left over"),
        (unknown_layer, 18, "unknown layer [shortcut]"),
        (unknown_activation, 18, "unknown activation swish"),
    ],
)
def test_files_that_do_not_fit_are_refused(change: Callable[[str], str], count: int, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        convert(weights(np.ones(count, np.float32)), change(CFG).encode(), {})
    assert caught.value.diagnostics[0].code == "AS685"
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize("content", [b"", bytes(10), bytes(23)])
def test_a_cut_off_weight_file_is_refused(content: bytes) -> None:
    with pytest.raises(CompileError, match="cut off"):
        WeightReader(content)
