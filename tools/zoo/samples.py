"""Samples that go with models of the zoo: for calibration and for evaluation, made once into the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

from . import fashion_data, picture_files, pictures, plates_data
from .cache import cached_model, write_atomically

Arrays: TypeAlias = dict[str, NDArray[Any]]
Split: TypeAlias = Literal["calib", "eval", "labelled"]

SEED = 20


@dataclass(frozen=True, slots=True)
class ZooData:
    """Samples that lie ready, as `.npz` files of bytes.

    metric: as `--metric` takes it. preprocess: what turns the bytes into the model's input, as `--preprocess` takes it. groups: pictures
    that the evaluation samples are crops of, equally many of each in a row; none where samples stand for themselves. labelled: a few more
    samples with labels, where `evaluation` has none.
    """

    calib: Path
    evaluation: Path
    metric: str
    preprocess: str
    licence: str
    source: str
    groups: tuple[str, ...] = ()
    labelled: Path | None = None


@dataclass(frozen=True, slots=True)
class DataEntry:
    """How a model's samples are made: `make` returns the arrays of each file. `recipe` goes up when it makes others."""

    name: str
    metric: str
    preprocess: str
    licence: str
    source: str
    make: Callable[[], Mapping[Split, Arrays]] = field(repr=False)
    groups: tuple[str, ...] = ()
    labelled: bool = False
    recipe: int = 1

    def path(self, split: Split) -> Path:
        """Where a file lies, or will lie."""
        return cached_model(f"{self.name}-{split}-{self.recipe}.npz")

    @property
    def ready(self) -> bool:
        """Whether all files lie ready."""
        return all(self.path(split).is_file() for split in self.splits)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The files."""
        return ("calib", "eval", "labelled") if self.labelled else ("calib", "eval")


def _fashion() -> Mapping[Split, Arrays]:
    train, test, labels = fashion_data.load()
    return {"calib": {"image": fashion_data.calibration(train, 1024, SEED)}, "eval": {"image": test, "labels": labels}}


def _mobilenet_v2() -> Mapping[Split, Arrays]:
    found = pictures.load_pictures()
    labels = np.array([picture_files.label(stem) for stem in picture_files.LABELLED], np.int64)
    return {
        "calib": {"input": pictures.crops(found, picture_files.CALIBRATION, 4, SEED)},
        "eval": {"input": pictures.crops(found, _EVALUATION, 6, SEED)},
        "labelled": {"input": np.stack([pictures.center_crop(found[stem]) for stem in picture_files.LABELLED]), "labels": labels},
    }


def _yolov3_tiny() -> Mapping[Split, Arrays]:
    found = pictures.load_pictures()
    return {
        "calib": {"input": pictures.frames(found, picture_files.CALIBRATION, 4, SEED)},
        "eval": {"input": pictures.frames(found, _EVALUATION, 4, SEED)},
    }


def _plates() -> Mapping[Split, Arrays]:
    calib, evaluation, labels = plates_data.load(256, 1000, SEED)
    return {"calib": {"x": calib}, "eval": {"x": evaluation, "labels": labels}}


_EVALUATION = (*picture_files.LABELLED, *picture_files.UNLABELLED)
_PICTURES = ", ".join(distribution.requirement for distribution in picture_files.DISTRIBUTIONS)

ENTRIES = (
    DataEntry("fashion", "top1", "none", "MIT", "dataset-fashion-mnist of Debian", _fashion),
    DataEntry(
        "mobilenet-v2",
        "agreement",
        "imagenet,layout=nchw",
        picture_files.LICENCE,
        f"seeded crops of pictures in {_PICTURES}",
        _mobilenet_v2,
        groups=_EVALUATION,
        labelled=True,
    ),
    DataEntry(
        "yolov3-tiny",
        "autosplitc.zoo.yolov3_metric:ap50",
        "unit",
        picture_files.LICENCE,
        f"pictures and seeded crops of them, from {_PICTURES}",
        _yolov3_tiny,
        groups=_EVALUATION,
    ),
    DataEntry(
        "plates",
        "autosplitc.zoo.plates_metric:exact",
        "scale=1/255,mean=0.5,std=0.5,channels=rgb",
        "synthetic; fonts GPL-2 with font exception",
        "synthetic plates, drawn with fonts-wqy-zenhei and fonts-liberation of Debian",
        _plates,
    ),
)


def data_entry(name: str) -> DataEntry | None:
    """Return the row of a model's samples, None where it has none; `zoo:` before the name may stand or not."""
    return next((entry for entry in ENTRIES if entry.name == name.removeprefix("zoo:")), None)


def data(name: str) -> ZooData:
    """Return a model's samples; those that are not in the cache yet are made first, which may download packages.

    Raises `CompileError`: AS182 the model has none, AS682 and AS689 download failed, AS683 not the pinned file, AS686 cache not
    writable, AS690 Pillow is missing, AS691 a file cannot be read.
    """
    entry = data_entry(name)
    if entry is None:
        hint = "zoo:" + ", zoo:".join(row.name for row in ENTRIES)
        raise CompileError(Diagnostic("AS182", f'the zoo has no samples for "{name}"', hint=hint))
    if not entry.ready:
        make(entry)
    labelled = entry.path("labelled") if entry.labelled else None
    files = (entry.path("calib"), entry.path("eval"))
    return ZooData(*files, entry.metric, entry.preprocess, entry.licence, entry.source, entry.groups, labelled)


def make(entry: DataEntry) -> None:
    """Make a model's samples in the cache, also where they lie there already."""
    for split, arrays in entry.make().items():
        write_atomically(entry.path(split), lambda path, arrays=arrays: _save(path, arrays))


def _save(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
