"""What is said about data files that cannot be used: one golden text a case."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.data import load_data
from autosplitc.ir import Attrs, CompileError, DType, Graph, Op, TensorType, Value

GOOD = np.zeros((4, 3, 8, 6), np.float32)
IMAGE = TensorType(DType.F32, ("N", 3, 8, 6))
LOGITS = TensorType(DType.F32, ("N", 10))


class Answers:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        """Fail loudly."""
        return exec, ("raise SystemExit('the pickle was loaded')",)


def model(image: TensorType = IMAGE, **more: TensorType) -> Graph:
    """A model with input `images` and more; its output has ten classes."""
    inputs = (Value("images", image), *(Value(name, type_) for name, type_ in more.items()))
    op = Op(("logits",), "onnx.Net", tuple(v.name for v in inputs), Attrs(), (LOGITS,))
    return Graph("main", (("", 21),), inputs, (), (op,), ("logits",))


Writer = Callable[[Path], None]


def npz(**arrays: NDArray[Any]) -> Writer:
    """Write arrays."""
    return lambda path: np.savez(path.with_suffix(""), allow_pickle=True, **arrays)


def raw(data: bytes) -> Writer:
    """Write bytes."""

    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def truncated(path: Path) -> None:
    """Write an .npz and cut it short."""
    np.savez(path.with_suffix(""), images=GOOD)
    path.write_bytes(path.read_bytes()[:900])


def cut_array(path: Path) -> None:
    """Write an .npz whose array holds fewer bytes than its header says."""
    np.savez(path.with_suffix(""), images=GOOD)
    with zipfile.ZipFile(path) as archive:
        data = archive.read("images.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", data[:-100])


def with_bad_element(value: float) -> NDArray[np.float32]:
    """Samples of which the third has one bad element."""
    array = GOOD.copy()
    array[2, 1, 0, 0] = value
    return array


def objects() -> NDArray[Any]:
    """An array that numpy can only pickle."""
    array = np.empty(2, object)
    array[:] = [Answers(), 1]
    return array


def nothing(path: Path) -> None:
    """Write nothing."""


CASES: dict[str, tuple[Writer, Graph]] = {
    "missing-file": (nothing, model()),
    "folder": (lambda path: path.mkdir(), model()),
    "empty-file": (raw(b""), model()),
    "text-file": (raw(b"1,2,3\n"), model()),
    "pickle": (raw(pickle.dumps(Answers(), protocol=4)), model()),
    "pickled-array": (npz(images=objects()), model()),
    "truncated": (truncated, model()),
    "cut-array": (cut_array, model()),
    "wrong-name": (npz(image=GOOD), model()),
    "wrong-name-of-many": (npz(image=GOOD, other=GOOD), model()),
    "unnamed": (lambda path: np.savez(path.with_suffix(""), GOOD), model()),
    "extra-array": (npz(images=GOOD, label=np.zeros(4, np.int64)), model()),
    "odd-name": (npz(other=GOOD, stranger=GOOD), Graph("main", (), (Value("gpu_0/data", IMAGE),), (), (), ("gpu_0/data",))),
    "two-inputs-one-npy": (lambda path: np.save(path.open("wb"), GOOD), model(size=LOGITS)),
    "wrong-shape": (npz(images=GOOD[:, :, :7]), model()),
    "channels-last": (npz(images=GOOD.transpose(0, 2, 3, 1)), model()),
    "no-sample-axis": (npz(images=GOOD[0]), model()),
    "broken-batch": (npz(images=GOOD[:3]), model(TensorType(DType.F32, (2, 3, 8, 6)))),
    "f64-for-f32": (npz(images=GOOD.astype(np.float64)), model()),
    "f32-for-i64": (npz(images=GOOD), model(TensorType(DType.I64, ("N", 3, 8, 6)))),
    "text-for-numbers": (npz(images=GOOD.astype(str)), model()),
    "sequence": (npz(images=GOOD), model(TensorType(DType.F32, None, ("seq",)))),
    "bf16": (npz(images=GOOD), model(TensorType(DType.BF16, ("N", 3, 8, 6)))),
    "no-samples": (npz(images=GOOD[:0]), model()),
    "different-counts": (npz(images=GOOD, size=np.zeros((3, 10), np.float32)), model(size=LOGITS)),
    "nan": (npz(images=with_bad_element(np.nan)), model()),
    "infinity": (npz(images=with_bad_element(-np.inf)), model()),
    "several": (npz(images=GOOD[:, 0], size=np.zeros((4, 10))), model(size=LOGITS)),
    "labels-one-hot": (npz(images=GOOD, labels=np.zeros((4, 10), np.int64)), model()),
    "labels-float": (npz(images=GOOD, labels=np.zeros(4, np.float32)), model()),
    "labels-too-few": (npz(images=GOOD, labels=np.zeros(3, np.int64)), model()),
    "labels-negative": (npz(images=GOOD, labels=np.array([0, 1, -1, 2])), model()),
    "labels-too-large": (npz(images=GOOD, labels=np.array([0, 1, 2, 10])), model()),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_bad_data(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[..., None]) -> None:
    write, inputs = CASES[case]
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data.npz")
    with pytest.raises(CompileError) as caught:
        load_data("data.npz", inputs, labels="classes")
    assert caught.value.exit_code == 1
    golden("".join(d.render() + "\n" for d in caught.value.diagnostics), case, ".txt")
    assert all(d.location for d in caught.value.diagnostics)


def test_unreadable_files_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CompileError, match=r"AS310.*cannot be read: Permission denied"):
        load_data(str(tmp_path / "data.npz"), model(), labels="none")


def test_labels_are_not_looked_at_for_calibration(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", images=GOOD, labels=np.zeros((4, 10), np.float32))
    assert load_data(str(tmp_path / "data.npz"), model(), labels="none").samples == 4
