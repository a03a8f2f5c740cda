"""What is said about folders of images and functions that cannot be used as samples: one golden text a case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autosplitc.data import load_data
from autosplitc.ir import CompileError, DType, Graph, Op, TensorType, Value
from autosplitc.preprocess import Preprocess
from autosplitc.prologue import preprocessed

Image = pytest.importorskip("PIL.Image")

LOGITS = TensorType(DType.F32, ("N", 10))


def model(dtype: DType = DType.U8, batch: int | str = "N", *more: str) -> Graph:
    """A model of pictures of 8 x 6 with ten classes, and inputs besides."""
    image = TensorType(dtype, (batch, 3, 8, 6))
    inputs = (Value("images", image), *(Value(name, LOGITS) for name in more))
    return Graph("main", (("", 21),), inputs, (), (Op(("logits",), "onnx.Net", ("images",), types=(LOGITS,)),), ("logits",))


Case = tuple[Callable[[Path], object], Graph]


def image(folder: Path, name: str = "a.png", height: int = 8, mode: str = "RGB") -> None:
    """Write an image, with the folders that it lies in."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (6, height)).save(folder / name)


def labelled(text: str) -> Callable[[Path], object]:
    """Write two images and their labels."""

    def write(folder: Path) -> None:
        image(folder)
        image(folder, "b.png")
        (folder / "labels.csv").write_text(text, "utf-8")

    return write


def both(folder: Path) -> None:
    """Write one image, and one in a class folder."""
    image(folder)
    image(folder, "0/b.png")


def many_sizes(folder: Path) -> None:
    """Write images of a wrong size."""
    for index in range(5):
        image(folder, f"{index}.png", 9)


FOLDERS: dict[str, Case] = {
    "no-images": (lambda folder: folder.mkdir(exist_ok=True), model()),
    "float-model": (image, model(DType.F32)),
    "two-inputs": (image, model(DType.U8, "N", "size")),
    "wide": (lambda folder: image(folder, mode="I;16"), model()),
    "size": (many_sizes, model()),
    "folders-and-files": (both, model()),
    "runs": (image, model(DType.U8, 2)),
    "label-missing": (labelled("file,label\na.png,1\n"), model()),
    "label-text": (labelled("a.png,cat\nb.png,1\n"), model()),
    "label-twice": (labelled("a.png,1\na.png,1\n"), model()),
    "label-large": (labelled("a.png,1\nb.png,10\n"), model()),
    "class-large": (lambda folder: image(folder, "12/a.png"), model()),
}


@pytest.mark.parametrize("case", sorted(FOLDERS))
def test_bad_folders(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[..., None]) -> None:
    write, graph = FOLDERS[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    write(tmp_path / "images")
    with pytest.raises(CompileError) as caught:
        load_data("images", graph, labels="classes")
    assert caught.value.exit_code == 1
    golden("".join(d.render() + "\n" for d in caught.value.diagnostics), f"folder-{case}", ".txt")


def nowhere(name: str) -> None:
    """Find no module."""
    del name


@pytest.mark.parametrize("kept", [0, 20, 45])
def test_a_broken_image_is_named(kept: int, tmp_path: Path) -> None:
    image(tmp_path)
    image(tmp_path, "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:kept])
    with pytest.raises(CompileError, match=r"AS331.*cannot be decoded(.|\n)*--> b.png") as caught:
        load_data(str(tmp_path), model())
    assert len(caught.value.diagnostics) == 1


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image(tmp_path)
    monkeypatch.setattr("autosplitc.data_images.find_spec", nowhere)
    with pytest.raises(CompileError, match=r'AS330(.|\n)*pip install "autosplitc\[images\]"'):
        load_data(str(tmp_path), model())


SOURCE = """
import numpy as np
BATCH = np.zeros((4, 3, 8, 6), np.uint8)
count = 0

def fails():
    yield BATCH
    raise OSError("the disk is gone")

def fails_at_once():
    raise RuntimeError("not today")

def leaves():
    raise SystemExit(3)

def needs(path):
    yield BATCH

def nothing():
    return None

def mapping():
    return {"images": BATCH}

def empty():
    return []

def texts():
    yield "a.png"

def triple():
    yield BATCH, [0, 1, 2, 3], 1

def other_name():
    yield {"image": BATCH}

def more_names():
    yield {"images": BATCH, "size": BATCH}

def shape():
    yield BATCH.transpose(0, 2, 3, 1)

def one_sample():
    yield BATCH[0]

def element():
    yield BATCH.astype(np.float32)

def labels_short():
    yield BATCH, [0, 1]

def labels_number():
    yield BATCH, 3

def labels_float():
    yield BATCH, [0.0, 1.0, 2.0, 3.0]

def labels_large():
    yield BATCH, [0, 1, 2, 10]

def labels_sometimes():
    yield BATCH, [0, 1, 2, 3]
    yield BATCH

number = 5
"""

FUNCTIONS = (
    *("fails", "fails_at_once", "leaves", "needs", "nothing", "mapping", "empty", "texts", "triple", "other_name", "more_names", "shape"),
    *("one_sample", "element", "labels_short", "labels_number", "labels_float", "labels_large", "labels_sometimes", "number", "shap"),
)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write `SOURCE` as a module in the current folder."""
    (tmp_path / "bad_samples.py").write_text(SOURCE, "utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("case", FUNCTIONS)
def test_bad_functions(case: str, golden: Callable[..., None]) -> None:
    with pytest.raises(CompileError) as caught:
        load_data(f"bad_samples:{case}", model(), labels="classes")
    golden("".join(d.render() + "\n" for d in caught.value.diagnostics), f"function-{case}", ".txt")


def test_normalised_data_with_preprocess(tmp_path: Path) -> None:
    graph, text = preprocessed(model(DType.F32), "unit")
    np.savez(tmp_path / "data.npz", images=np.zeros((4, 3, 8, 6), np.float32))
    with pytest.raises(CompileError, match=r"AS316(.|\n)*with --preprocess the input takes bytes(.|\n)*uint8"):
        load_data(str(tmp_path / "data.npz"), graph, preprocess=Preprocess(input=text.partition(",")[0].removeprefix("input=")))
    np.savez(tmp_path / "data.npz", images=np.zeros((4, 3, 8, 6), np.uint8))
    assert load_data(str(tmp_path / "data.npz"), graph).samples == 4


CHANGES = """
import numpy as np
calls = 0

def random():
    global calls
    calls += 1
    yield np.full((40, 3, 8, 6), calls, np.uint8)

def shorter():
    global calls
    calls += 1
    yield np.zeros((40 if calls == 1 else 16, 3, 8, 6), np.uint8)

def longer():
    global calls
    calls += 1
    yield np.zeros((32 if calls == 1 else 48, 3, 8, 6), np.uint8)
"""


@pytest.mark.parametrize("name", ["random", "shorter", "longer"])
def test_functions_that_yield_something_else_later(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"changing_{name}.py").write_text(CHANGES, "utf-8")
    monkeypatch.chdir(tmp_path)
    data = load_data(f"changing_{name}:{name}", model())
    with pytest.raises(CompileError, match=r"AS336(.|\n)*seed its random numbers"):
        list(data.batches())
