"""Damaged files: whatever bytes are changed, an import ends well or with diagnostics, never with a traceback."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import parser

from autosplitc.ir import CompileError, export_onnx, import_onnx

TEXT = """<ir_version: 8, opset_import: ["" : 13, "my" : 1]> agraph (float[N, 2, 4, 4] x, bool c) => (float[N, 8] y, float[2] o)
<float[2, 2, 1, 1] w = {1, 2, 3, 4}, int64[2] s = {-1, 8}, float lo = {0}, float[2] v = {1, 2}> {
    [first] a = Conv <pads = [0, 0, 0, 0]> (x, w)
    b = Clip (a, lo)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
    y = Reshape (p, s)
    i = If (c) <then_branch = t () => (float[2] t1) { t1 = Exp (v) }, else_branch = e () => (float[2] e1) { e1 = Neg (v) }>
    o = my.Twice <factor = 2.0> (i)
}
<domain: "my", opset_import: ["" : 13]> Twice <factor> (q) => (r) { f = Constant <value_float: float = @factor> () r = Mul (q, f) }"""


@cache
def sound() -> bytes:
    return parser.parse_model(TEXT).SerializeToString()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(sound()) - 1), st.integers(0, 255)), min_size=1, max_size=3), st.booleans())
def test_damaged_bytes(tmp_path: Path, changes: list[tuple[int, int]], insert: bool) -> None:
    data = bytearray(sound())
    for place, value in changes:
        data[place : place + (0 if insert else 1)] = bytes([value])
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    try:
        export_onnx(import_onnx(path))
    except CompileError as error:
        assert {d.code[:3] for d in error.diagnostics} <= {"AS2", "AS3"}


def test_the_sound_file_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(sound())
    assert import_onnx(path).outputs == ("y", "o")
    path.write_bytes(sound()[:-1])
    with pytest.raises(CompileError):
        import_onnx(path)
