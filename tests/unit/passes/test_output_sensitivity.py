"""Change of the outputs: against the whole network computed anew by numpy, and what the cache saves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import ArrayRef, Attrs, CompileError, Const, Diagnostic, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Env, Quantisers, Ranges, Request, RoundedBias, RoundedWeight, Rounding, Sensitivity, quantize_weight
from autosplitc.passes.calibrate import Calibrate
from autosplitc.passes.downstream import Store, downstream
from autosplitc.passes.measure_sensitivity import MeasureSensitivity
from autosplitc.passes.output_sensitivity import at_all_widths
from autosplitc.passes.quantize import FORBIDDEN_NSR, fake_quantize
from autosplitc.targets import load_target, parse_network

T = TypeVar("T")
RNG = np.random.default_rng(5)
WEIGHTS = {name: RNG.laplace(size=(6, 6, 1, 1)).astype(np.float32) * 0.5 for name in ("w1", "w2", "w3")}
BIASES = {"b2": RNG.standard_normal(6).astype(np.float32)}
MATRIX = RNG.standard_normal((6, 5)).astype(np.float32)
IMAGES = RNG.standard_normal((24, 6, 5, 5)).astype(np.float32)


@dataclass(frozen=True)
class Images:
    """Data from memory, in batches of `size`."""

    images: NDArray[np.float32]
    size: int = 7
    sha256: str = ""

    @property
    def samples(self) -> int:
        """Number of images."""
        return len(self.images)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield batches."""
        yield from ({"x": self.images[i : i + self.size]} for i in range(0, len(self.images), self.size))

    def labels(self) -> None:
        """There are none."""


@dataclass
class Memory:
    """A cache in memory that counts; `stop_after` puts it interrupts."""

    held: dict[str, bytes] = field(default_factory=dict[str, bytes])
    hits: int = 0
    puts: int = 0
    stop_after: int | None = None

    def get(self, key: str) -> bytes | None:
        """Return what is held."""
        self.hits += key in self.held
        return self.held.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Hold a value."""
        if self.puts == self.stop_after:
            raise KeyboardInterrupt
        self.puts += 1
        self.held[key] = value


def f32(*shape: int | str) -> TensorType:
    """A float type."""
    return TensorType(DType.F32, shape)


def const(name: str, array: NDArray[Any]) -> Const:
    """A constant."""
    return Const(name, f32(*array.shape), blob_from_array(array))


def network(outputs: tuple[str, ...] = ("y",)) -> Graph:
    """Two convs with a shortcut around the second, a third, mean, matmul: `y`; `p` is its softmax, `d` the third conv's result."""
    plane = f32("N", 6, 5, 5)
    ops = (
        Op(("a",), "conv", ("x", "w1"), Attrs.of(act="relu"), (plane,)),
        Op(("b",), "conv", ("a", "w2", "b2"), Attrs(), (plane,)),
        Op(("c",), "add", ("b", "a"), Attrs.of(act="relu"), (plane,)),
        Op(("d",), "conv", ("c", "w3"), Attrs.of(act="relu"), (plane,)),
        Op(("m",), "global_average_pool", ("d",), Attrs(), (f32("N", 6, 1, 1),)),
        Op(("f",), "flatten", ("m",), Attrs(), (f32("N", 6),)),
        Op(("y",), "matmul", ("f", "k"), Attrs(), (f32("N", 5),)),
        Op(("p",), "softmax", ("y",), Attrs(), (f32("N", 5),)),
    )
    consts = tuple(const(name, array) for name, array in {**WEIGHTS, **BIASES, "k": MATRIX}.items())
    return Graph("main", (("", 21),), (Value("x", f32("N", 6, 5, 5)),), consts, ops, outputs)


def conv(x: NDArray[Any], w: NDArray[Any]) -> NDArray[Any]:
    """A 1x1 convolution."""
    return np.einsum("nihw,oi->nohw", x, w[:, :, 0, 0])


def whole(x: NDArray[Any], replaced: Mapping[str, NDArray[Any]], affine: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Every value, with constants `replaced` and values of `affine` quantised."""
    w = {**WEIGHTS, **BIASES, "k": MATRIX, **replaced}

    def held(name: str, value: NDArray[Any]) -> NDArray[Any]:
        return fake_quantize(value, affine[name]) if name in affine else value

    a = held("a", np.maximum(conv(x, w["w1"]), 0))
    b = held("b", conv(a, w["w2"]) + w["b2"].reshape(1, -1, 1, 1))
    c = held("c", np.maximum(b + a, 0))
    d = held("d", np.maximum(conv(c, w["w3"]), 0))
    m = held("m", d.mean(axis=(2, 3), keepdims=True))
    y = held("y", m.reshape(len(x), 6) @ w["k"])
    e = np.exp(y.astype(np.float64))
    return {"a": a, "b": b, "c": c, "d": d, "m": m, "y": y, "p": e / e.sum(axis=1, keepdims=True)}


def kl(exact: NDArray[Any], other: NDArray[Any]) -> float:
    """Mean KL divergence of softmax outputs."""
    nats: NDArray[np.float64] = exact * np.log(exact / other)
    return float(nats.sum()) / len(nats)


def noise(exact: NDArray[Any], other: NDArray[Any]) -> float:
    """Noise-to-signal ratio."""
    return float(np.sum((exact.astype(np.float64) - other) ** 2) / np.sum(exact.astype(np.float64) ** 2))


def calibrated(graph: Graph, env: Env, request: Request | None = None) -> Module:
    """The network with ranges."""
    return Calibrate().apply(Module((graph,), (request,) if request else ()), env)


def env_of(data: Images | None, cache: Memory | None = None) -> Env:
    """An environment."""
    return Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib=data, cache=cache or Memory())


def measured(module: Module, env: Env, samples: int = 32) -> Sensitivity:
    """The fact."""
    return MeasureSensitivity(samples=samples).apply(module, env).fact(Sensitivity)


@pytest.mark.parametrize("output", ["y", "p"])
def test_a_classifiers_change_is_that_of_the_whole_network(output: str) -> None:
    env = env_of(Images(IMAGES))
    module = calibrated(network((output,)), env)
    fact = measured(module, env)
    assert (fact.measure, fact.unit, fact.samples) == ("output", "kl", 24)
    exact = whole(IMAGES, {}, {})["p"]
    for record in fact.weights:
        assert record.output[0] == FORBIDDEN_NSR
        axis = 1 if record.tensor == "k" else 0
        array = {**WEIGHTS, "k": MATRIX}[record.tensor]
        for bits in (2, 4, 6, 8):
            changed = whole(IMAGES, {record.tensor: quantize_weight(array, bits, axis).dequantized()}, {})["p"]
            assert record.output[bits - 1] == pytest.approx(kl(exact, changed), rel=2e-3, abs=1e-8)
    quantisers = Quantisers(module.fact(Ranges))
    by_name = {record.tensor: record.output for record in fact.activations}
    for name in ("a", "b", "c", "d", "m", "y"):
        for bits in (1, 2, 4, 6, 8):
            changed = whole(IMAGES, {}, {name: quantisers.affine(name, bits)})["p"]
            assert by_name[name][bits - 1] == pytest.approx(kl(exact, changed), rel=2e-3, abs=1e-8)
    assert by_name["x"] == ()
    assert by_name["f"] == by_name["m"]


def test_other_outputs_are_compared_as_noise_and_signal() -> None:
    env = env_of(Images(IMAGES))
    module = calibrated(network(("y", "d")), env)
    fact = measured(module, env)
    assert fact.unit == "nsr"
    exact, quantisers = whole(IMAGES, {}, {}), Quantisers(module.fact(Ranges))
    by_name = {record.tensor: record.output for record in (*fact.weights, *fact.activations)}
    for bits in (2, 4, 8):
        held = {"w2": quantize_weight(WEIGHTS["w2"], bits, 0).dequantized()}
        for name, changed in (
            ("w2", whole(IMAGES, held, {})),
            ("c", whole(IMAGES, {}, {"c": quantisers.affine("c", bits)})),
            ("d", whole(IMAGES, {}, {"d": quantisers.affine("d", bits)})),
        ):
            wanted = (noise(exact["y"], changed["y"]) + noise(exact["d"], changed["d"])) / 2
            assert by_name[name][bits - 1] == pytest.approx(wanted, rel=1e-3)
        late = noise(exact["y"], whole(IMAGES, {}, {"m": quantisers.affine("m", bits)})["y"]) / 2
        assert by_name["m"][bits - 1] == pytest.approx(late, rel=1e-3)


def ref(array: NDArray[Any], dtype: DType) -> ArrayRef:
    """An array as facts hold it."""
    return ArrayRef(TensorType(dtype, array.shape), blob_from_array(array))


def test_weights_that_were_rounded_on_data_are_measured_with_their_codes_and_biases() -> None:
    env = env_of(Images(IMAGES))
    codes = {name: quantize_weight(WEIGHTS[name], 4, 0) for name in ("w2", "w3")}
    shifts = {"b": BIASES["b2"] + np.float32(0.3), "d": np.full(6, -0.2, np.float32)}
    rounding = Rounding(
        "main",
        "normal",
        tuple(RoundedWeight(n, 4, ref(-c.codes, DType.I8), ref(c.scale, DType.F32), 0.125) for n, c in codes.items()),
        tuple(RoundedBias(op, 4, ref(values, DType.F32)) for op, values in shifts.items()),
    )
    plain = calibrated(network(), env)
    fact, other = measured(plain.with_fact(rounding), env), measured(plain, env)
    exact = whole(IMAGES, {}, {})["p"]
    own = {w.tensor: w for w in fact.weights}
    before = {w.tensor: w for w in other.weights}
    for name, replaced in (("w2", {"b2": shifts["b"]}), ("w3", {})):
        changed = whole(IMAGES, {name: -codes[name].dequantized(), **replaced}, {})
        if name == "w3":
            d = np.maximum(conv(changed["c"], -codes[name].dequantized()) - np.float32(0.2), 0)
            y = (d.mean(axis=(2, 3)) @ MATRIX).astype(np.float64)
            changed["p"] = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
        assert own[name].output[3] == pytest.approx(kl(exact, changed["p"]), rel=2e-3)
        assert own[name].output[7] == pytest.approx(before[name].output[7], rel=1e-3)
        assert own[name].nsr[3] == 0.125
        assert own[name].mse[3] == pytest.approx(float(np.mean((WEIGHTS[name] + codes[name].dequantized()) ** 2)), rel=1e-5)
    assert own["w1"] == before["w1"]


def test_an_interrupted_measurement_goes_on_and_ends_the_same() -> None:
    fresh = Memory()
    module = calibrated(network(), env_of(Images(IMAGES)))
    whole_run = measured(module, env_of(Images(IMAGES), fresh))
    cache = Memory(stop_after=11)
    with pytest.raises(KeyboardInterrupt):
        measured(module, env_of(Images(IMAGES), cache))
    cache.stop_after, cache.hits = None, 0
    assert measured(module, env_of(Images(IMAGES), cache)) == whole_run
    assert (cache.hits, cache.puts) == (11, fresh.puts)
    cache.hits = 0
    assert measured(module, env_of(Images(IMAGES, size=3), cache)) == whole_run
    assert (cache.hits, cache.puts) == (fresh.puts, fresh.puts)


def test_what_a_figure_depends_on_is_in_its_key() -> None:
    cache = Memory()
    env = env_of(Images(IMAGES), cache)
    module = calibrated(network(), env)
    first = measured(module, env)
    alone = measured(calibrated(network(), env_of(Images(IMAGES))), env_of(Images(IMAGES)))
    assert first == alone
    half = env_of(Images(IMAGES), cache)
    fewer = measured(module, half, samples=4)
    assert fewer.samples == 4
    assert fewer == measured(module, env_of(Images(IMAGES)), samples=4)
    assert fewer != first
    ranges = module.fact(Ranges)
    wider = module.with_fact(replace(ranges, clips=None, values=tuple(replace(v, high=2 * v.high) for v in ranges.values)))
    assert measured(wider, env).activations[1].output[3] > 1.5 * first.activations[1].output[3]
    scaled = tuple(const(name, array * np.float32(1.5)) for name, array in {**WEIGHTS, **BIASES, "k": MATRIX}.items())
    other = calibrated(replace(network(), consts=scaled), env)
    assert measured(other, env) == measured(other, env_of(Images(IMAGES)))


def request(**more: Any) -> Request:
    """A request."""
    return Request("", "m", "", "eyeriss", "tpu", "3mbps", **more)


def test_the_request_says_what_is_summed_and_which_widths_are_looked_at() -> None:
    env = env_of(Images(IMAGES))
    for asked in ("mse", "sqnr"):
        fact = measured(calibrated(network(), env, request(sensitivity=asked)), env)
        assert (fact.measure, fact.unit, fact.samples) == (asked, "", 0)
        assert all(record.output == () for record in (*fact.weights, *fact.activations))
    without = env_of(None)
    assert measured(calibrated(network(), without), without).measure == "sqnr"
    with pytest.raises(CompileError, match="AS158"):
        measured(calibrated(network(), without, request(sensitivity="output")), without)
    with pytest.raises(CompileError, match="AS159"):
        measured(calibrated(network(), env), env, samples=0)
    cache = Memory()
    counted = env_of(Images(IMAGES), cache)
    measured(calibrated(network(), counted, request(weight_bits=(3,), act_bits=(5,), wire_bits=(5, 7))), counted)
    weights, activations = 4, len("abcdmyp")
    assert cache.puts == weights + weights + 2 * activations


def test_a_model_without_float_outputs_is_measured_by_its_tensors() -> None:
    best = Op(("i",), "onnx.ArgMax", ("y",), Attrs.of(axis=1, keepdims=0), (TensorType(DType.I64, ("N",)),))
    graph = replace(network(), ops=(*network().ops[:-1], best), outputs=("i",))
    told: list[Diagnostic] = []
    env = replace(env_of(Images(IMAGES)), warn=told.append)
    assert measured(calibrated(graph, env), env).measure == "sqnr"
    assert [d.code for d in told] == ["AS327"]


def test_widths_between_measured_ones_lie_between_them() -> None:
    assert at_all_widths({2: 1e-2, 4: 1e-4, 8: 1e-6}) == pytest.approx((4e-2, 1e-2, 1e-3, 1e-4, 10**-4.5, 1e-5, 10**-5.5, 1e-6))
    assert at_all_widths({8: 0.0}) == (0.0,) * 8
    assert at_all_widths({}) == (FORBIDDEN_NSR,) * 8


def test_downstream_is_what_depends_on_the_change_and_leads_to_an_output() -> None:
    graph = network(("y",))
    part = downstream(graph, {"b": graph.types["b"]}, ("y",))
    assert ([op.name for op in part.part.ops], part.live) == (["c", "d", "m", "f", "y"], ("a",))
    part = downstream(graph, {"w3": graph.types["w3"]}, ("y",))
    assert ([op.name for op in part.part.ops], part.live) == (["d", "m", "f", "y"], ("c",))
    assert downstream(graph, {"p": graph.types["p"]}, ("y",)).part.ops == ()


def test_values_beyond_the_limit_are_kept_in_a_file() -> None:
    arrays = [RNG.standard_normal((3, i)).astype(np.float32) for i in range(6)] + [np.arange(4), np.array(2.0)]
    with Store(limit_bytes=40) as store:
        for run, array in enumerate(arrays):
            store.put("a", run, array)
        for run, array in enumerate(arrays):
            np.testing.assert_array_equal(store.get(("a",), run)["a"], array)
        assert any(isinstance(store.get(("a",), run)["a"], np.memmap) for run in range(len(arrays)))


def test_progress_is_told() -> None:
    seen: list[str] = []

    @dataclass
    class Watch:
        """Notes what is tracked."""

        def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
            """Yield items."""
            del total
            seen.append(description)
            yield from items

    env = replace(env_of(Images(IMAGES)), progress=Watch())
    measured(calibrated(network(), env), env)
    assert "measure outputs" in seen
