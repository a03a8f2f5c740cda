"""Folders of images: order, channels, turning, size, labels, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.data import load_data
from autosplitc.ir import DType, Graph, TensorType, Value
from autosplitc.preprocess import Preprocess

Image = pytest.importorskip("PIL.Image")

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 4, 5, 3)).astype(np.uint8)


def picture_model(*shape: int | str) -> Graph:
    """A graph whose only input takes pictures."""
    return Graph("main", (("", 21),), (Value("image", TensorType(DType.U8, shape)),), (), (), ("image",))


def save(path: Path, pixels: NDArray[np.uint8], **more: Any) -> None:
    """Write an image file in the format of its name."""
    Image.fromarray(pixels).save(path, **more)


def folder_of(path: Path) -> str:
    """Write `PIXELS` as images whose names sort in their order."""
    for index, pixels in enumerate(PIXELS):
        save(path / f"{index}.png", pixels)
    (path / "notes.txt").write_text("no image")
    return str(path)


def whole(text: str, graph: Graph, preprocess: Preprocess | None = None) -> NDArray[Any]:
    """Return all samples at once."""
    return np.concatenate([b["image"] for b in load_data(text, graph, preprocess=preprocess).batches()])


def test_images_come_in_the_order_of_their_names_in_the_inputs_layout(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    np.testing.assert_array_equal(whole(folder, picture_model("N", 4, 5, 3)), PIXELS)
    np.testing.assert_array_equal(whole(folder, picture_model("N", 3, 4, 5)), PIXELS.transpose(0, 3, 1, 2))
    data = load_data(folder, picture_model("N", 4, 5, 3), labels="classes")
    assert data.samples == 6
    assert data.labels() is None


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "webp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a.{suffix}", PIXELS[0], **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(whole(str(tmp_path), picture_model("N", 4, 5, 3)), PIXELS[:1])


def test_channels_are_those_of_the_input(tmp_path: Path) -> None:
    save(tmp_path / "grey.png", PIXELS[0, :, :, 0])
    opaque = np.concatenate([PIXELS[1], np.full((4, 5, 1), 255, np.uint8)], axis=2)
    save(tmp_path / "rgba.png", opaque)
    found = whole(str(tmp_path), picture_model("N", 4, 5, 3))
    np.testing.assert_array_equal(found[0], np.repeat(PIXELS[0, :, :, :1], 3, axis=2))
    np.testing.assert_array_equal(found[1], PIXELS[1])
    assert whole(str(tmp_path), picture_model("N", 1, 4, 5)).shape == (2, 1, 4, 5)
    reversed_ = whole(str(tmp_path), picture_model("N", 4, 5, 3), Preprocess(channels="bgr", layout="nhwc"))
    np.testing.assert_array_equal(reversed_[1], PIXELS[1, ..., ::-1])


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.png", PIXELS[0], exif=exif)
    np.testing.assert_array_equal(whole(str(tmp_path), picture_model("N", 5, 4, 3))[0], np.rot90(PIXELS[0], -1))


def test_resize_takes_the_shorter_side_and_crop_the_middle(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (30, 60, 3))
    save(tmp_path / "a.png", np.ascontiguousarray(ramp))
    asked = Preprocess(layout="nhwc", resize=15, crop=(10, 10))
    found = whole(str(tmp_path), picture_model("N", 10, 10, 3), asked)
    assert found.shape == (1, 10, 10, 3)
    np.testing.assert_allclose(found[0, :, :, 0].mean(axis=0), 82 + 8 * np.arange(10), atol=1.0)
    assert whole(str(tmp_path), picture_model("N", 7, 9, 3), Preprocess(layout="nhwc", resize=(7, 9))).shape == (1, 7, 9, 3)


def test_labels_stand_in_a_file_or_in_the_names_of_folders(tmp_path: Path) -> None:
    graph = picture_model("N", 4, 5, 3)
    (tmp_path / "named").mkdir()
    folder = folder_of(tmp_path / "named")
    (tmp_path / "named" / "labels.csv").write_text("file,label\n" + "".join(f"{5 - i}.png,{i}\n" for i in range(6)))
    found = load_data(folder, graph, labels="classes").labels()
    assert found is not None
    assert found.tolist() == [5, 4, 3, 2, 1, 0]
    assert found.dtype == np.int64
    assert load_data(folder, graph, labels="none").labels() is None
    for index, pixels in enumerate(PIXELS):
        (tmp_path / "sorted" / str(index % 2)).mkdir(parents=True, exist_ok=True)
        save(tmp_path / "sorted" / str(index % 2) / f"{index}.png", pixels)
    found = load_data(str(tmp_path / "sorted"), graph, labels="classes").labels()
    assert found is not None
    assert found.tolist() == [0, 0, 0, 1, 1, 1]


def test_labels_for_a_metric_of_the_users_own_are_any_numbers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (tmp_path / "labels.csv").write_text("".join(f"{i}.png,{i},0.5\n" for i in range(6)))
    found = load_data(folder, picture_model("N", 4, 5, 3), labels="any").labels()
    assert found is not None
    np.testing.assert_array_equal(found, [[i, 0.5] for i in range(6)])


def test_the_digest_is_of_pictures_names_labels_and_size(tmp_path: Path) -> None:
    graph = picture_model("N", 4, 5, 3)
    folder = folder_of(tmp_path)
    first = load_data(folder, graph).sha256
    assert load_data(folder, graph).sha256 == first
    assert load_data(folder, graph, preprocess=Preprocess(layout="nhwc", channels="bgr")).sha256 != first
    save(tmp_path / "3.png", PIXELS[0])
    assert load_data(folder, graph).sha256 != first
