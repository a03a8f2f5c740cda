"""calibrate: ranges, histograms and sizes against numpy; noise; what cannot be run."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import Attrs, CompileError, Const, Diagnostic, DType, Graph, Module, Op, TensorType, Value, blob_from_array, dtype_of
from autosplitc.passes import Env, Feed, Ranges, ValueRange, feeds_of, noise_feeds
from autosplitc.passes.calibrate import Calibrate
from autosplitc.passes.execute import engine_message, groups, load, runnable_part
from autosplitc.targets import load_target, parse_network

RNG = np.random.default_rng(5)
W0 = RNG.standard_normal((6, 3, 1, 1)).astype(np.float32)
B0 = RNG.standard_normal(6).astype(np.float32)
W1 = RNG.standard_normal((4, 6, 1, 1)).astype(np.float32)
IMAGES = RNG.standard_normal((10, 3, 5, 5)).astype(np.float32)


@dataclass(frozen=True)
class Arrays:
    """Data from memory, `batch` samples at a time."""

    arrays: Mapping[str, NDArray[Any]]
    batch: int = 4
    sha256: str = ""

    @property
    def samples(self) -> int:
        """Rows of the first array."""
        return len(next(iter(self.arrays.values())))

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield slices."""
        for start in range(0, self.samples, self.batch):
            yield {name: array[start : start + self.batch] for name, array in self.arrays.items()}

    def labels(self) -> None:
        """There are none."""


@dataclass
class Run:
    """What a calibration gave."""

    ranges: Ranges
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def of(self, name: str) -> ValueRange:
        """The range of a value."""
        return next(v for v in self.ranges.values if v.value == name)

    def row(self, name: str) -> NDArray[np.float64]:
        """The histogram of a value."""
        histograms = self.ranges.histograms
        assert histograms is not None
        table: NDArray[np.float64] = histograms.blob.read().view(np.float64).reshape(histograms.type.dims)
        return table[self.of(name).histogram]


def const(name: str, array: NDArray[Any]) -> Const:
    """A constant."""
    return Const(name, TensorType(dtype_of(array), array.shape), blob_from_array(array))


def f32(*shape: int | str | None) -> TensorType:
    """A float type."""
    return TensorType(DType.F32, shape)


def network(batch: int | str = "N") -> Graph:
    """Two fused 1x1 convolutions, a flatten, and the places of the positive elements."""
    ops = (
        Op(("a",), "conv", ("x", "w0", "b0"), Attrs.of(act="relu"), (f32(batch, 6, 5, 5),)),
        Op(("b",), "conv", ("a", "w1"), Attrs.of(act="leaky_relu", act_alpha=0.1), (f32(batch, 4, 5, 5),)),
        Op(("c",), "flatten", ("b",), Attrs(), (f32(batch, 100),)),
        Op(("places",), "onnx.NonZero", ("a",), Attrs(), (TensorType(DType.I64, (4, None)),)),
    )
    consts = (const("w0", W0), const("b0", B0), const("w1", W1))
    return Graph("main", (("", 21),), (Value("x", f32(batch, 3, 5, 5)),), consts, ops, ("c", "places"))


def expected(images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The network's values, by numpy."""
    inner_a = np.einsum("nihw,oi->nohw", images, W0[:, :, 0, 0]) + B0[:, None, None]
    a = np.maximum(inner_a, 0)
    inner_b = np.einsum("nihw,oi->nohw", a, W1[:, :, 0, 0])
    return {"x": images, "inner_a": inner_a, "a": a, "inner_b": inner_b, "b": np.where(inner_b < 0, np.float32(0.1) * inner_b, inner_b)}


def calibrate(graph: Graph, data: Arrays | None, options: Calibrate | None = None, seed: int = 0) -> Run:
    """Run the pass."""
    warnings: list[Diagnostic] = []
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib=data, seed=seed, warn=warnings.append)
    module = (options or Calibrate()).apply(Module((graph,)), env)
    return Run(module.fact(Ranges), warnings)


def unary(kind: str, source: TensorType, result: TensorType, **attrs: int) -> Graph:
    """A graph of one verbatim op."""
    op = Op(("y",), kind, ("x",), Attrs.of(**attrs), (result,))
    return Graph("main", (("", 21),), (Value("x", source),), (), (op,), ("y",))


def close(extent: tuple[float | None, float | None], values: NDArray[np.float32]) -> None:
    """Assert that `extent` is that of `values`."""
    np.testing.assert_allclose(np.array(extent, np.float64), [values.min(), values.max()], rtol=1e-5, atol=1e-6)


def test_ranges_before_and_behind_activations_are_those_of_numpy() -> None:
    run = calibrate(network(), Arrays({"x": IMAGES}))
    assert run.warnings == []
    assert (run.ranges.graph, run.ranges.calibrated, run.ranges.samples) == ("main", True, 10)
    assert [v.value for v in run.ranges.values] == ["x", "a", "b", "c"]
    values = expected(IMAGES)
    for name, behind in (("x", "x"), ("a", "a"), ("b", "b"), ("c", "b")):
        found = run.of(name)
        close((found.low, found.high), values[behind])
        assert run.row(name).sum() == values[behind].size
    assert run.of("x").inner_low is None
    assert run.of("c").inner_high is None
    for name in ("a", "b"):
        found, inner = run.of(name), values[f"inner_{name}"]
        close((found.inner_low, found.inner_high), inner)
    assert run.row("a")[-3] == np.count_nonzero(values["a"] == 0)


def test_sizes_that_are_not_known_are_the_largest_seen() -> None:
    run = calibrate(network(), Arrays({"x": IMAGES}))
    positive = [int(np.count_nonzero(expected(image[None])["a"])) for image in IMAGES]
    (seen,) = run.ranges.sizes
    assert (seen.value, seen.elements) == ("places", 4 * max(positive))


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_batches_do_not_show(batch: int) -> None:
    assert calibrate(network(), Arrays({"x": IMAGES}, batch)).ranges == calibrate(network(), Arrays({"x": IMAGES})).ranges


def test_groups_of_values_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = calibrate(network(), Arrays({"x": IMAGES})).ranges
    monkeypatch.setattr("autosplitc.passes.calibrate.groups", functools.partial(groups, limit_bytes=400))
    assert calibrate(network(), Arrays({"x": IMAGES})).ranges == whole


def test_groups_stay_below_the_limit() -> None:
    names = ("a", "a.pre", "b", "c", "places")
    assert list(groups(network(), names, 600)) == [("a",), ("a.pre",), ("b",), ("c", "places")]
    assert list(groups(network(), names, 1200)) == [("a", "a.pre"), ("b", "c", "places")]
    assert list(groups(network(), ())) == []


def test_a_fixed_batch_runs_as_a_whole() -> None:
    fixed = calibrate(network(5), Arrays({"x": IMAGES}, 5))
    free = calibrate(network(), Arrays({"x": IMAGES}))
    for one, other in zip(free.ranges.values, fixed.ranges.values, strict=True):
        assert one.value == other.value
        close((one.low, one.high), np.array([other.low, other.high], np.float32))
    assert fixed.row("b").sum() == free.row("b").sum()


def test_samples_may_be_stacked() -> None:
    stacked = calibrate(network(5), Arrays({"x": IMAGES.reshape(2, 5, 3, 5, 5)}, 1))
    assert stacked.ranges.values == calibrate(network(5), Arrays({"x": IMAGES}, 5)).ranges.values


def test_histograms_take_evenly_spaced_runs() -> None:
    marked = np.arange(10, dtype=np.float32)[:, None] * np.ones((10, 7), np.float32) + np.float32(0.5)
    graph = unary("relu", f32("N", 7), f32("N", 7))
    few = calibrate(graph, Arrays({"x": marked}), Calibrate(histogram_runs=3))
    row = few.row("y")
    assert row.sum() == 3 * 7
    assert (few.of("y").low, few.of("y").high) == (0.5, 9.5)
    places = np.flatnonzero(row[:-3]) / 512 * 9 + 0.5
    np.testing.assert_allclose(places, [4.5, 7.5], atol=0.02)
    assert row[-2] == 7


@pytest.mark.parametrize(
    ("array", "high"),
    [
        (np.arange(12).reshape(3, 4) * 20, 255.0),
        (np.arange(12).reshape(3, 4) / 255, 1.0),
        (np.arange(12).reshape(3, 4) * np.float32(1 / 255), 1.0),
        (np.arange(12).reshape(3, 4) - 1, None),
        (np.arange(12).reshape(3, 4) * 24, None),
        (np.arange(12).reshape(3, 4) / 254, None),
    ],
)
def test_pictures_are_bytes(array: NDArray[Any], high: float | None) -> None:
    found = calibrate(unary("relu", f32("N", 4), f32("N", 4)), Arrays({"x": array.astype(np.float32)})).of("x")
    assert found.exact == (high is not None)
    assert (found.low, found.high) == ((0.0, high) if high is not None else (np.float32(array.min()), np.float32(array.max())))


def test_without_data_noise_is_loud_and_seeded() -> None:
    run = calibrate(network(), None)
    (warning,) = run.warnings
    assert (warning.code, warning.severity) == ("AS320", "warning")
    assert "--calib" in warning.hint
    assert (run.ranges.calibrated, run.ranges.samples) == (False, 4)
    assert run.ranges == calibrate(network(), None).ranges
    assert run.ranges != calibrate(network(), None, seed=1).ranges
    noise = np.concatenate([feed["x"] for feed in noise_feeds(network(), 0, 4, 1)])
    values = expected(noise)
    close((run.of("b").low, run.of("b").high), values["b"])
    assert calibrate(network(), None, Calibrate(noise_samples=9)).ranges.samples == 9


@pytest.mark.parametrize("rows", [1, 5])
def test_noise_indices_fit_small_tables_too(rows: int) -> None:
    table = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) + 1
    op = Op(("y",), "gather", ("table", "x"), Attrs.of(axis=0), (f32("N", 3),))
    graph = Graph("main", (("", 21),), (Value("x", TensorType(DType.I64, ("N",))),), (const("table", table),), (op,), ("y",))
    found = calibrate(graph, None).of("y")
    assert (found.low, found.high) == ((1.0, 3.0) if rows == 1 else (4.0, 6.0))


def test_values_that_are_not_finite_have_no_histogram() -> None:
    data = np.array([[1.0, 4.0], [-1.0, 2.0], [0.0, 3.0]], np.float32)
    run = calibrate(unary("onnx.Log", f32("N", 2), f32("N", 2)), Arrays({"x": data}))
    found = run.of("y")
    close((found.low, found.high), np.log([1, 4], dtype=np.float32))
    assert found.histogram == -1
    assert [(w.code, w.message) for w in run.warnings] == [("AS322", "NaN or infinity in 'y': such values are not quantised")]


def test_half_precision_has_a_range_and_no_histogram() -> None:
    half = TensorType(DType.F16, ("N", 2))
    run = calibrate(unary("relu", half, half), Arrays({"x": np.array([[-1, 2]], np.float16)}))
    assert (run.of("y").low, run.of("y").high, run.of("y").histogram) == (0.0, 2.0, -1)


def test_custom_ops_end_what_is_run() -> None:
    graph = network()
    foreign = Op(("d",), "onnx.acme.Blend", ("b", "a"), Attrs(), (f32("N", 4, 5, 5),))
    behind = Op(("e",), "relu", ("d",), Attrs(), (f32("N", 4, 5, 5),))
    graph = replace(graph, ops=(*graph.ops, foreign, behind), outputs=("e", "c"), opset=(("", 21), ("acme", 1)))
    run = calibrate(graph, Arrays({"x": IMAGES}))
    assert [(w.code, w.location) for w in run.warnings] == [("AS326", 'op "d"')]
    assert run.of("b").histogram >= 0
    for name in ("d", "e"):
        assert run.of(name) == ValueRange(name, 0.0, 0.0)
    assert runnable_part(network()) == (network(), ())


def test_data_that_the_model_refuses_names_the_run() -> None:
    op = Op(("y",), "gather", ("table", "x"), Attrs.of(axis=0), (f32("N", 3),))
    table = const("table", np.ones((5, 3), np.float32))
    graph = Graph("main", (("", 21),), (Value("x", TensorType(DType.I64, ("N",))),), (table,), (op,), ("y",))
    with pytest.raises(CompileError) as caught:
        calibrate(graph, Arrays({"x": np.array([0, 4, 7])}))
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.location, caught.value.exit_code) == ("AS323", "calibration data, run 2", 1)
    assert "idx=7" in problem.notes[0]
    assert "/" not in problem.notes[0]


def test_a_model_that_does_not_load_says_why() -> None:
    with pytest.raises(CompileError) as caught:
        calibrate(unary("onnx.NoSuchOp", f32("N", 2), f32("N", 2)), None)
    assert caught.value.diagnostics[0].code == "AS324"
    assert "NoSuchOp" in caught.value.diagnostics[0].notes[0]


def test_sequence_inputs_are_refused() -> None:
    sequence = TensorType(DType.F32, None, ("seq",))
    with pytest.raises(CompileError) as caught:
        calibrate(unary("onnx.ConcatFromSequence", sequence, f32(None), axis=0), None)
    assert [(d.code, d.location) for d in caught.value.diagnostics] == [("AS325", 'input "x"')]


@pytest.mark.parametrize("options", [Calibrate(noise_samples=0), Calibrate(histogram_runs=-1)])
def test_options_below_one_are_refused(options: Calibrate) -> None:
    with pytest.raises(CompileError, match="AS154") as caught:
        calibrate(network(), None, options)
    assert caught.value.exit_code == 2


def test_large_constants_reach_the_engine_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = {"x": IMAGES[:1]}
    direct = load(network(), ("a", "a.pre", "b")).run(feed)
    monkeypatch.setattr("autosplitc.passes.execute.IN_MEMORY_BYTES", 16)
    through_file = load(network(), ("a", "a.pre", "b")).run(feed)
    assert list(direct) == ["a", "a.pre", "b"]
    for name, array in direct.items():
        np.testing.assert_array_equal(array, through_file[name])


def test_engine_messages_are_one_short_line() -> None:
    text = (
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Non-zero status code returned while running Gather node. Name:'g' "
        "Status Message: /build/core/gather.cc:78 bool check() idx >= 0 was false. indices element out of data bounds\nidx=7"
    )
    assert engine_message(ValueError(text)) == 'node "g": indices element out of data bounds idx=7'
    assert engine_message(ValueError("plain")) == "plain"


def test_feeds_are_single_runs() -> None:
    graph = network()
    feeds: list[Feed] = list(feeds_of(graph, Arrays({"x": IMAGES}, 4).batches()))
    assert [feed["x"].shape for feed in feeds] == [(1, 3, 5, 5)] * 10
    np.testing.assert_array_equal(np.concatenate([feed["x"] for feed in feeds]), IMAGES)
    with pytest.raises(ValueError, match="whole runs"):
        list(feeds_of(network(3), [{"x": IMAGES}]))
