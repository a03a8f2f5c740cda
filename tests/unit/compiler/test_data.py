"""Data files: what is read from them, in which batches, and how little of them is in memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.data import BATCH_BYTES, BATCH_RUNS, load_data
from autosplitc.ir import DType, Graph, TensorType, Value
from autosplitc.passes import feeds_of

IMAGES = np.random.default_rng(0).integers(0, 256, (37, 3, 4, 4)).astype(np.uint8)


def model(**inputs: TensorType) -> Graph:
    """A graph with inputs alone; its last input is its output."""
    values = tuple(Value(name, type_) for name, type_ in inputs.items())
    return Graph("main", (("", 21),), values, (), (), (values[-1].name,))


def images(batch: int | str = "N", dtype: DType = DType.F32) -> TensorType:
    """A type for `IMAGES`."""
    return TensorType(dtype, (batch, 3, 4, 4))


def saved(path: Path, **arrays: NDArray[Any]) -> str:
    """Write an .npz and return its path."""
    np.savez(path / "data.npz", allow_pickle=False, **arrays)
    return str(path / "data.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_gives_samples_in_the_inputs_type(tmp_path: Path, compressed: bool) -> None:
    (np.savez_compressed if compressed else np.savez)(tmp_path / "d.npz", x=IMAGES)
    data = load_data(str(tmp_path / "d.npz"), model(x=images()), labels="none")
    assert data.samples == 37
    assert data.sha256 == hashlib.sha256((tmp_path / "d.npz").read_bytes()).hexdigest()
    batches = list(data.batches())
    assert [len(b["x"]) for b in batches] == [BATCH_RUNS, BATCH_RUNS, 5]
    assert batches[0]["x"].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([b["x"] for b in batches]), IMAGES)
    assert len(list(data.batches())) == 3
    assert data.labels() is None


@pytest.mark.parametrize("array", [IMAGES, np.asfortranarray(IMAGES), IMAGES.astype(">f4"), IMAGES[:, :, ::-1]])
def test_npy_serves_models_with_one_input(tmp_path: Path, array: NDArray[Any]) -> None:
    np.save(tmp_path / "d.npy", array)
    data = load_data(str(tmp_path / "d.npy"), model(pixels=images()), labels="classes")
    found = [b["pixels"] for b in data.batches()]
    assert all(f.dtype == np.dtype("<f4") for f in found)
    np.testing.assert_array_equal(np.concatenate(found), array)


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    saved(tmp_path, x=IMAGES)
    renamed = (tmp_path / "data.npz").rename(tmp_path / "data.bin")
    assert load_data(str(renamed), model(x=images()), labels="none").samples == 37


def test_several_inputs_come_together(tmp_path: Path) -> None:
    sizes = np.arange(37, dtype=np.int32)
    graph = model(x=images(), size=TensorType(DType.I64, ("N",)), flag=TensorType(DType.BOOL, ("N", 1)))
    data = load_data(saved(tmp_path, size=sizes, x=IMAGES, flag=sizes[:, None] > 3), graph, labels="none")
    seen: list[int] = []
    for batch in data.batches():
        assert list(batch) == ["x", "size", "flag"]
        assert [batch[n].dtype for n in batch] == [np.float32, np.int64, np.bool_]
        seen.extend(int(s) for s in batch["size"])
        np.testing.assert_array_equal(batch["x"], IMAGES[batch["size"]])
    assert seen == list(range(37))


def test_strings(tmp_path: Path) -> None:
    words = np.array([["a"], ["bcd"]])
    data = load_data(saved(tmp_path, x=words), model(x=TensorType(DType.STRING, ("N", 1))), labels="none")
    (batch,) = data.batches()
    assert batch["x"].dtype == np.object_
    assert batch["x"].tolist() == [["a"], ["bcd"]]


def test_labels_are_read_for_evaluation_only(tmp_path: Path) -> None:
    path = saved(tmp_path, x=IMAGES, labels=np.arange(37, dtype=np.uint8))
    assert load_data(path, model(x=images()), labels="none").labels() is None
    labels = load_data(path, model(x=images()), labels="classes").labels()
    assert labels is not None
    assert labels.dtype == np.int64
    assert labels.tolist() == list(range(37))


def test_an_input_may_be_called_labels(tmp_path: Path) -> None:
    graph = model(x=images(), labels=TensorType(DType.I64, ("N",)))
    data = load_data(saved(tmp_path, x=IMAGES, labels=np.arange(37)), graph, labels="classes")
    assert [*next(iter(data.batches()))] == ["x", "labels"]
    assert data.labels() is None


def test_a_fixed_batch_comes_in_whole_runs(tmp_path: Path) -> None:
    graph = model(x=images(4))
    data = load_data(saved(tmp_path, x=IMAGES[:36]), graph, labels="none")
    assert data.samples == 36
    assert [len(b["x"]) for b in data.batches()] == [36]
    assert [feed["x"].shape for feed in feeds_of(graph, data.batches())] == [(4, 3, 4, 4)] * 9


def test_stacked_samples(tmp_path: Path) -> None:
    graph = model(v=TensorType(DType.F32, (4, 4)))
    data = load_data(saved(tmp_path, v=IMAGES[:, 0]), graph, labels="none")
    assert data.samples == 37
    assert [feed["v"].shape for feed in feeds_of(graph, data.batches())] == [(4, 4)] * 37


def test_scalars_and_unknown_ranks_take_one_row_a_run(tmp_path: Path) -> None:
    graph = model(s=TensorType(DType.F32, ()), u=TensorType(DType.F32, None))
    data = load_data(saved(tmp_path, s=np.ones(3, np.float32), u=np.ones((3, 2), np.float32)), graph, labels="none")
    assert [(feed["s"].shape, feed["u"].shape) for feed in feeds_of(graph, data.batches())] == [((), (1, 2))] * 3


def test_memory_holds_one_batch(tmp_path: Path) -> None:
    array = np.zeros((96, 1 << 20), np.uint8)
    np.save(tmp_path / "d.npy", array)
    del array
    graph = model(x=TensorType(DType.F32, ("N", 1 << 20)))
    tracemalloc.start()
    data = load_data(str(tmp_path / "d.npy"), graph, labels="none")
    largest = max(b["x"].nbytes for b in data.batches())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest == BATCH_BYTES
    assert peak < 4 * BATCH_BYTES < 96 << 22
    assert data.samples == 96
