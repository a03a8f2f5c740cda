"""round-weights and refine-weights: what they give, what the edge graph makes of it, and what the cache keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import Attrs, CompileError, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Choice, Env, NamedBits, NoCache, Plan, Refinement, Request, Rounding, Solutions, pass_class, rounded_of
from autosplitc.passes.execute import load
from autosplitc.passes.layers import Effort
from autosplitc.passes.partition import Partition
from autosplitc.passes.quantize import Moments, RoundedLayer, mean_lasts, refit_lasts, round_layer
from autosplitc.passes.refine_weights import RefineWeights
from autosplitc.passes.round_weights import RoundWeights
from autosplitc.targets import load_target, parse_network

RNG = np.random.default_rng(3)
MIX = RNG.standard_normal((2, 6)).astype(np.float32)


def smooth(count: int) -> NDArray[np.float32]:
    """Pictures of six channels that are mixtures of two, with noise: inputs that tell much about each other."""
    two = RNG.standard_normal((count, 2, 6, 6)).astype(np.float32)
    return np.einsum("nchw,cd->ndhw", two, MIX) + 0.1 * RNG.standard_normal((count, 6, 6, 6)).astype(np.float32)


PICTURES, OTHERS = smooth(24), smooth(24)
CONSTS = {
    "w0": RNG.standard_normal((8, 6, 3, 3)).astype(np.float32) / 7,
    "b0": RNG.standard_normal(8).astype(np.float32) / 10,
    "w1": RNG.standard_normal((8, 1, 3, 3)).astype(np.float32) / 3,
    "w2": RNG.standard_normal((8, 5)).astype(np.float32) / 3,
}
ALL = ("w0", "w1", "w2")


@dataclass(frozen=True)
class Samples:
    """Data from memory, `batch` at a time."""

    pictures: NDArray[np.float32]
    batch: int = 24
    sha256: str = "1" * 64

    @property
    def samples(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield slices."""
        for start in range(0, self.samples, self.batch):
            yield {"x": self.pictures[start : start + self.batch]}

    def labels(self) -> None:
        """There are none."""


@dataclass
class Memory:
    """A cache in memory that counts what was found."""

    held: dict[str, bytes] = field(default_factory=dict[str, bytes])
    found: int = 0

    def get(self, key: str) -> bytes | None:
        """Return what is held."""
        self.found += key in self.held
        return self.held.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Hold a value."""
        self.held[key] = value


def f32(*shape: int | str) -> TensorType:
    return TensorType(DType.F32, shape)


def graph() -> Graph:
    """Graph: conv (relu), depthwise conv without a bias, mean over places, gemm without a bias."""
    ops = (
        Op(("a",), "conv", ("x", "w0", "b0"), Attrs.of(act="relu"), (f32("N", 8, 4, 4),)),
        Op(("b",), "conv", ("a", "w1"), Attrs.of(group=8), (f32("N", 8, 2, 2),)),
        Op(("m",), "global_average_pool", ("b",), types=(f32("N", 8, 1, 1),)),
        Op(("f",), "flatten", ("m",), types=(f32("N", 8),)),
        Op(("y",), "gemm", ("f", "w2"), types=(f32("N", 5),)),
    )
    consts = tuple(Const(name, f32(*array.shape), blob_from_array(array)) for name, array in CONSTS.items())
    return Graph("main", (("", 21),), (Value("x", f32("N", 6, 6, 6)),), consts, ops, ("y",))


def env(calib: Samples | None, cache: Any = None) -> Env:
    return Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib, cache=cache or NoCache())


def plan(bits: int, act_bits: int = 8) -> Plan:
    values = tuple(NamedBits(name, act_bits) for name in ("x", "a", "b", "m", "y"))
    return Plan(
        "edge-only", 5, "y", 0, 0, 0, 0, 0, 0, 0, "optimal", 0, True, (), tuple(NamedBits(name, bits) for name in ALL), values, ()
    )


def analysed(where: Env, **request: Any) -> Module:
    module = Module((graph(),), (Request("", "m.onnx", "0" * 64, "eyeriss", "tpu", "3mbps", **request),))
    for name in ("calibrate", "round-weights"):
        module = pass_class(name)().apply(module, where)
    return module


def refined(where: Env, bits: int, **request: Any) -> Module:
    module = analysed(where, **request).with_fact(Solutions("main", (plan(bits),)), Choice("main", 0, ""))
    return RefineWeights().apply(module, where)


def error(module: Module) -> float:
    """Noise-to-signal ratio of the output on other pictures with the edge's weights and biases, activations as they are."""
    main = module.main
    rounded = rounded_of(module, module.fact(Solutions).plans[0])
    axis = {"w0": 0, "w1": 0, "w2": 1}
    ops: list[Op] = []
    new = [c for c in main.consts if c.name not in axis]
    for op in main.ops:
        bias = rounded.bias(op.name, op.inputs[1]) if len(op.inputs) > 1 and op.inputs[1] in axis else None
        if bias is not None:
            new.append(Const(f"{op.name}.new", f32(*bias.shape), blob_from_array(bias)))
        ops.append(op if bias is None else replace(op, inputs=(*op.inputs[:2], f"{op.name}.new")))
    new += [Const(name, f32(*CONSTS[name].shape), blob_from_array(rounded.weight(main, name, a).dequantized())) for name, a in axis.items()]
    changed = replace(main, consts=tuple(new), ops=tuple(ops))
    exact, made = (load(g, ("y",)).run({"x": OTHERS})["y"].astype(np.float64) for g in (main, changed))
    return float(np.square(exact - made).sum() / np.square(exact).sum())


def plain(module: Module) -> Module:
    """Return the module without what was rounded on data."""
    return Module(module.graphs, tuple(f for f in module.facts if not isinstance(f, (Rounding, Refinement))))


@pytest.mark.parametrize("bits", [2, 4])
def test_rounding_on_data_beats_rounding_each_weight_alone(bits: int) -> None:
    module = refined(env(Samples(PICTURES)), bits)
    nearest, planned, final = error(plain(module)), error(Module(module.graphs, module.facts[:-1])), error(module)
    assert final < 0.6 * nearest
    assert planned < nearest


@pytest.mark.parametrize(("bits", "lasts", "taken"), [(8, False, False), (6, False, False), (5, False, True), (8, True, True)])
def test_fine_weights_move_only_where_half_the_data_says_so(monkeypatch: pytest.MonkeyPatch, bits: int, lasts: bool, taken: bool) -> None:
    seen: list[tuple[bool, bool]] = []

    def spy(matrix: NDArray[np.float32], moments: Moments, width: int, effort: Effort, refit: bool) -> RoundedLayer:
        seen.append((refit, bool(np.array_equal(moments.mean, moments.mean_exact))))
        return round_layer(matrix, moments, width, effort, refit)

    def answer(*_: object) -> bool:
        return lasts

    for name, function in (("round_layer", spy), ("refit_lasts", answer), ("mean_lasts", answer)):
        monkeypatch.setattr(f"autosplitc.passes.refine_weights.{name}", function)
    refined(env(Samples(PICTURES)), bits)
    assert seen == [(taken, not taken)] * len(ALL)


def halves(drift: float, offset: float, count: int) -> tuple[Moments, Moments]:
    """Return moments of two sets of rows: errors are `drift` of the first input plus `offset`, and noise of each set's own."""
    rng = np.random.default_rng(1)

    def half(sign: float) -> Moments:
        exact = rng.standard_normal((1, count, 8)).astype(np.float32)
        error = drift * exact[..., :1] + sign * offset + 0.3 * rng.standard_normal(exact.shape)
        return Moments.of(exact, (exact + error).astype(np.float32))

    return half(1.0), half(np.sign(offset) if drift else -1.0)


def test_a_refit_lasts_where_errors_follow_the_inputs() -> None:
    weights = RNG.standard_normal((1, 4, 8)).astype(np.float32)
    assert refit_lasts(weights, halves(0.5, 0.0, 4000), 8)
    assert not refit_lasts(weights, halves(0.0, 0.0, 10), 6)


def test_a_mean_lasts_where_both_halves_have_it() -> None:
    weights = np.ones((1, 4, 8), np.float32)
    assert mean_lasts(weights, halves(0.5, 1.0, 400))
    assert not mean_lasts(weights, halves(0.0, 1.0, 400))


def test_every_width_of_every_constant_is_there() -> None:
    fact = analysed(env(Samples(PICTURES))).fact(Rounding)
    assert [(w.const, w.bits) for w in fact.weights] == [(name, bits) for name in ALL for bits in (2, 4, 6, 8)]
    assert all(fact.weights[i].nsr > fact.weights[i + 1].nsr for i in range(0, 12, 4))
    assert {b.op for b in fact.biases} == {"a", "b", "y"}


def test_only_the_widths_that_are_asked_for() -> None:
    assert {w.bits for w in analysed(env(Samples(PICTURES)), weight_bits=(4,)).fact(Rounding).weights} == {4}


def test_without_data_there_is_nothing() -> None:
    module = refined(env(None), 4)
    assert module.fact(Rounding).weights == module.fact(Refinement).weights == ()


def test_batches_change_nothing() -> None:
    assert refined(env(Samples(PICTURES)), 4) == refined(env(Samples(PICTURES, batch=5)), 4)


def test_the_edge_gets_the_refined_codes_and_biases() -> None:
    module = refined(env(Samples(PICTURES)), 4)
    edge = Partition().apply(module, env(None)).graph("edge")
    kept = {w.const: w.scale.blob.sha256 for w in module.fact(Refinement).weights}
    assert {name: edge.const[f"{name}.scale"].blob.sha256 for name in ALL} == kept
    assert edge.const["w0.q"].type.dtype is DType.I4
    assert all(len(op.inputs) == 3 for op in edge.ops if op.kind in ("conv", "gemm"))


def test_what_the_cache_holds_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Memory()
    first = refined(env(Samples(PICTURES), cache), 4)
    assert cache.found == 0
    monkeypatch.setattr("autosplitc.passes.round_weights.walk", None)
    monkeypatch.setattr("autosplitc.passes.refine_weights.walk", None)
    assert refined(env(Samples(PICTURES), cache), 4) == first
    assert cache.found == 15


def test_a_damaged_cache_is_made_again() -> None:
    cache = Memory()
    first = refined(env(Samples(PICTURES), cache), 4)
    cache.held = {key: value[:50] for key, value in cache.held.items()}
    assert refined(env(Samples(PICTURES), cache), 4) == first


def test_plans_share_what_they_begin_with() -> None:
    cache = Memory()
    module = refined(env(Samples(PICTURES), cache), 4)
    other = replace(plan(4), weight_bits=(NamedBits("w0", 4), NamedBits("w1", 4), NamedBits("w2", 2)))
    cache.found = 0
    changed = RefineWeights().apply(module.with_fact(Solutions("main", (other,))), env(Samples(PICTURES), cache))
    assert cache.found == 2
    assert changed.fact(Refinement).weights[:2] == module.fact(Refinement).weights[:2]
    assert changed == RefineWeights().apply(module.with_fact(Solutions("main", (other,))), env(Samples(PICTURES)))


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(CompileError) as caught:
        RoundWeights(effort="hard").apply(analysed(env(None)), env(None))
    assert [d.code for d in caught.value.diagnostics] == ["AS156"]
