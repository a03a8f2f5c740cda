"""Plates: texts, the renderer, CTC decoding and the metric."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from autosplitc.ir import CompileError
from autosplitc.zoo.debian import DebianPackage, find
from autosplitc.zoo.plates_data import CHARACTERS, LATIN, SIGNS
from autosplitc.zoo.plates_metric import decode, encode, exact
from autosplitc.zoo.plates_render import PROVINCES, SHARP, Fonts, draw_texts, render


def one_hot(*rows: str) -> np.ndarray:
    """Scores whose best classes are digits of a text; `-` is the blank."""
    classes = np.array([[0 if sign == "-" else int(sign) for sign in row] for row in rows])
    return np.eye(10, dtype=np.float32)[classes]


@pytest.fixture
def any_fonts(tmp_path: Path) -> Fonts:
    """Some font that Pillow has in itself, for tests of everything but its shapes."""
    pytest.importorskip("PIL")
    file = next(iter(sorted(Path("/usr/share/fonts").rglob("*.ttf"))), None)
    if file is None:
        pytest.skip("there is no font on this machine")
    copy = tmp_path / "font.ttf"
    shutil.copy(file, copy)
    return Fonts(copy, copy)


def test_texts_are_plates_differ_and_depend_on_the_seed_alone() -> None:
    texts = draw_texts(200, 3)
    assert len(set(texts)) == 200
    assert texts == draw_texts(200, 3)
    assert texts != draw_texts(200, 4)
    assert texts[:50] == draw_texts(50, 3)
    assert all(text[0] in PROVINCES and text[1].isalpha() and len(text) in (7, 8) for text in texts)
    assert not any(sign in text for text in texts for sign in "IO")


def test_every_sign_has_a_class() -> None:
    assert len(set(CHARACTERS)) == len(CHARACTERS) == 72
    assert all(encode(text, CHARACTERS)[0] > 0 for text in draw_texts(100, 0))
    with pytest.raises(ValueError, match="substring"):
        encode("I", CHARACTERS)


def test_a_picture_depends_on_its_text_seed_and_place_alone(any_fonts: Fonts) -> None:
    texts = draw_texts(4, 9)
    pictures = render(texts, any_fonts, 1)
    assert pictures.shape == (4, 3, 32, 120) and pictures.dtype == np.uint8
    assert np.array_equal(pictures, render(texts, any_fonts, 1))
    assert np.array_equal(pictures[:2], render(texts[:2], any_fonts, 1))
    assert not np.array_equal(pictures, render(texts, any_fonts, 2))
    assert not np.array_equal(pictures, render(texts, any_fonts, 1, SHARP))


def test_ctc_joins_repeats_and_drops_blanks() -> None:
    assert decode(one_hot("-11-1223--", "----------", "9999999999")) == ((1, 1, 2, 3), (), (9,))


def test_exact_compares_with_labels_or_with_the_float_model() -> None:
    scores = {"out": one_hot("-12-", "-1--")}
    labels = np.array([[1, 2, 0, 0], [1, 2, 0, 0]])
    assert exact(scores, {}, labels).tolist() == [1.0, 0.0]
    assert exact(scores, {"out": one_hot("1-22", "2222")}, None).tolist() == [1.0, 0.0]


def test_a_package_that_cannot_be_had_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(CompileError) as caught:
        find(DebianPackage("fonts-of-nobody", ("usr/share/fonts/nobody.ttf",)))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.location) == ("AS689", "/usr/share/fonts/nobody.ttf")
    assert "apt-get install fonts-of-nobody" in diagnostic.hint


def test_an_unpacked_package_is_found(cache: Path) -> None:
    file = cache / "debian" / "fonts-of-nobody" / "usr/share/fonts/nobody.ttf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"font")
    assert find(DebianPackage("fonts-of-nobody", ("usr/share/fonts/nobody.ttf",))) == (file,)


@pytest.mark.network
@pytest.mark.usefixtures("cache")
def test_fonts_come_from_debian() -> None:
    assert all(path.stat().st_size > 100_000 for package in (SIGNS, LATIN) for path in find(package))
