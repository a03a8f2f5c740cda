"""The ways in which a profile runs a model, and which op each value of an emitted graph is the work of."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper, parser

import autosplitc
from autosplitc.ir import Module
from autosplitc.passes import Env, Request, pass_class
from autosplitc.profile_contexts import AnyDevice, bits_context, float_context, profiling_env
from autosplitc.targets import check_target, load_target, parse_network


def model() -> ModelProto:
    """Return convolutions with a fused LeakyRelu, a pool on codes, a float op between ops on codes, and a dequantised output."""
    made = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[1, 3, 8, 8] x) => (float[1, 4, 4, 4] y) {
            c1 = Conv<pads = [1, 1, 1, 1]>(x, w1)
            l1 = LeakyRelu<alpha = 0.1>(c1)
            p1 = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(l1)
            e1 = Exp(p1)
            y = Conv<pads = [1, 1, 1, 1]>(e1, w2)
        }
    """)
    random = np.random.default_rng(0)
    for name, channels in (("w1", 3), ("w2", 4)):
        made.graph.initializer.append(numpy_helper.from_array(random.normal(0, 0.2, (4, channels, 3, 3)).astype(np.float32), name))
    return made


@pytest.fixture(scope="module")
def analysed() -> tuple[Module, Env]:
    """Return the model up to its splits, for any device."""
    module = autosplitc.compile(model(), passes="simplify,analyze").module
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))
    return module, profiling_env(module.main, env)


def test_any_device_is_a_target() -> None:
    assert check_target(AnyDevice(), "here")


def test_in_float_every_value_is_its_op_s(analysed: tuple[Module, Env]) -> None:
    context = float_context(analysed[0].main)
    assert (context.name, context.file) == ("float", "float.onnx")
    assert context.graph.ops == analysed[0].main.ops
    assert context.values == {"l1": "l1", "l1.pre": "l1", "p1": "p1", "e1": "e1", "y": "y"}


def test_codes_are_the_work_of_ops_on_codes_and_numbers_of_who_reads_them(analysed: tuple[Module, Env]) -> None:
    """x.q, p1.dq and e1.q are in no op's hand: what makes them works for who reads them."""
    module, env = analysed
    context = bits_context(module, 8, env)
    assert context is not None
    assert (context.name, context.file) == ("8", "bits-8.onnx")
    made = {name for op in context.graph.ops for name in op.results}
    assert {"x.q", "p1.dq", "e1.q", "w1.dq"} <= made - set(context.values)
    assert context.values == {
        "l1.inner": "l1",
        "l1.inner.q": "l1",
        "l1": "l1",
        "l1.q": "l1",
        "p1.q": "p1",
        "e1": "e1",
        "y.raw": "y",
        "y.q": "y",
        "y": "y",
    }


@pytest.mark.parametrize("bits", [2, 8])
def test_all_is_at_the_bits_that_were_asked_for(analysed: tuple[Module, Env], bits: int) -> None:
    module, env = analysed
    context = bits_context(module, bits, env)
    assert context is not None
    widths = {op.result: op.attrs.int_("bits", 0) for op in context.graph.ops if op.kind == "quantize"}
    assert {width for name, width in widths.items() if name not in ("x.q", "l1.inner.q", "y.q")} == {bits}
    assert widths["y.q"] == 8
    assert {c.type.dtype.bits for c in context.graph.consts if c.name in ("w1.q", "w2.q")} == {bits}


def test_what_is_packed_is_nobody_s(analysed: tuple[Module, Env]) -> None:
    """Where the edge cannot take the last op, the graph ends in a payload."""
    module, env = analysed
    request = module.fact(Request)
    foreign = AnyDevice(foreign=frozenset({"onnx.Exp"}))
    costly = autosplitc.compile(model(), passes="simplify,calibrate,measure-sensitivity,liveness").module
    refusing = Env(foreign, env.cloud, env.network)
    for name in ("estimate-cost", "enumerate-splits"):
        costly = pass_class(name)().apply(costly.with_fact(request), refusing)
    context = bits_context(costly, 8, refusing)
    assert context is not None
    assert set(context.values.values()) == {"l1", "p1", ""}
    assert context.values["payload"] == ""
