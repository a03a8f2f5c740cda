"""Samples in a folder of images, decoded with Pillow one batch at a time.

Files are taken in the order of their names. Labels stand in `labels.csv` (file, label), or are the names of sub-folders.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, DType, Graph, TensorType
from autosplitc.passes import Picture, picture_of

from .data_checks import Labels, class_labels, runs_a_batch
from .preprocess import Preprocess

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
LABELS_FILE = "labels.csv"

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's modes by number of channels."""
_WIDE = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Modes of more than 8 bits a channel."""
_LABELS_HINT = f"{LABELS_FILE} has a line a picture: picture.png,3"


@dataclass(frozen=True, slots=True)
class FolderData:
    """Samples in a folder: the passes' `Data`. Every iteration decodes the files again."""

    folder: Path
    files: tuple[str, ...]
    input: str
    type: TensorType
    picture: Picture
    pixels: Preprocess | None
    sha256: str
    given_labels: NDArray[Any] | None = field(default=None, compare=False)

    @property
    def samples(self) -> int:
        """Number of images."""
        return len(self.files)

    def batches(self) -> Iterator[Mapping[str, NDArray[np.uint8]]]:
        """Yield bytes u8[n, ...] in the input's layout, in whole runs of the model. Raises CompileError (AS331, AS332)."""
        first = self.type.shape[0] if self.type.shape else 1
        rows = first if isinstance(first, int) else 1
        size = (self.picture.height or 1) * (self.picture.width or 1) * self.picture.channels
        count = runs_a_batch(size * rows) * rows
        for start in range(0, len(self.files), count):
            names = self.files[start : start + count]
            yield {self.input: np.stack([decoded(self.folder / name, name, self.picture, self.pixels) for name in names])}

    def labels(self) -> NDArray[Any] | None:
        """Labels [samples, ...], i64[samples] of classes, or None where the folder has none."""
        return self.given_labels


def load_folder(folder: Path, graph: Graph, labels: Labels, pixels: Preprocess | None) -> FolderData:
    """Open a folder of images; every one is decoded once. Raises CompileError as `load_data` does."""
    files = _files(folder)
    value, picture = _input(folder, graph, pixels)
    _need_pillow(folder)
    first = value.shape[0] if value.shape else 1
    if isinstance(first, int) and len(files) % first:
        note = f"the model runs on {first} samples at a time"
        raise CompileError(Diagnostic("AS315", f"the images make no whole runs: there are {len(files)}", folder.name, (note,)))
    found = _labels(folder, files, graph, labels) if labels != "none" else None
    digest = hashlib.sha256(f"{picture} {pixels.text if pixels else ''}".encode())
    problems: list[Diagnostic] = []
    for name in files:
        digest.update(f"\n{name}\n".encode())
        try:
            decoded(folder / name, name, picture, pixels)
            digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
        except CompileError as error:
            problems.extend(error.diagnostics)
    if problems:
        raise CompileError(_first_of_each(problems))
    digest.update(found.tobytes() if found is not None else b"")
    return FolderData(folder, files, graph.inputs[0].name, value, picture, pixels, digest.hexdigest(), found)


def _first_of_each(problems: list[Diagnostic]) -> list[Diagnostic]:
    """Return at most three diagnostics of each code."""
    return [d for i, d in enumerate(problems) if sum(e.code == d.code for e in problems[:i]) < 3]


def _input(folder: Path, graph: Graph, pixels: Preprocess | None) -> tuple[TensorType, Picture]:
    """Return the type of the only input, which takes a picture's bytes. Raises CompileError (AS333)."""
    inputs = tuple(f"{v.name} : {v.type}" for v in graph.inputs)
    type_ = graph.inputs[0].type if len(graph.inputs) == 1 else None
    if type_ is not None and type_.dtype is DType.F32 and picture_of(type_.shape):
        message = "images are bytes, and nothing says what numbers the model takes"
        raise CompileError(Diagnostic("AS333", message, folder.name, inputs, "--preprocess unit, or imagenet"))
    picture = picture_of(type_.shape, pixels.layout if pixels else "") if type_ is not None and type_.dtype is DType.U8 else None
    if type_ is None or picture is None or picture.height is None or picture.width is None:
        message = "a folder of images is for models with one input, of pictures"
        raise CompileError(Diagnostic("AS333", message, folder.name, inputs, "give an .npz file, or package.module:function"))
    return type_, picture


def _need_pillow(folder: Path) -> None:
    if find_spec("PIL") is None:
        hint = 'pip install "autosplitc[images]", or pip install pillow'
        raise CompileError(Diagnostic("AS330", "decoding images takes Pillow, which is not installed", folder.name, hint=hint))


def _files(folder: Path) -> tuple[str, ...]:
    """Return the images in a folder, or in its sub-folders named by classes, by path within it. Raises CompileError (AS317, AS333)."""
    here = sorted(path.name for path in folder.iterdir() if _is_image(path))
    classes = [path.name for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()]
    below = sorted(f"{name}/{path.name}" for name in classes for path in (folder / name).iterdir() if _is_image(path))
    if here and below:
        notes = (f"{len(here)} in the folder, such as {here[0]}; {len(below)} below it, such as {below[0]}",)
        raise CompileError(Diagnostic("AS333", "images lie in the folder and in its sub-folders", folder.name, notes, "keep one of both"))
    if not here and not below:
        hint = f"images are {', '.join(SUFFIXES)} files, in the folder or in sub-folders named 0, 1, 2 ..."
        raise CompileError(Diagnostic("AS317", "there are no images", folder.name, hint=hint))
    return tuple(here or below)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def decoded(path: Path, name: str, picture: Picture, pixels: Preprocess | None) -> NDArray[np.uint8]:
    """Return an image's bytes u8[C, H, W] or [H, W, C], turned as its EXIF data says, resized and cropped.

    Raises CompileError: AS331 it cannot be decoded, AS332 its size is not the input's.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            if opened.mode in _WIDE:
                raise CompileError(Diagnostic("AS331", f"the image has more than 8 bits a channel (mode {opened.mode})", name))
            image = ImageOps.exif_transpose(opened).convert(_MODES[picture.channels])
    except CompileError:
        raise
    except Exception as error:
        message = f"the image cannot be decoded: {error or type(error).__name__}".replace(str(path), path.name)
        raise CompileError(Diagnostic("AS331", message, name, hint="mend the file or take it out of the folder")) from None
    array = np.asarray(_in_size(image, pixels), np.uint8)
    if array.shape[:2] != (picture.height, picture.width):
        message = f"the image is {array.shape[0]}x{array.shape[1]}, and the model takes {picture.height}x{picture.width}"
        hint = f"--preprocess ...,resize={picture.height}x{picture.width}, or resize=SHORTER_SIDE,crop={picture.height}x{picture.width}"
        raise CompileError(Diagnostic("AS332", message, name, hint=hint))
    array = array.reshape(*array.shape[:2], picture.channels)
    if pixels is not None and pixels.channels == "bgr":
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array if picture.layout == "nhwc" else array.transpose(2, 0, 1))


def _in_size(image: Image, pixels: Preprocess | None) -> Image:
    """Return an image resized (bilinear, averaging what is made smaller), then cut to the middle."""
    from PIL.Image import Resampling

    if pixels is not None and pixels.resize is not None:
        if isinstance(pixels.resize, tuple):
            height, width = pixels.resize
        else:
            shorter = min(image.size)
            width, height = (side * pixels.resize // shorter for side in image.size)
        image = image.resize((max(1, width), max(1, height)), Resampling.BILINEAR)
    if pixels is not None and pixels.crop is not None:
        height, width = pixels.crop
        left, top = (image.width - width) // 2, (image.height - height) // 2
        if left >= 0 and top >= 0:
            image = image.crop((left, top, left + width, top + height))
    return image


def _labels(folder: Path, files: tuple[str, ...], graph: Graph, kind: Labels) -> NDArray[Any] | None:
    """Return the labels, in the order of the files. Raises CompileError (AS321)."""
    path = folder / LABELS_FILE
    if path.is_file():
        where = f"{folder.name}/{LABELS_FILE}"
        labels = _from_csv(path, files, where, kind)
        return class_labels(labels, graph, where, _LABELS_HINT) if kind == "classes" else labels
    if "/" in files[0]:
        return class_labels(np.array([int(name.partition("/")[0]) for name in files]), graph, folder.name, "name sub-folders by classes")
    return None


def _from_csv(path: Path, files: tuple[str, ...], where: str, kind: Labels) -> NDArray[Any]:
    """Return the numbers behind each file's name: one integer a file, or for "any" as many numbers as stand there."""
    given: dict[str, list[float]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(line, row) for line, row in enumerate(csv.reader(file), 1) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise CompileError(Diagnostic("AS321", f"the labels cannot be read: {error}", where, hint=_LABELS_HINT)) from None
    for line, (name, *cells) in rows:
        if line == 1 and name.strip().lower() == "file":
            continue
        try:
            numbers = [float(int(cell)) if kind == "classes" else float(cell) for cell in cells]
        except ValueError:
            numbers = []
        if not numbers or (kind == "classes" and len(numbers) > 1) or name.strip() in given:
            what = "names a file again" if name.strip() in given else "is no file and its label"
            raise CompileError(Diagnostic("AS321", f"line {line} {what}", where, hint=_LABELS_HINT))
        given[name.strip()] = numbers
    missing = [name for name in files if name not in given]
    if missing or len({len(numbers) for numbers in given.values()}) > 1:
        message = f"{missing[0]} has no label" if missing else "lines have different numbers of labels"
        raise CompileError(Diagnostic("AS321", message, where, (f"{len(missing)} of {len(files)} images have none",), _LABELS_HINT))
    labels = np.array([given[name] for name in files])
    labels = labels[:, 0] if labels.shape[1] == 1 else labels
    return labels.astype(np.int64) if bool((labels == np.rint(labels)).all()) else labels
