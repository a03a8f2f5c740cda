"""Samples of the zoo: where they lie, what is asked for in vain, and those that are made from packages."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from autosplitc.ir import CompileError
from autosplitc.zoo import data
from autosplitc.zoo.cli import zoo
from autosplitc.zoo.fashion_data import calibration, read_idx
from autosplitc.zoo.picture_files import CALIBRATION, LABELLED, UNLABELLED, label
from autosplitc.zoo.pictures import crops, letterbox, open_picture, random_box
from autosplitc.zoo.samples import ENTRIES, data_entry


def png(height: int, width: int) -> bytes:
    image = pytest.importorskip("PIL.Image")
    import io

    buffer = io.BytesIO()
    image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def test_calibration_and_evaluation_share_no_picture() -> None:
    assert not set(CALIBRATION) & {*LABELLED, *UNLABELLED}
    assert len(LABELLED) == 20
    assert label("imagenet_00_243") == 243


def test_a_model_without_samples_is_told() -> None:
    with pytest.raises(CompileError) as caught:
        data("zoo:light-vgg19")
    assert caught.value.diagnostics[0].code == "AS182"
    assert "zoo:plates" in caught.value.diagnostics[0].hint
    assert data_entry("zoo:plates") is data_entry("plates") is not None


@pytest.mark.usefixtures("cache")
def test_samples_are_listed_and_not_made_by_that() -> None:
    printed = CliRunner().invoke(zoo, ["list"]).stdout
    assert "DATA FOR" in printed
    assert not any(entry.ready for entry in ENTRIES)


def test_idx_files(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x02" + bytes((0, 0, 0, 2, 0, 0, 0, 3)) + bytes(range(6))))
    assert read_idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(CompileError) as caught:
        read_idx(path)
    assert caught.value.diagnostics[0].code == "AS691"
    path.write_bytes(gzip.compress(b"text"))
    with pytest.raises(CompileError):
        read_idx(path)


def test_calibration_images_are_different_ones() -> None:
    images = np.arange(100, dtype=np.uint8)
    assert len(set(calibration(images, 30, 1).tolist())) == 30
    assert np.array_equal(calibration(images, 30, 1), calibration(images, 30, 1))


def test_boxes_lie_in_the_picture() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        left, top, right, bottom = random_box((60, 40), rng, 1 / 3)
        assert 0 <= left < right <= 60 and 0 <= top < bottom <= 40


def test_crops_of_a_picture_do_not_depend_on_the_others() -> None:
    pictures = {stem: open_picture(png(40, 60)) for stem in ("a", "b")}
    both = crops(pictures, ("a", "b"), 3, 5, side=16)
    assert both.shape == (6, 3, 16, 16)
    assert np.array_equal(both[3:], crops(pictures, ("b",), 3, 5, side=16))
    assert not np.array_equal(both[:3], both[3:])


def test_a_letterbox_keeps_proportions_between_grey() -> None:
    frame = letterbox(open_picture(png(40, 80)), 64)
    assert (frame[:, :16] == 127).all() and (frame[:, 48:] == 127).all()
    assert frame[:, 16:48].std() > 10


@pytest.mark.network
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES])
def test_samples_are_made_from_packages(name: str) -> None:
    found = data(name)
    for path in (found.calib, found.evaluation):
        with np.load(path) as arrays:
            (pixels,) = (arrays[key] for key in arrays.files if key != "labels")
            assert pixels.dtype == np.uint8 and pixels.ndim == 4
            assert "labels" not in arrays.files or len(arrays["labels"]) == len(pixels)
    assert data(name) == found
