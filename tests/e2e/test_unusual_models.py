"""Cuts of models with more than convolutions: several outputs, sub-graphs, integers on the wire, recurrent layers, half precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autosplitc.check import check_bundle
from autosplitc.codegen import emit_onnx
from autosplitc.ir import CompileError, DType, Module
from autosplitc.passes import WireLayout

RANDOM = np.random.default_rng(0)


def weights(*shape: int) -> Any:
    return RANDOM.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)


def every_cut(bench: Any, module: Module, **bits: Any) -> list[Module]:
    """Check every cut at which sizes allow one; return the lowered modules."""
    made = [bench.lowered(module, position, **bits) for position in range(len(module.main.ops) + 1)]
    for lowered in made:
        bench.checked(lowered)
    return made


def test_outputs_on_both_sides(bench: Any) -> None:
    """A value that crosses, is read on the edge and is a model output keeps its name, and so does every other output."""
    body = """
        g (float[N, 4, 8, 8] x) => (float[N, 4, 8, 8] a, float[N, 4, 8, 8] m, float[N, 4, 8, 8] s) {
            c = Conv<pads = [1, 1, 1, 1]>(x, cw)
            a = Relu(c)
            d = Conv<pads = [1, 1, 1, 1]>(a, dw)
            m = Identity(d)
            e = Conv<pads = [1, 1, 1, 1]>(m, ew)
            s = Add(e, a)
        }
    """
    module = bench.module(body, {"cw": weights(4, 4, 3, 3), "dw": weights(4, 4, 3, 3), "ew": weights(4, 4, 3, 3)})
    for bits in ({}, {"wire": 2}, {"acts": 4, "wire": 4, "weights": (6,)}):
        for lowered in every_cut(bench, module, **bits):
            sides = {place.output: place.side for place in lowered.fact(WireLayout).outputs}
            assert set(sides) == {"a", "m", "s"}
            assert [name for name in lowered.graph("edge").outputs if name in sides] == [n for n, side in sides.items() if side == "edge"]
            assert lowered.graph("whole").outputs == ("a", "m", "s")


def test_a_sub_graph_reads_what_crossed(bench: Any) -> None:
    body = """
        g (float[N, 4] x, bool flag) => (float[N, 4] y) {
            h = MatMul(x, w)
            r = Relu(h)
            t = Tanh(r)
            y = If<
                then_branch = yes () => (float[N, 4] p) { p = Mul(r, t) },
                else_branch = no () => (float[N, 4] q) { q = Sub(x, t) }
            >(flag)
        }
    """
    module = bench.module(body, {"w": weights(4, 4)})
    assert module.main.ops[-1].kind == "onnx.If"
    for lowered in every_cut(bench, module, wire=4)[:-1]:
        crossing = {t.name: t for t in lowered.fact(WireLayout).tensors}
        assert crossing["flag"].dtype == DType.BOOL
        assert crossing["flag"].nbytes == 1


def test_integers_cross_as_they_are(bench: Any) -> None:
    body = """
        g (int64[N, 5] ids, float[N, 8] x) => (float[N, 6] y) {
            e = Gather(table, ids)
            f = ReduceMean<keepdims = 0>(e, one)
            s = Add(f, x)
            y = MatMul(s, w)
        }
    """
    consts = {"table": weights(10, 8), "w": weights(8, 6), "one": np.array([1])}
    module = bench.module(body, consts)
    lowered = every_cut(bench, module)
    tensors = {t.name: t for t in lowered[0].fact(WireLayout).tensors}
    assert (tensors["ids"].bits, tensors["ids"].nbytes, tensors["x"].bits) == (0, 40, 8)


def test_recurrent_layers_stay_float(bench: Any) -> None:
    body = """
        g (float[1, 3, 8, 12] x) => (float[12, 1, 10] y) {
            c = Conv<pads = [1, 1, 1, 1]>(x, cw, cb)
            a = HardSwish(c)
            m = ReduceMean<keepdims = 0>(a, two)
            t = Transpose<perm = [2, 0, 1]>(m)
            h = LSTM<hidden_size = 5, direction = "bidirectional">(t, lw, lr)
            q = Transpose<perm = [0, 2, 1, 3]>(h)
            y = Reshape(q, last)
        }
    """
    consts = {
        "cw": weights(6, 3, 3, 3),
        "cb": weights(6),
        "two": np.array([2]),
        "lw": weights(2, 20, 6),
        "lr": weights(2, 20, 5),
        "last": np.array([12, 1, 10]),
    }
    module = bench.module(body, consts)
    for bits in ({}, {"wire": 3, "weights": (5,)}):
        every_cut(bench, module, **bits)


def test_half_precision_crosses_whole_or_as_codes_of_single(bench: Any) -> None:
    body = """
        g (float[N, 6] x) => (float[N, 6] y) {
            h = Cast<to = 10>(x)
            a = MatMul(h, w)
            b = Tanh(a)
            c = MatMul(b, w)
            y = Cast<to = 1>(c)
        }
    """
    module = bench.module(body, {"w": weights(6, 6).astype(np.float16)})
    whole = every_cut(bench, module, wire=None)
    assert [t.dtype for t in whole[2].fact(WireLayout).tensors] == ["f16"]
    lowered = every_cut(bench, module, wire=6)
    assert any(op.kind == "cast" and op.name.endswith(".rx") for op in lowered[2].graph("cloud").ops)


def test_doubles_without_wire_bits_cross_whole(bench: Any) -> None:
    body = """
        g (double[N, 3] x) => (double[N, 3] y) {
            a = Mul(x, k)
            y = Exp(a)
        }
    """
    module = bench.module(body, {"k": np.array([[0.1, -3, 1e-9]])})
    for lowered in every_cut(bench, module, wire=None)[:-1]:
        (tensor,) = lowered.fact(WireLayout).tensors
        assert (tensor.bits, tensor.nbytes) == (0, 24)


def test_a_batch_that_is_not_first_is_fixed(bench: Any) -> None:
    """What crosses here has the batch in its second place, so that a sample's bytes are no row."""
    body = """
        g (float[N, 4, 6] x) => (float[N, 3] y) {
            t = Transpose<perm = [1, 0, 2]>(x)
            m = MatMul(t, w)
            s = ReduceMean<keepdims = 0>(m, zero)
            y = Relu(s)
        }
    """
    module = bench.module(body, {"w": weights(6, 3), "zero": np.array([0])})
    lowered = every_cut(bench, module)
    rows = [str(made.graph("edge").inputs[0].type) for made in lowered]
    assert [text.startswith("f32[N, ") for text in rows] == [True, False, False, True, True]


def test_a_model_s_own_quantisers_stay(bench: Any) -> None:
    body = """
        g (float[N, 4] x) => (float[N, 3] y) {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            wd = DequantizeLinear<axis = 1>(wq, ws)
            m = MatMul(d, wd)
            q2 = QuantizeLinear(m, s, z)
            d2 = DequantizeLinear(q2, s, z)
            y = Relu(d2)
        }
    """
    consts = {
        "s": np.array(0.05, np.float32),
        "z": np.array(-3, np.int8),
        "wq": RANDOM.integers(-127, 127, (4, 3)).astype(np.int8),
        "ws": np.array([0.01, 0.02, 0.03], np.float32),
    }
    module = bench.module(body, consts)
    lowered = every_cut(bench, module)
    wires = [[(t.name, t.dtype, t.bits) for t in made.fact(WireLayout).tensors] for made in lowered]
    assert [("q", "i8", 0)] in wires
    assert [("q2", "i8", 0)] in wires


def test_shared_weights_and_biases(bench: Any) -> None:
    """One weight and one bias read by two layers, on one side and on both: each side has its own form."""
    body = """
        g (float[N, 4, 6, 6] x) => (float[N, 4, 6, 6] y) {
            a = Conv<pads = [1, 1, 1, 1]>(x, w, b)
            r = Relu(a)
            y = Conv<pads = [1, 1, 1, 1]>(r, w, b)
        }
    """
    module = bench.module(body, {"w": weights(4, 4, 3, 3), "b": weights(4)})
    lowered = every_cut(bench, module, weights=(4,))
    split, edge_only = lowered[1], lowered[-1]
    assert {"w", "b"} <= set(split.graph("cloud").const)
    assert [name for name in edge_only.graph("edge").const if name.startswith("w")] == ["w.q", "w.scale"]
    biases = [c for c in edge_only.graph("edge").consts if c.type.dtype is DType.I32]
    assert len(biases) == 2, "the scale of a bias is that of its layer's products"


def test_names_that_the_model_has_already(bench: Any) -> None:
    body = """
        g (float[N, 4] x) => (float[N, 4] payload, float[N, 4] a) {
            a = MatMul(x, w)
            b = Relu(a)
            c = MatMul(b, w)
            payload = Tanh(c)
        }
    """
    module = bench.module(body, {"w": weights(4, 4)}, names={"a": "x.q", "b": "x.dq", "c": "x.rx", "w": "x.wire"})
    for lowered in every_cut(bench, module, wire=2):
        assert lowered.graph("whole").outputs == ("payload", "x.q")
        if lowered.has_graph("cloud"):
            assert lowered.fact(WireLayout).payload == "payload.2"


def test_custom_ops_are_compared_up_to(bench: Any) -> None:
    """What ONNX Runtime cannot run stays in the emitted graph; the comparison covers all before it, and outputs that do not need it."""
    body = """
        g (float[N, 4] x) => (float[N, 4] y, float[N, 4] t) {
            a = MatMul(x, w)
            r = Relu(a)
            c = acme.Secret(r)
            y = Relu(c)
            t = Tanh(r)
        }
    """
    model = bench.model(body, {"w": weights(4, 4)})
    entry = model.opset_import.add()
    entry.domain, entry.version = "acme", 1
    module = bench.module_of(model)
    (custom,) = (i for i, op in enumerate(module.main.ops) if op.kind == "onnx.acme.Secret")
    for position in range(custom + 1):
        lowered = bench.lowered(module, position, wire=4)
        bench.checked(lowered)
        outputs = {output["output"] for output in bench.quality(lowered)["outputs"]}
        assert "t" in outputs
        assert "y" not in outputs
        assert "acme" in [e.domain for e in emit_onnx(lowered.graph("cloud")).opset_import]
    assert "AS706" in [d.code for d in bench.warned]


def test_sequences_as_outputs(bench: Any) -> None:
    body = """
        g (float[N, 4] x) => (seq(float[N, 4]) s, float[N, 4] y) {
            a = MatMul(x, w)
            y = Relu(a)
            s = SequenceConstruct(a, y)
        }
    """
    module = bench.module(body, {"w": weights(4, 4)})
    for position in range(len(module.main.ops)):
        lowered = bench.lowered(module, position)
        bench.checked(lowered)
        assert {output["output"] for output in bench.quality(lowered)["outputs"]} == {"s[0]", "s[1]", "y"}


def test_outputs_whose_shape_depends_on_the_numbers(bench: Any) -> None:
    """How many values pass a threshold may change with quantisation; then there is no error to sum up, and it is said."""
    body = """
        g (float[N, 40] x) => (float[K] y) {
            a = MatMul(x, w)
            b = Greater(a, half)
            c = Reshape(b, flat)
            y = Compress(a, c)
        }
    """
    consts = {"w": weights(40, 40), "half": np.array(0.5, np.float32), "flat": np.array([-1])}
    module = bench.module(body, consts)
    lowered = bench.lowered(module, 1, wire=3)
    bench.checked(lowered)
    (output,) = bench.quality(lowered)["outputs"]
    assert output["other_shape_in_runs"] > 0


def test_a_fault_before_a_custom_op_is_found(bench: Any) -> None:
    body = """
        g (float[N, 4] x) => (float[N, 4] y) {
            a = MatMul(x, w)
            y = acme.Secret(a)
        }
    """
    model = bench.model(body, {"w": weights(4, 4)})
    entry = model.opset_import.add()
    entry.domain, entry.version = "acme", 1
    lowered = bench.lowered(bench.module_of(model), 1)
    bench.checked(lowered)
    cloud = lowered.graph("cloud")
    ops = tuple(replace(op, attrs=op.attrs.with_(scale=0.5)) if op.kind == "dequantize" else op for op in cloud.ops)
    with pytest.raises(CompileError, match="AS701"):
        check_bundle(lowered.with_graph(replace(cloud, ops=ops)), bench.folder, bench.env)


def test_noise_that_a_model_runs_on(bench: Any) -> None:
    """The only valid index is 0: noise of ones, which suits sizes, is refused, and zeros are taken."""
    body = """
        g (int64[N, 2] ids, float[N, 4] x) => (float[N, 2, 4] y) {
            e = Gather(table, ids)
            u = Unsqueeze(x, one)
            y = Add(e, u)
        }
    """
    module = bench.module(body, {"table": weights(1, 4), "one": np.array([1])})
    for lowered in every_cut(bench, module):
        bench.bundle(lowered)
        assert bench.quality(lowered)["sqnr_db"] > 30
