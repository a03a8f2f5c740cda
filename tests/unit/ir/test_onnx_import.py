"""Import: kinds, types, batch sizes, locations, constants, and every diagnostic about the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from autosplitc.ir import CompileError, Graph, TensorType, import_model, unknown_input_dims, verify

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


def parsed(text: str, head: str = HEAD) -> ModelProto:
    return parser.parse_model(f"{head} {text}")


def graph_of(text: str, head: str = HEAD, **shapes: tuple[int, ...]) -> Graph:
    return import_model(parsed(text, head), input_shapes=shapes)


def shape_of(graph: Graph, name: str) -> str:
    return str(graph.type_of(name)).split("[", 1)[1][:-1]


def fails(proto: ModelProto, **shapes: tuple[int, ...]) -> tuple[str, str]:
    with pytest.raises(CompileError) as caught:
        import_model(proto, input_shapes=shapes)
    first = caught.value.diagnostics[0]
    assert caught.value.exit_code == 1
    return first.code, first.render()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("y = Relu (x)", "relu"),
        ("y = MaxPool <kernel_shape = [2, 2]> (x)", "max_pool"),
        ("y = Softmax <axis = 1> (x)", "softmax"),
        ("y = Dropout (x)", "dropout"),
        ("y, m = Dropout (x)", "dropout"),
        ("y = Dropout (x, half, yes)", "onnx.Dropout"),
        ("y = Dropout (x, half, no)", "dropout"),
        ("y = BatchNormalization (x, v, v, v, v)", "batch_norm"),
        ("y, a, b = BatchNormalization <training_mode = 1> (x, v, v, v, v)", "onnx.BatchNormalization"),
        ("y = LpPool <kernel_shape = [2, 2]> (x)", "onnx.LpPool"),
        ("y = Sum (x, x)", "onnx.Sum"),
    ],
)
def test_kinds(body: str, kind: str) -> None:
    consts = "<float[2] v = {1, 2}, float half = {0.5}, bool yes = {1}, bool no = {0}>"
    graph = graph_of(f"g (float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y) {consts} {{ {body} }}")
    assert graph.ops[0].kind == kind


def test_attributes_are_those_of_the_node() -> None:
    graph = graph_of("g (float[1, 2, 4, 4] x, float[3, 2, 3, 3] w) => (float[1, 3, 4, 4] y) { y = Conv <pads = [1, 1, 1, 1]> (x, w) }")
    assert dict(graph.ops[0].attrs) == {"pads": (1, 1, 1, 1)}


def test_batch_is_found_through_shape_arithmetic() -> None:
    graph = graph_of("""g (float[batch, 4, 6] x) => (float[?, ?] y, float[?, ?] z, int64[?, ?] k, float[?] t)
    <int64[2] s = {-1, 8}, int64[1] m = {-1}> {
        d = Shape <start = 0, end = 1> (x)
        t24 = Constant <value = int64[1] {24}> ()
        sh = Concat <axis = 0> (d, t24)
        y = Reshape (x, sh)
        z = Reshape (x, s)
        k = NonZero (x)
        t = Reshape (x, m)
    }""")
    assert [shape_of(graph, name) for name in ("x", "y", "z", "k", "t")] == ["batch, 4, 6", "batch, 24", "3*batch, 8", "3, ?", "24*batch"]
    assert unknown_input_dims(graph) == ()


def test_unnamed_batch_is_n_and_stale_types_do_not_count() -> None:
    proto = parsed("g (float[x0, 4] x) => (float[1, 4] y) <float[1, 4] h> { h = Relu (x) y = Exp (h) }")
    proto.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    graph = import_model(proto)
    assert [shape_of(graph, name) for name in ("x", "h", "y")] == ["N, 4", "N, 4", "N, 4"]


def test_a_symbol_that_stands_behind_too_is_no_batch() -> None:
    graph = graph_of("g (float[n, n] x, float[b, 3] z) => (float[n, n] y) { y = Relu (x) }")
    assert [shape_of(graph, name) for name in ("x", "z", "y")] == ["n, n", "b, 3", "n, n"]
    (problem,) = unknown_input_dims(graph, "m.onnx")
    assert problem.render() == (
        "error[AS301]: the size of input 'x' is not known: [n, n]\n  --> m.onnx: input \"x\"\n  hint: --input-shape x:1x128"
    )


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ("N, 3, h, w", "1x3x224x224"),
        ("1, 3, h, 32", "1x3x224x32"),
        ("N, h, w, 3", "1x224x224x3"),
        ("N, c, h, w", "1x3x224x224"),
        ("N, l", "1x128"),
    ],
)
def test_hints_for_unknown_sizes(shape: str, hint: str) -> None:
    (problem,) = unknown_input_dims(graph_of(f"g (float[{shape}] x) => (float[{shape}] y) {{ y = Relu (x) }}"))
    assert problem.hint == f"--input-shape x:{hint}"


def test_given_shapes_fix_everything() -> None:
    graph = graph_of("g (float[N, 3, h, w] x) => (float[N, 3, h, w] y) { y = Relu (x) }", x=(1, 3, 8, 9))
    assert graph.type_of("y") == graph.inputs[0].type
    assert graph.inputs[0].type.dims == (1, 3, 8, 9)
    assert unknown_input_dims(graph) == ()


def test_given_shapes_that_do_not_fit() -> None:
    proto = parsed("g (float[N, 3] image) => (float[N, 3] y) { y = Relu (image) }")
    code, text = fails(proto, image=(1, 4))
    assert code == "AS303"
    assert "1x4" in text
    assert "f32[N, 3]" in text
    assert fails(proto, image=(1,))[0] == "AS303"
    assert fails(proto, image=(0, 3))[0] == "AS303"
    code, text = fails(proto, imag=(1, 3))
    assert (code, 'did you mean "image"?' in text) == ("AS302", True)


def test_locations() -> None:
    graph = graph_of("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { [first] h = Add (x, w) y = Relu (h) }")
    assert [str(op.loc) for op in graph.ops] == ["first", "Relu#1"]
    assert str(graph.consts[0].loc) == "w"
    assert (graph.name, graph.inputs[0].name) == ("main", "x")


def test_metadata_is_kept() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { y = Relu (x) }")
    proto.metadata_props.add(key="names", value="cat,dog")
    assert import_model(proto).metadata == (("names", "cat,dog"),)


def test_constants_keep_their_bytes() -> None:
    typed = helper.make_tensor("half", TensorProto.FLOAT16, [2], [1.5, -2.0])
    bits = helper.make_tensor("bits", TensorProto.INT4, [3], [-8, 7, 1])
    wide = numpy_helper.from_array(np.arange(1000, dtype=np.float32), "wide")
    proto = parsed("g (float[2] x) => (float[2] y) { y = Relu (x) }")
    proto.graph.initializer.extend([typed, bits, wide])
    graph = import_model(proto)
    assert graph.const["half"].array().tolist() == [1.5, -2.0]
    assert graph.const["bits"].blob.read().tobytes() == bytes([0x78, 0x01])
    assert str(graph.const["bits"].type) == "i4[3]"
    assert graph.const["wide"].array().tolist() == list(range(1000))


def test_opset_is_upgraded_or_kept() -> None:
    for opset, expected in ((7, 21), (20, 21), (21, 21), (23, 23), (25, 25)):
        proto = parsed("g (float[2] x) => (float[2] y) { y = Relu (x) }")
        proto.opset_import[0].version = opset
        assert dict(import_model(proto).opset)[""] == expected
    for opset in (6, 26):
        proto.opset_import[0].version = opset
        code, text = fails(proto)
        assert code == "AS204"
        assert "7 to 25" in text


def test_cycle_names_its_nodes() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { [in] a = Add (x, c) [mid] b = Relu (a) [back] c = Exp (b) y = Neg (c) }")
    code, text = fails(proto)
    assert code == "AS208"
    cycle = text.split("note: ")[1].split(" -> ")
    assert set(cycle) == {"in", "mid", "back"}
    assert cycle[0] == cycle[-1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("g (float[2] x) => (float[2] y) { y = Relu (nowhere) }", 'nothing makes "nowhere"'),
        ("g (float[2] x) => (float[2] z) { y = Relu (x) }", 'nothing makes graph output "z"'),
        ("g (float[2] x) => (float[2] y) { y = Relu (x) y = Exp (x) }", '"y" is made more than once'),
        ("g (float[2] x, float[2] x) => (float[2] y) { y = Relu (x) }", 'two graph inputs have the name "x"'),
        ("g (float[2] x) => (float[2] y, float[2] y) { y = Relu (x) }", 'two graph outputs have the name "y"'),
        ("g (float[2] x) => (float[2] y) { y = NoSuchOp (x) }", 'node "NoSuchOp#0"'),
        ("g (float[2] x) => (float[2] y) { [c1] y = Conv (x) }", 'model.onnx: node "c1"'),
        ("g (float[2] x) => (float[2] y) { y = Relu <slope = 1> (x) }", "slope"),
    ],
)
def test_invalid_graphs(text: str, says: str) -> None:
    code, message = fails(parsed(text))
    assert code == "AS203"
    assert says in message
    assert "\n  --> model.onnx" in message


def test_tensor_data_of_a_wrong_size() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { y = Add (x, w) }")
    proto.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=b"123"))
    code, text = fails(proto)
    assert code == "AS207"
    assert "3 bytes long, not 8" in text
    assert 'tensor "w"' in text or 'initializer "w"' in text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_weights_that_are_no_numbers(bad: float, dtype: Any) -> None:
    weights = np.ones((40, 40), dtype)
    weights[3, 4] = weights[5, 6] = bad
    name = "float" if dtype is np.float32 else "float16"
    proto = parsed(f"g ({name}[1, 40] x) => ({name}[1, 40] y) {{ y = MatMul (x, fc) }}")
    proto.graph.initializer.append(numpy_helper.from_array(weights, "fc"))
    code, text = fails(proto)
    assert code == "AS304"
    assert "2 of 1600 weights" in text
    assert 'initializer "fc"' in text


def test_bfloat_weights_that_are_no_numbers() -> None:
    proto = parsed("g (bfloat16[1, 2] x) => (bfloat16[1, 2] y) { y = MatMul (x, fc) }")
    data = np.array([0x3F80, 0x7F80, 0x7FC0, 0x7F7F], np.uint16)
    proto.graph.initializer.append(TensorProto(name="fc", data_type=TensorProto.BFLOAT16, dims=[2, 2], raw_data=data.tobytes()))
    assert "2 of 4 weights" in fails(proto)[1]


def test_masks_may_be_infinite() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { y = Add (x, mask) }")
    proto.graph.initializer.append(numpy_helper.from_array(np.array([0, -np.inf], np.float32), "mask"))
    assert import_model(proto).const["mask"].array()[1] == -np.inf


def test_every_dtype_of_onnx_goes_in() -> None:
    proto = parsed("g (float[2] x) => (float[2] y) { y = Relu (x) }", '<ir_version: 13, opset_import: ["" : 25]>')
    sizes = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
    sizes |= dict.fromkeys((17, 18, 19, 20, 24), 8) | dict.fromkeys((21, 22, 23), 4) | dict.fromkeys((25, 26), 2)
    for number, bits in sizes.items():
        data = bytes(range(1, (3 * bits + 7) // 8 + 1))
        proto.graph.initializer.append(TensorProto(name=f"t{number}", data_type=number, dims=[3], raw_data=data))
    graph = import_model(proto)
    assert verify(graph) == ()
    assert [c.type.dtype.bits for c in graph.consts] == list(sizes.values())
    assert all(isinstance(c.type, TensorType) and c.blob.read()[0] == 1 for c in graph.consts)


def test_shapes_that_contradict_each_other() -> None:
    code, text = fails(parsed("g (float[2, 3] x) => (float[7] y) <int64[1] s = {7}> { y = Reshape (x, s) }"))
    assert code in ("AS203", "AS256")
    assert "model.onnx" in text


def test_what_a_model_states_counts_where_inference_knows_nothing() -> None:
    text = "g (float[2] x, int64 n) => (float[2] y) <float[2] h> { h = Compress (x, c) y = Relu (h) }"
    proto = parsed(text.replace("<float[2] h>", "<bool[2] c = {1, 1}, float[2] h>"))
    assert shape_of(import_model(proto), "y") == "2"
    assert shape_of(import_model(proto, input_shapes={"x": (2,)}), "y") == "?"


def test_names_that_are_no_text() -> None:
    data = parsed("g (float[2] x) => (float[2] yyyy) { yyyy = Relu (x) }").SerializeToString()
    code, text = fails(ModelProto.FromString(data.replace(b"yyyy", b"y\xff\xfey")))
    assert (code, "not UTF-8" in text) == ("AS203", True)
