"""Functions that yield batches: what they may yield, and that neither their batches nor memory show in the samples."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.data import BATCH_RUNS, load_data
from autosplitc.ir import CompileError, DType, Graph, TensorType, Value
from autosplitc.passes import Data, feeds_of

SOURCE = """
import numpy as np
IMAGES = np.random.default_rng(0).integers(0, 256, (37, 3, 4, 4)).astype(np.uint8)

def batches(size):
    for start in range(0, len(IMAGES), size):
        yield {"x": IMAGES[start:start + size]}

def one():
    return batches(1)

def seven():
    return batches(7)

def all_at_once():
    return [IMAGES]

def labelled(split):
    for start in range(0, 37, 5):
        yield IMAGES[start:start + 5], np.arange(start, min(start + 5, 37)) % (2 if split == "eval" else 3)

def boxes(**more):
    yield IMAGES, np.zeros((37, 4, 2), np.float32)
"""

Maker = Callable[[str], str]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Maker:
    """Write `SOURCE` as a module of its own in the current folder; name one of its functions."""
    module = "samples_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    (tmp_path / f"{module}.py").write_text(SOURCE, "utf-8")
    monkeypatch.chdir(tmp_path)
    return lambda name: f"{module}:{name}"


def model(batch: int | str = "N", **more: TensorType) -> Graph:
    """A graph with input `x` and more; its last input is its output."""
    values = (Value("x", TensorType(DType.F32, (batch, 3, 4, 4))), *(Value(name, type_) for name, type_ in more.items()))
    return Graph("main", (("", 21),), values, (), (), (values[-1].name,))


def whole(data: Data) -> NDArray[Any]:
    """Return all samples at once."""
    return np.concatenate([b["x"] for b in data.batches()])


def test_how_samples_are_batched_changes_nothing(made: Maker) -> None:
    one, seven, at_once = (load_data(made(name), model()) for name in ("one", "seven", "all_at_once"))
    assert one.samples == seven.samples == at_once.samples == 37
    assert one.sha256 == seven.sha256 == at_once.sha256
    assert [len(b["x"]) for b in one.batches()] == [len(b["x"]) for b in at_once.batches()] == [BATCH_RUNS, BATCH_RUNS, 5]
    np.testing.assert_array_equal(whole(one), whole(at_once))
    np.testing.assert_array_equal(whole(seven), whole(at_once))
    assert whole(one).dtype == np.float32


def test_fixed_batches_are_whole_runs(made: Maker) -> None:
    with pytest.raises(CompileError, match="AS318"):
        load_data(made("one"), model(batch=2))
    data = load_data(made("one"), model(batch=37))
    assert [len(feed["x"]) for feed in feeds_of(model(batch=37), data.batches())] == [37]


def test_labels_and_what_the_data_is_for(made: Maker) -> None:
    for split, kinds in (("calib", 3), ("eval", 2)):
        labels = load_data(made("labelled"), model(), labels="any", split=split).labels()
        assert labels is not None
        assert labels.tolist() == [i % kinds for i in range(37)]
    assert load_data(made("labelled"), model(), labels="none").labels() is None
    boxes = load_data(made("boxes"), model(), labels="any").labels()
    assert boxes is not None
    assert boxes.shape == (37, 4, 2)


class Pictures:
    """Yields `count` samples of 192 KB."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> Iterator[NDArray[np.float32]]:
        for index in range(self.count):
            yield np.full((1, 3, 128, 128), index, np.float32)


def pictures(count: int, *_names: str) -> Pictures:
    """Stand for the import of a function."""
    return Pictures(count)


def test_memory_does_not_grow_with_the_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph("main", (("", 21),), (Value("x", TensorType(DType.F32, ("N", 3, 128, 128))),), (), (), ("x",))
    peaks: list[int] = []
    for count in (64, 512):
        monkeypatch.setattr("autosplitc.data_function.imported", partial(pictures, count))
        tracemalloc.start()
        data = load_data("made:pictures", graph)
        assert sum(len(b["x"]) for b in data.batches()) == data.samples == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
    assert peaks[1] < 4 * BATCH_RUNS * 3 * 128 * 128 * 4
