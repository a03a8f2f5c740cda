"""measure-sensitivity: what the fact holds, against direct quantisation of the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Attrs, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Env, Sensitivity, affine_of_range, dequantize_array, quantize_array, quantize_weight
from autosplitc.passes.calibrate import Calibrate
from autosplitc.passes.measure_sensitivity import MeasureSensitivity
from autosplitc.passes.quantize import FORBIDDEN_NSR
from autosplitc.targets import load_target, parse_network

RNG = np.random.default_rng(11)
WEIGHTS = RNG.laplace(size=(8, 3, 1, 1)).astype(np.float32)
MATRIX = RNG.standard_normal((72, 5)).astype(np.float32)
IMAGES = RNG.standard_normal((6, 3, 12, 12)).astype(np.float32)


@dataclass(frozen=True)
class Images:
    """Data from memory."""

    images: NDArray[np.float32]
    sha256: str = ""

    @property
    def samples(self) -> int:
        """Number of images."""
        return len(self.images)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield one batch."""
        yield {"x": self.images}

    def labels(self) -> None:
        """There are none."""


def const(name: str, array: NDArray[np.float32]) -> Const:
    """A constant."""
    return Const(name, TensorType(DType.F32, array.shape), blob_from_array(array))


def f32(*shape: int | str) -> TensorType:
    """A float type."""
    return TensorType(DType.F32, shape)


def network() -> Graph:
    """A conv with relu, max-pool, slice of its first half, flatten, matmul, and a logarithm that is not finite."""
    bounds = {"start": 0, "end": 2, "axis": 2}
    ints = [Const(n, TensorType(DType.I64, (1,)), blob_from_array(np.array([v], np.int64))) for n, v in bounds.items()]
    ops = (
        Op(("a",), "conv", ("x", "w"), Attrs.of(act="relu"), (f32("N", 8, 12, 12),)),
        Op(("p",), "max_pool", ("a",), Attrs.of(kernel_shape=(4, 4), strides=(4, 4)), (f32("N", 8, 3, 3),)),
        Op(("s",), "slice", ("p", "start", "end", "axis"), Attrs(), (f32("N", 8, 2, 3),)),
        Op(("f",), "flatten", ("p",), Attrs(), (f32("N", 72),)),
        Op(("y",), "matmul", ("f", "m"), Attrs(), (f32("N", 5),)),
        Op(("z",), "onnx.Log", ("s",), Attrs(), (f32("N", 8, 2, 3),)),
    )
    consts = (const("w", WEIGHTS), const("m", MATRIX), const("unread", MATRIX), *ints)
    return Graph("main", (("", 21),), (Value("x", f32("N", 3, 12, 12)),), consts, ops, ("y", "z"))


def measured(images: NDArray[np.float32]) -> tuple[Sensitivity, NDArray[np.float64]]:
    """Run both passes; return the fact and its wire table."""
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib=Images(images))
    module = MeasureSensitivity().apply(Calibrate(method="min-max").apply(Module((network(),)), env), env)
    fact = module.fact(Sensitivity)
    return fact, fact.wire_nsr.blob.read().view(np.float64).reshape(fact.wire_nsr.type.dims)


def values(images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The network's values, by numpy."""
    a = np.maximum(np.einsum("nihw,oi->nohw", images, WEIGHTS[:, :, 0, 0]), 0)
    pooled = a.reshape(len(images), 8, 3, 4, 3, 4).max(axis=(3, 5))
    flat = pooled.reshape(len(images), 72)
    return {"x": images, "a": a, "p": pooled, "s": pooled[:, :, :2], "f": flat, "y": flat @ MATRIX}


def ratio(exact: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Noise-to-signal power ratio."""
    return float(np.mean((exact.astype(np.float64) - other) ** 2) / np.mean(exact.astype(np.float64) ** 2))


def close(found: float, wanted: float, relative: float) -> None:
    """Assert that two figures agree."""
    np.testing.assert_allclose(found, wanted, rtol=relative)


def test_weights_have_the_errors_of_their_final_rounding() -> None:
    fact, _ = measured(IMAGES)
    assert [w.tensor for w in fact.weights] == ["w", "m"]
    for record, array, axis in zip(fact.weights, (WEIGHTS, MATRIX), (0, 1), strict=True):
        assert record.nsr[0] == FORBIDDEN_NSR
        for bits in range(2, 9):
            close(record.nsr[bits - 1], ratio(array, quantize_weight(array, bits, axis).dequantized()), 1e-3)


def test_activations_are_measured_under_the_range_of_their_root() -> None:
    fact, wires = measured(IMAGES)
    assert [a.tensor for a in fact.activations] == ["x", "a", "p", "s", "f", "y", "z"]
    assert wires.shape == (7, 9, 8)
    found = values(IMAGES)
    root = {"p": "a", "s": "a", "f": "a"}
    for index, record in enumerate(fact.activations[:-1]):
        exact = found[record.tensor]
        shared = found[root.get(record.tensor, record.tensor)]
        for bits in range(1, 9):
            affine = affine_of_range(float(shared.min()), float(shared.max()), bits)
            held = dequantize_array(quantize_array(exact, affine), affine)
            close(record.nsr[bits - 1], ratio(exact, held), 0.12)
            close(record.mse[bits - 1], ratio(exact, held) * float(np.mean(exact.astype(np.float64) ** 2)), 0.12)
            close(wires[index, 8, bits - 1], record.nsr[bits - 1], 1e-6)
            assert wires[index, bits - 1, bits - 1] == 0.0
            assert (wires[index, bits - 1, bits:] == FORBIDDEN_NSR).all()


def test_values_that_are_not_finite_are_forbidden() -> None:
    silent = IMAGES.copy()
    silent[0] = 0.0
    fact, wires = measured(silent)
    assert fact.activations[-1].nsr == (FORBIDDEN_NSR,) * 8
    assert (wires[-1] == FORBIDDEN_NSR).all()


def test_pictures_cost_nothing_at_8_bits() -> None:
    fact, wires = measured(RNG.integers(0, 256, IMAGES.shape).astype(np.float32))
    assert fact.activations[0].nsr[7] < 1e-12
    assert wires[0, 8, 7] < 1e-12
    assert fact.activations[0].nsr[6] > 1e-6


def test_only_f32_values_are_measured_and_keys_exist() -> None:
    fact, _ = measured(IMAGES)
    assert set(fact.speaks_of()) <= set(network().types)
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))
    half = TensorType(DType.F16, ("N", 2))
    graph = Graph("main", (("", 21),), (Value("x", half),), (), (Op(("y",), "relu", ("x",), Attrs(), (half,)),), ("y",))
    found = MeasureSensitivity().apply(Calibrate().apply(Module((graph,)), env), env).fact(Sensitivity)
    assert found.activations == found.weights == ()
    assert found.wire_nsr.type.dims == (0, 9, 8)
