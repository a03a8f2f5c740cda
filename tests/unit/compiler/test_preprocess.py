"""`--preprocess`: its text, and the prologue that it puts before a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autosplitc.ir import CompileError, DType, Graph, Module, Op, TensorType, Value, verify
from autosplitc.passes.execute import load
from autosplitc.passes.from_bytes import byte_values
from autosplitc.preprocess import PRESETS, Preprocess, parse_preprocess, same_preprocess
from autosplitc.prologue import picture_of, preprocessed

Arrays = Mapping[str, NDArray[Any]]


def model(*shape: int | str, dtype: DType = DType.F32) -> Graph:
    """A graph that gives back its input."""
    type_ = TensorType(dtype, shape)
    return Graph("main", (("", 21),), (Value("x", type_),), (), (Op(("y",), "relu", ("x",), types=(type_,)),), ("y",))


def made_of(graph: Graph, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Run a graph with a prologue on bytes; return what the model takes."""
    (value,) = byte_values(graph)
    return load(graph, (value,)).run({"x": pixels})[value]


@pytest.mark.parametrize("text", ["unit", "imagenet", "imagenet,layout=nhwc,resize=224x224", "mean=0.5,std=0.25/0.5/1,channels=bgr"])
def test_what_is_written_reads_as_the_same_again(text: str) -> None:
    found = parse_preprocess(text)
    assert found is not None
    assert parse_preprocess(found.text) == found


def test_none_is_nothing() -> None:
    graph = model("N", 3, 4, 5)
    assert parse_preprocess("none") is None
    assert preprocessed(graph, "none") == (graph, "none")


numbers = st.floats(-1e3, 1e3, allow_nan=False)
positive = st.floats(1e-3, 1e3)


@given(positive, st.lists(numbers, min_size=1, max_size=1) | st.lists(numbers, min_size=3, max_size=3), positive)
def test_any_figures_survive_the_text(scale: float, mean: list[float], std: float) -> None:
    asked = Preprocess(scale=scale, mean=tuple(mean), std=(std,), layout="nhwc", resize=(3, 4))
    assert parse_preprocess(asked.text) == asked


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.uint8)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_bytes_become_what_the_model_takes(layout: str, channels: str) -> None:
    text = f"scale=1/255,mean=0.485/0.456/0.406,std=0.229/0.224/0.225,layout={layout},channels={channels}"
    graph, resolved = preprocessed(model("N", 3, 4, 5), text)
    assert not list(verify(Module((graph,), ())))
    assert graph.input["x"].type.dtype is DType.U8
    found = parse_preprocess(resolved)
    assert found is not None
    assert (found.input, found.layout, found.channels, found.model) == ("x", layout, channels, "rgb")
    fed = PIXELS[:1, ::-1] if channels == "bgr" else PIXELS[:1]
    fed = np.ascontiguousarray(fed.transpose(0, 2, 3, 1) if layout == "nhwc" else fed)
    mean, std = (np.array(v).reshape(3, 1, 1) for v in (found.mean, found.std))
    np.testing.assert_allclose(made_of(graph, fed), (PIXELS[:1] / 255 - mean) / std, rtol=1e-5, atol=1e-6)


def test_grey_bytes_fill_three_channels() -> None:
    graph, _ = preprocessed(model("N", 4, 5, 3), "unit,channels=grey")
    assert graph.input["x"].type.shape == ("N", 4, 5, 1)
    grey = np.ascontiguousarray(PIXELS[:1, :1].transpose(0, 2, 3, 1))
    np.testing.assert_allclose(made_of(graph, grey), np.repeat(grey, 3, axis=3) / np.float32(255), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "zero"), [("unit", 0), ("scale=1", 0), ("mean=128,std=128", 128), ("scale=1/255,mean=0.5,std=0.5", 127), ("mean=103.2", 103)]
)
def test_codes_are_the_bytes_where_one_scale_holds_for_all(text: str, zero: int) -> None:
    graph, _ = preprocessed(model("N", 3, 4, 5), text)
    (value,) = byte_values(graph).values()
    assert value.bounds is not None
    scale = (value.bounds[1] - value.bounds[0]) / 255
    assert round(-value.bounds[0] / scale) == zero
    assert value.ops[0].kind == "cast"


@pytest.mark.parametrize("text", ["imagenet,resize=4x5,crop=4x5", "mean=-10", "mean=300"])
def test_other_arithmetic_keeps_a_quantiser(text: str) -> None:
    graph, _ = preprocessed(model("N", 3, 4, 5), text)
    (value,) = byte_values(graph).values()
    assert value.bounds is None


def test_dumps_may_be_told_the_same_again() -> None:
    _, resolved = preprocessed(model("N", 3, 4, 5), "unit")
    assert same_preprocess("unit", resolved)
    assert same_preprocess(resolved, resolved)
    assert not same_preprocess("none", resolved)
    assert not same_preprocess("unit,layout=nhwc", resolved)


def test_pictures_are_told_by_their_channels() -> None:
    for shape, layout in (((1, 3, 8, 8), "nchw"), ((1, 8, 8, 3), "nhwc"), ((1, 4, 5, 3), "nhwc"), ((1, 1, 28, 28), "nchw")):
        found = picture_of(shape)
        assert found is not None
        assert found.layout == layout
    assert picture_of((1, 8, 8, 8)) is None
    assert picture_of((1, 3, 8)) is None


def test_presets_are_what_they_are_called() -> None:
    assert PRESETS["unit"].scale == 1 / 255
    assert PRESETS["imagenet"].crop == (224, 224)


BAD = {
    "unknown-setting": "unit,layuot=nhwc",
    "unknown-preset": "imagnet",
    "no-value": "unit,layout",
    "preset-last": "layout=nhwc,unit",
    "twice": "scale=1,scale=2",
    "bad-number": "mean=a/b",
    "bad-scale": "scale=0",
    "bad-fraction": "scale=1/0",
    "bad-std": "std=0.5/0",
    "bad-layout": "layout=chw",
    "bad-size": "resize=256*256",
    "channels-differ": "mean=1/2/3,std=1/2",
    "several": "layout=chw,crop=0",
    "empty": "",
    "not-none": "none,scale=1",
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_texts_say_what_is_wrong(case: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_preprocess(BAD[case])
    assert {d.code for d in caught.value.diagnostics} == {"AS170"}
    assert caught.value.exit_code == 2
    assert all(d.hint or d.notes for d in caught.value.diagnostics)


def several() -> Graph:
    """A graph with two f32 inputs."""
    type_ = TensorType(DType.F32, ("N", 8))
    return Graph("main", (("", 21),), (Value("a", type_), Value("b", type_)), (), (Op(("y",), "add", ("a", "b"), types=(type_,)),), ("y",))


UNFIT: dict[str, tuple[Graph, str]] = {
    "no-float": (model("N", 3, 4, 5, dtype=DType.U8), "unit"),
    "several": (several(), "unit"),
    "no-such-input": (model("N", 3, 4, 5), "unit,input=z"),
    "no-picture": (model("N", 8), "unit,layout=nhwc"),
    "mean-channels": (model("N", 1, 4, 5), "mean=1/2/3"),
    "rgb-for-grey": (model("N", 1, 4, 5), "unit,channels=rgb"),
    "crop": (model("N", 3, 4, 5), "imagenet"),
    "output-too": (Graph("main", (("", 21),), (Value("x", TensorType(DType.F32, (1, 3))),), (), (), ("x",)), "unit"),
}


@pytest.mark.parametrize("case", sorted(UNFIT))
def test_what_does_not_fit_the_model_says_so(case: str) -> None:
    graph, text = UNFIT[case]
    with pytest.raises(CompileError) as caught:
        preprocessed(graph, text)
    assert [d.code for d in caught.value.diagnostics] == ["AS171"]


def test_one_of_several_inputs_can_be_named() -> None:
    graph, _ = preprocessed(several(), "unit,input=b")
    assert [v.type.dtype for v in graph.inputs] == [DType.F32, DType.U8]
