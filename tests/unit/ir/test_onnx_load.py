"""Reading files: nothing is copied, and every bad file has its diagnostic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser

from autosplitc.ir import CompileError, Graph, export_onnx, import_onnx, write_onnx
from autosplitc.ir.onnx_wire import WireError, split_model

TEXT = """<ir_version: 10, opset_import: ["" : 21]> g (float[N, 64] x) => (float[N, 64] y) {
    h = MatMul (x, big)
    k = Constant <value = float[2] {1, 2}> ()
    y = Add (h, small)
}"""


def weights(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def model() -> ModelProto:
    proto = parser.parse_model(TEXT)
    proto.graph.initializer.append(numpy_helper.from_array(weights(64, 64), "big"))
    proto.graph.initializer.append(numpy_helper.from_array(weights(64), "small"))
    return proto


def fails(path: Path) -> tuple[str, str]:
    with pytest.raises(CompileError) as caught:
        import_onnx(path)
    assert caught.value.exit_code == 1
    return caught.value.diagnostics[0].code, caught.value.diagnostics[0].render()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(model().SerializeToString())
    return path


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A model with both weights in a file beside it."""
    path = tmp_path / "m.onnx"
    onnx.save(model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0, convert_attribute=False)
    return path


def values(graph: Graph) -> list[bytes]:
    return [const.blob.read().tobytes() for const in graph.consts]


def test_large_weights_are_read_from_the_file(file: Path) -> None:
    graph = import_onnx(file)
    assert graph.const["big"].array().tobytes() == weights(64, 64).tobytes()
    data = file.read_bytes()
    start = data.index(weights(64, 64).tobytes())
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(b"\0" * 8)
    assert graph.const["big"].array()[0, :2].tolist() == [0.0, 0.0]


def test_external_data(external: Path, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "m.onnx").write_bytes(model().SerializeToString())
    assert values(import_onnx(external)) == values(import_onnx(tmp_path / "inside" / "m.onnx"))


def test_external_data_behind_a_link(external: Path, tmp_path: Path) -> None:
    """Download caches keep files elsewhere and link to them."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (external.parent / "weights.bin").rename(cache / "abc")
    external.rename(cache / "def")
    (tmp_path / "m.onnx").symlink_to(cache / "def")
    (tmp_path / "weights.bin").symlink_to(cache / "abc")
    assert import_onnx(tmp_path / "m.onnx").const["big"].array().tobytes() == weights(64, 64).tobytes()


def test_link_out_of_the_folder(external: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    external.rename(inner / "m.onnx")
    (inner / "weights.bin").symlink_to(tmp_path / "weights.bin")
    assert fails(inner / "m.onnx")[0] == "AS206"


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "sub/../../weights.bin", "", "..\\weights.bin"])
def test_external_path_that_leaves_the_folder(external: Path, location: str) -> None:
    proto = onnx.load(external, load_external_data=False)
    for tensor in proto.graph.initializer:
        tensor.external_data[0].value = location
    external.write_bytes(proto.SerializeToString())
    code, text = fails(external)
    assert code == "AS206"
    assert "leaves the model's folder" in text
    assert 'm.onnx: tensor "big"' in text


def test_missing_external_data(external: Path) -> None:
    (external.parent / "weights.bin").unlink()
    code, text = fails(external)
    assert code == "AS205"
    assert 'external data file "weights.bin" is missing' in text
    assert "hint: put weights.bin beside m.onnx" in text


def test_external_data_too_short(external: Path) -> None:
    data = external.parent / "weights.bin"
    data.write_bytes(data.read_bytes()[:1000])
    code, text = fails(external)
    assert code == "AS205"
    assert "too short: 1000 bytes, where 16384 bytes at offset 0" in text


def test_external_length_that_is_not_the_shape(external: Path) -> None:
    proto = onnx.load(external, load_external_data=False)
    next(e for e in proto.graph.initializer[0].external_data if e.key == "length").value = "16380"
    external.write_bytes(proto.SerializeToString())
    assert fails(external)[0] == "AS207"


@pytest.mark.parametrize("value", ["-4", "x"])
def test_external_offset_that_is_nonsense(external: Path, value: str) -> None:
    proto = onnx.load(external, load_external_data=False)
    entries = proto.graph.initializer[0].external_data
    next(e for e in entries if e.key == "offset").value = value
    external.write_bytes(proto.SerializeToString())
    assert fails(external)[0] == "AS205"


def test_no_such_file(tmp_path: Path) -> None:
    assert fails(tmp_path / "no.onnx")[0] == "AS201"
    assert fails(tmp_path)[0] == "AS201"


@pytest.mark.parametrize("data", [b"hello world, this is text", b"\x89PNG\r\n\x1a\n" * 9, b"\x80\x02}q\x00.", b"\0" * 64, b"PK\x03\x04xxx"])
def test_not_an_onnx_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    code, text = fails(path)
    assert (code, "this is not an ONNX file" in text) == ("AS202", True)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    assert fails(path) == ("AS202", "error[AS202]: the file is empty\n  --> m.onnx")


def test_every_truncation_is_found(file: Path) -> None:
    data = file.read_bytes()
    proto = ModelProto()
    for size in (1, 2, 10, 100, len(data) // 2, len(data) - 7):
        file.write_bytes(data[:size])
        code, text = fails(file)
        assert code == "AS202"
        if size >= 100:
            assert "cut short" in text
            assert f"{size} bytes are there" in text
    proto.ParseFromString(data)


def test_split_keeps_all_but_the_data() -> None:
    proto = model()
    data = proto.SerializeToString()
    small, slices = split_model(data, 1024)
    assert len(small) < 1000
    assert [data[start : start + length] for start, length in slices] == [weights(64, 64).tobytes()]
    back = ModelProto.FromString(small)
    back.graph.initializer[0].ClearField("external_data")
    back.graph.initializer[0].ClearField("data_location")
    back.graph.initializer[0].raw_data = weights(64, 64).tobytes()
    assert back == proto


@pytest.mark.parametrize("data", [b"\xff" * 12, b"\x0b", b"\x0d\0", b"\x3a\x05ab"])
def test_split_refuses_what_is_no_message(data: bytes) -> None:
    with pytest.raises(WireError):
        split_model(data, 1024)


def test_large_tensors_everywhere_are_found(tmp_path: Path) -> None:
    """In constants, in branches and in functions."""
    text = """<ir_version: 10, opset_import: ["" : 21, "my" : 1]> g (float[1000] x, bool c) => (float[1000] y) {
        k = Constant <value = float[1000] {0}> ()
        b = If (c) <then_branch = t () => (float[1000] p) { p = Add (x, w1) }, else_branch = e () => (float[1000] q) { q = Exp (x) }>
        f = my.F (b)
        y = Add (f, k)
    }
    <domain: "my", opset_import: ["" : 21]> F (a) => (o) { d = Constant <value = float[1000] {0}> () o = Add (a, d) }"""
    filled = [np.arange(1000, dtype=np.float32) + i for i in range(3)]
    text = text.replace("{0}", "{" + ",".join(["0"] * 1000) + "}")
    proto = parser.parse_model(text)
    branch = proto.graph.node[1].attribute[0].g
    branch.initializer.append(numpy_helper.from_array(filled[0], "w1"))
    proto.graph.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(filled[1]))
    proto.functions[0].node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(filled[2]))
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    small, slices = split_model(path.read_bytes(), 1024)
    assert (len(slices), len(small) < 2000) == (3, True)
    exported = export_onnx(import_onnx(path))
    found = {t.raw_data for t in (*exported.graph.initializer, *(t for a in exported.graph.node[0].attribute for t in a.g.initializer))}
    assert found == {array.tobytes() for array in filled}


@pytest.mark.parametrize("over", [1e9, 1000])
def test_written_files_come_back_equal(file: Path, tmp_path: Path, over: float) -> None:
    graph = import_onnx(file)
    again = tmp_path / "again.onnx"
    write_onnx(graph, again, external_over_bytes=over)
    assert (tmp_path / "again.onnx.data").exists() == (over == 1000)
    onnx.checker.check_model(again)
    back = import_onnx(again)
    assert (back.ops, values(back), [c.name for c in back.consts]) == (graph.ops, values(graph), [c.name for c in graph.consts])
    first = again.read_bytes()
    write_onnx(graph, again, external_over_bytes=over)
    assert again.read_bytes() == first


def test_written_model_is_the_exported_one(file: Path, tmp_path: Path) -> None:
    graph = import_onnx(file)
    write_onnx(graph, tmp_path / "w.onnx")
    assert onnx.load(tmp_path / "w.onnx") == export_onnx(graph)
