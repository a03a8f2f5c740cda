"""Dumps and the blobs beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from autosplitc.ir import (
    ArrayRef,
    Attrs,
    BlobRef,
    CompileError,
    Const,
    DType,
    Graph,
    Module,
    Op,
    TensorType,
    blob_from_array,
    blobs_of,
    read_dump,
    verify_blobs,
    write_blobs,
    write_dump,
)
from autosplitc.passes import FACT_TYPES, Ranges

F3 = TensorType(DType.F32, (3,))


def array_of(start: float) -> BlobRef:
    return blob_from_array(np.arange(start, start + 3, dtype=np.float32))


def sample() -> Module:
    """A module with a blob in a constant, in an attribute, in a sub-graph and in a fact."""
    inner = Graph("inner", (), (), (Const("k", F3, array_of(10)),), (), ("k",))
    op = Op(("y",), "onnx.Foo", (), Attrs.of(value=(ArrayRef(F3, array_of(20)),), body=inner), (F3,))
    graph = Graph("main", (("", 21),), (), (Const("w", F3, array_of(0)), Const("v", F3, array_of(0))), (op,), ("y",))
    return Module((graph,), (Ranges("main", True, 1, (), (), ArrayRef(F3, array_of(30))),))


def codes(error: pytest.ExceptionInfo[CompileError]) -> list[str]:
    return [d.code for d in error.value.diagnostics]


def test_every_blob_is_found() -> None:
    assert sorted({b.sha256 for b in blobs_of(sample())}) == sorted(array_of(s).sha256 for s in (0, 10, 20, 30))


def test_a_dump_reads_back(tmp_path: Path) -> None:
    path = write_dump(sample(), tmp_path / "ir", 3, "fold-constants")
    assert path == tmp_path / "ir" / "03-fold-constants.air"
    assert sorted(p.name for p in path.parent.iterdir()) == ["03-fold-constants.air", "blobs"]
    found = read_dump(path, FACT_TYPES)
    assert found == sample()
    assert found.main.const["w"].array().tolist() == [0.0, 1.0, 2.0]
    verify_blobs(found)


def test_files_are_named_by_their_digest(tmp_path: Path) -> None:
    assert write_blobs(sample(), tmp_path) == 4 * 12
    for path in tmp_path.iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert write_blobs(sample(), tmp_path) == 0


def test_a_blob_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    write_blobs(sample(), tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    write_blobs(sample(), tmp_path)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


def test_a_missing_blob(tmp_path: Path) -> None:
    path = write_dump(sample(), tmp_path, 0, "import")
    (tmp_path / "blobs" / array_of(10).sha256).unlink()
    with pytest.raises(CompileError) as error:
        read_dump(path, FACT_TYPES)
    assert codes(error) == ["AS224"]
    assert error.value.diagnostics[0].location.startswith(f"{path}:")


def test_a_blob_of_another_size(tmp_path: Path) -> None:
    path = write_dump(sample(), tmp_path, 0, "import")
    (tmp_path / "blobs" / array_of(0).sha256).write_bytes(b"short")
    with pytest.raises(CompileError, match="holds 5 bytes, not 12") as error:
        read_dump(path, FACT_TYPES)
    assert codes(error) == ["AS225"]


def test_a_damaged_blob_is_found_on_demand(tmp_path: Path) -> None:
    path = write_dump(sample(), tmp_path, 0, "import")
    for start in (0, 20):
        (tmp_path / "blobs" / array_of(start).sha256).write_bytes(b"another text")
    module = read_dump(path, FACT_TYPES)
    with pytest.raises(CompileError, match="another digest") as error:
        verify_blobs(module)
    assert codes(error) == ["AS225", "AS225"]


def test_a_dump_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="cannot read the dump") as error:
        read_dump(tmp_path / "none.air", ())
    assert codes(error) == ["AS226"]


def test_a_dump_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.air").write_bytes(b"\x08\x0a\xff")
    with pytest.raises(CompileError, match="byte 2 is not UTF-8") as error:
        read_dump(tmp_path / "x.air", ())
    assert codes(error) == ["AS226"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CompileError) as error:
        write_dump(sample(), tmp_path / "file" / "ir", 0, "import")
    assert codes(error) == ["AS620"]
