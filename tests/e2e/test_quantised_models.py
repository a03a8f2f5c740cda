"""Models that come with quantisers of their own: those keep their scales and bits; the cut and the wire are planned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import autosplitc
from autosplitc.passes import Splits, WireLayout

if TYPE_CHECKING:
    from onnx import ModelProto


@pytest.fixture
def quantised(bench: Any) -> ModelProto:
    """Return three convolutions with 8-bit codes throughout; the weights of the first are the third's too, all dequantised at the start."""
    body = """
        g (float[N, 4, 16, 16] x) => (float[N, 4, 8, 8] y) {
            w = DequantizeLinear<axis = 0>(wq, ws, wz)
            n = DequantizeLinear<axis = 0>(nq, ns)
            b = DequantizeLinear(bq, bs)
            m = DequantizeLinear<axis = 0>(mq, ms)
            xq = QuantizeLinear(x, xs, xz)
            xd = DequantizeLinear(xq, xs, xz)
            c = Conv<pads = [1, 1, 1, 1]>(xd, w, b)
            cr = Relu(c)
            cq = QuantizeLinear(cr, cs, zero)
            cd = DequantizeLinear(cq, cs, zero)
            p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(cd)
            pq = QuantizeLinear(p, cs, zero)
            pd = DequantizeLinear(pq, cs, zero)
            d = Conv(pd, n)
            dq = QuantizeLinear(d, ds, dz)
            dd = DequantizeLinear(dq, ds, dz)
            e = Conv(dd, m)
            eq = QuantizeLinear(e, es, ez)
            ed = DequantizeLinear(eq, es, ez)
            f = Conv<pads = [1, 1, 1, 1]>(ed, w)
            s = Add(f, ed)
            sq = QuantizeLinear(s, fs, fz)
            y = DequantizeLinear(sq, fs, fz)
        }
    """
    r = np.random.default_rng(0)

    def codes(*shape: int) -> Any:
        return r.integers(-127, 128, shape).astype(np.int8)

    def f32(*values: float) -> Any:
        found = np.array(values, np.float32)
        return found if found.size > 1 else found.reshape(())

    def u8(value: int) -> Any:
        return np.array(value, np.uint8)

    consts = {
        "wq": codes(4, 4, 3, 3), "ws": f32(0.002, 0.003, 0.001, 0.002), "wz": np.zeros(4, np.int8),
        "nq": codes(1, 4, 1, 1), "ns": f32(0.005).reshape(1), "mq": codes(4, 1, 1, 1), "ms": f32(0.008, 0.004, 0.005, 0.006),
        "bq": r.integers(-2000, 2000, 4).astype(np.int32), "bs": f32(0.0001),
        "xs": f32(0.02), "xz": u8(128), "cs": f32(0.015), "zero": u8(0), "ds": f32(0.02), "dz": u8(120),
        "es": f32(0.015), "ez": u8(130), "fs": f32(0.02), "fz": u8(128),
    }  # fmt: skip
    return bench.model(body, consts)


@pytest.mark.parametrize("wire", [8, 4, None])
def test_every_cut_of_a_quantised_model(bench: Any, quantised: ModelProto, wire: int | None) -> None:
    """The weights with readers on both sides are made on both; halves and whole agree, neighbouring quantisers or not."""
    module = bench.module_of(quantised)
    names = [op.name for op in module.main.ops]
    assert names.index("n") == names.index("d") - 1
    for position in range(len(names) + 1):
        lowered = bench.lowered(module, position, wire=wire)
        sent = {tensor.name for tensor in lowered.fact(WireLayout).tensors}
        assert not sent & {"w", "n", "b", "m"}
        bench.checked(lowered)
        if names.index("cr") < position <= names.index("f"):
            assert "w.cloud" in {op.name for op in lowered.graph("cloud").ops}


def test_the_plan_cuts_at_the_narrowest_codes(quantised: ModelProto, tmp_path: Path) -> None:
    made = autosplitc.compile(quantised, output=tmp_path / "out", seed=3, network="ble", edge_memory=2290, wire_bits=(8,))
    assert made.best.kind == "split"
    assert made.best.payload_bytes == 64
    assert made.best.ram_bytes < 2 * 4 * 16 * 16 + 4 * 4 * 9 + 100  # two tensors of bytes, the first weights, scales and the like
    assert made.measurements["quality"]["sqnr_db"] is None, "the codes of the model are sent: nothing differs from it"
    assert made.measurements["check"]["halves_equal_whole"]
    assert not made.best.weight_bits


def test_no_cut_lies_behind_weights_that_only_the_cloud_reads(quantised: ModelProto, tmp_path: Path) -> None:
    made = autosplitc.compile(quantised, output=tmp_path / "out", seed=3, network="50mbps")
    splits = {s.after: s for s in made.module.fact(Splits).splits}
    assert splits["n"].reason == "op 'n' depends on constants alone, and nothing before the cut reads it"
    assert splits["pd"].reason == ""
    assert splits["n"].crossing == splits["pd"].crossing == ("pd",)
