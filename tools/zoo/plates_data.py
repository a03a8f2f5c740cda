"""Plates for calibration and evaluation, with no text in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .debian import DebianPackage, find
from .pictures import need_pillow
from .plates_metric import encode
from .plates_render import Fonts, draw_texts, render

SIGNS = DebianPackage("fonts-wqy-zenhei", ("usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",))
LATIN = DebianPackage("fonts-liberation", ("usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf",))
CHARACTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ云京使冀吉学宁川挂新晋桂沪津浙渝港湘澳琼甘皖粤苏蒙藏警豫贵赣辽鄂闽陕青领鲁黑"
"""The recogniser's characters, as its metadata has them; class k is the k-th, from 1."""


def fonts() -> Fonts:
    """Return the font files; raise `CompileError` AS689 where they cannot be had."""
    ((signs,), (latin,)) = find(SIGNS), find(LATIN)
    return Fonts(signs, latin)


def load(calibration: int, evaluation: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Return pictures for calibration and for evaluation, u8[n, 3, 32, 120], and the classes of the latter, i64[n, 8].

    Raises `CompileError` AS689, AS690.
    """
    need_pillow()
    texts = draw_texts(calibration + evaluation, seed)
    pictures = render(texts, fonts(), seed)
    labels = np.array([encode(text, CHARACTERS) for text in texts[calibration:]], np.int64)
    return pictures[:calibration], pictures[calibration:], labels
