"""Clips in `ranges`: methods and options of calibrate, streaming, pictures, and Concat with one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.codegen import emit_onnx
from autosplitc.engine import Engine, session_options
from autosplitc.ir import Attrs, CompileError, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array, dtype_of, verify
from autosplitc.passes import Choice, Env, NamedBits, Plan, Quantisers, Ranges, Request, Solutions
from autosplitc.passes.calibrate import Calibrate
from autosplitc.passes.partition import Partition
from autosplitc.targets import load_target, parse_network

RNG = np.random.default_rng(3)
ENV = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))
IMAGES = RNG.standard_normal((24, 4, 8, 8)).astype(np.float32)


@dataclass(frozen=True)
class Images:
    """Data from memory, `batch` samples at a time."""

    images: NDArray[np.float32]
    batch: int = 5
    sha256: str = ""

    @property
    def samples(self) -> int:
        """Number of images."""
        return len(self.images)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield slices."""
        for start in range(0, len(self.images), self.batch):
            yield {"x": self.images[start : start + self.batch]}

    def labels(self) -> None:
        """There are none."""


def f32(channels: int) -> TensorType:
    return TensorType(DType.F32, ("N", channels, 8, 8))


def const(name: str, array: NDArray[Any]) -> Const:
    return Const(name, TensorType(dtype_of(array), array.shape), blob_from_array(array))


def network(second: str = "relu", gain: float = 1.0, third: float = 1.0, **limits: float) -> Graph:
    """Two convolutions beside each other, joined; a third; joined with what was joined; a fourth. As a dense block has it."""
    attrs = Attrs.of({"act": second, **limits} if second else {})
    ops = (
        Op(("a",), "conv", ("x", "w0"), Attrs.of(act="relu"), (f32(4),)),
        Op(("b",), "conv", ("x", "w1"), attrs, (f32(4),)),
        Op(("j",), "concat", ("a", "b"), Attrs.of(axis=1), (f32(8),)),
        Op(("c",), "conv", ("j", "w2"), Attrs.of(act="relu"), (f32(4),)),
        Op(("k",), "concat", ("j", "c"), Attrs.of(axis=1), (f32(12),)),
        Op(("y",), "conv", ("k", "w3"), Attrs(), (f32(4),)),
    )
    shapes = {"w0": (4, 4, 1, 1), "w1": (4, 4, 1, 1), "w2": (4, 8, 1, 1), "w3": (4, 12, 1, 1)}
    gains = {"w1": gain, "w2": 0.35 * third}
    rng = np.random.default_rng(8)
    consts = tuple(const(n, (gains.get(n, 1.0) * rng.standard_normal(s)).astype(np.float32)) for n, s in shapes.items())
    return Graph("main", (("", 21),), (Value("x", f32(4)),), consts, ops, ("y",))


def calibrated(graph: Graph, options: Calibrate | None = None, data: Images | None = None) -> Ranges:
    """Run the pass."""
    env = replace(ENV, calib=data or Images(IMAGES))
    return (options or Calibrate()).apply(Module((graph,)), env).fact(Ranges)


def lowered(graph: Graph, ranges: Ranges, bits: int) -> Module:
    """Return the module of Edge-Only with all activations at some bits and weights at 6."""
    position = len(graph.ops)
    plan = Plan(
        *("edge-only", position, "", 0.0, 0.0, 0.0, 0, 0, 0, 0.0, "optimal", 0.0),
        feasible=True,
        violations=(),
        weight_bits=tuple(NamedBits(c.name, 6) for c in graph.consts),
        act_bits=tuple(NamedBits(name, 8 if name == "x" else bits) for name in ("x", "a", "b", "j", "c", "k", "y")),
        wire_bits=(),
    )
    request = Request("", "m.onnx", "0", "eyeriss", "tpu", "3mbps")
    module = Partition().apply(Module((graph,), (request, ranges, Solutions("main", (plan,)), Choice("main", 0, ""))), ENV)
    assert verify(module) == ()
    return module


def kernels(data: bytes, folder: Path) -> list[str]:
    """Return the kinds of the ops that ONNX Runtime runs at level `extended`."""
    import onnx
    from onnxruntime import InferenceSession

    options = session_options("extended")
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    InferenceSession(data, options, ["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node]


def test_auto_clips_the_more_the_fewer_bits() -> None:
    ranges = calibrated(network())
    found = Quantisers(ranges)
    whole = Quantisers(replace(ranges, clips=None))
    assert [found.affine(name, 8).scale <= whole.affine(name, 8).scale for name in "xk"] == [True] * 2
    spans = [affine.scale * affine.max_code for affine in found.affines("y")]
    assert spans[2] < 0.85 * spans[7]
    assert calibrated(network(gain=9.0, third=20.0), Calibrate(method="min-max")).clips is None


def test_outputs_reach_beyond_what_was_seen_where_codes_are_fine() -> None:
    ranges = calibrated(network())
    found = Quantisers(ranges)
    seen = found.of_value["y"]
    wide = [affine.scale * affine.max_code / (seen.high - seen.low) for affine in found.affines("y")]
    assert wide[5:] == pytest.approx([1.2] * 3, rel=1e-6)
    assert max(wide[:5]) <= 1.0


def test_outputs_that_an_activation_ends_do_not_reach_beyond_it() -> None:
    graph = network()
    last = replace(graph.ops[-1], attrs=Attrs.of(act="clip", act_low=0.0, act_high=0.5))
    found = Quantisers(calibrated(replace(graph, ops=(*graph.ops[:-1], last))))
    assert found.affine("y", 8).scale * 255 == pytest.approx(0.5)


def test_clips_do_not_depend_on_batches() -> None:
    ranges = calibrated(network(), data=Images(IMAGES, 24))
    assert ranges == calibrated(network(), data=Images(IMAGES, 1)) == calibrated(network())
    assert ranges.clips is not None


def test_pictures_keep_every_level() -> None:
    pictures = RNG.integers(0, 256, IMAGES.shape).astype(np.float32)
    pictures[:, :, 1:] = np.minimum(pictures[:, :, 1:], 40)
    for method in ("auto", "percentile", "mse", "aciq"):
        found = Quantisers(calibrated(network(), Calibrate(method=method), Images(pictures)))
        assert (found.affine("x", 8).scale, found.affine("x", 8).zero_point) == (1.0, 0)
        assert found.affine("x", 4).scale == 17.0


@pytest.mark.parametrize(
    ("options", "code"),
    [(Calibrate(method="entropy"), "AS114"), (Calibrate(percentile=50.0), "AS154"), (Calibrate(percentile=100.5), "AS154")],
)
def test_bad_options_are_refused(options: Calibrate, code: str) -> None:
    with pytest.raises(CompileError, match=code) as caught:
        calibrated(network(), options)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("method", ["auto", "min-max", "percentile", "mse", "aciq"])
def test_operands_made_alike_share_one_scale_through_concats(method: str) -> None:
    found = Quantisers(calibrated(network(), Calibrate(method=method)))
    for bits in range(1, 9):
        assert len({found.affine(name, bits) for name in "abjck"}) == 1
        assert found.affine("a", bits).zero_point == 0
    assert found.affine("y", 4) != found.affine("k", 4)


@pytest.mark.parametrize(
    "graph",
    [network(gain=0.1), network(second=""), network(second="clip", act_low=0.0, act_high=2.0)],
    ids=["too far apart", "one is signed", "beyond a clip"],
)
def test_operands_that_would_lose_keep_their_own(graph: Graph) -> None:
    found = Quantisers(calibrated(graph))
    assert found.affine("a", 4) != found.affine("b", 4)


def test_an_input_keeps_its_own() -> None:
    graph = network()
    ops = tuple(replace(op, inputs=("a", "x")) if op.name == "j" else op for op in graph.ops)
    found = Quantisers(calibrated(replace(graph, ops=ops)))
    assert found.affine("x", 8) != found.affine("a", 8)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_concat_of_one_scale_copies_codes(bits: int, tmp_path: Path) -> None:
    """Level `extended` gives what single ops give, and nothing but the result's quantiser stands around the products."""
    graph = network()
    module = lowered(graph, calibrated(graph), bits)
    edge = module.graph("edge")
    joined = [op for op in edge.ops if op.kind == "concat"]
    assert [(op.results, op.inputs) for op in joined] == [(("j.q",), ("a.q", "b.q")), (("k.q",), ("j.q", "c.q"))]
    assert sum(op.kind == "quantize" for op in edge.ops) == 5
    data = emit_onnx(edge).SerializeToString()
    assert kernels(data, tmp_path).count("QLinearConv") == 4
    feed = {"x": IMAGES[:3]}
    plain = Engine.load(data, "edge.onnx", "disabled").run(feed)["y"]
    fused = Engine.load(data, "edge.onnx", "extended").run(feed)["y"]
    step = Quantisers(calibrated(graph)).affine("y", bits).scale
    assert np.mean(plain != fused) < 0.01
    assert np.abs(plain - fused).max() <= 1.01 * step
    exact = Engine.load(emit_onnx(graph).SerializeToString(), "main.onnx").run(feed)["y"]
    assert np.sum((fused - exact) ** 2) / np.sum(exact**2) < {8: 0.005, 4: 0.05, 2: 0.6}[bits]


def test_a_concat_of_two_scales_requantises() -> None:
    graph = network(gain=0.1)
    edge = lowered(graph, calibrated(graph), 8).graph("edge")
    assert next(op.inputs for op in edge.ops if op.kind == "concat") == ("a.dq", "b.dq")
