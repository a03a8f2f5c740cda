"""The prologue: what `--preprocess` puts before an imported graph, so that it takes bytes as they are decoded.

The model's f32 input becomes a u8 input of the same name. Bytes are brought into the model's layout and channel order, then become
numbers: (byte - mean / scale) * (scale / std).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    Attrs,
    CompileError,
    Const,
    Diagnostic,
    DType,
    Graph,
    Loc,
    Op,
    Shape,
    TensorType,
    Value,
    blob_from_array,
    did_you_mean,
    dtype_of,
    fresh_name,
    redirect,
)
from autosplitc.passes import PICTURE_AXIS, Picture, picture_of

from .preprocess import Preprocess, parse_preprocess

_F32 = 1
"""TensorProto.DataType of f32 (ONNX specification, onnx.proto)."""
_WHOLE = 1e-3
"""Levels: a zero point so near a whole number is taken as that number."""
_TIE = 2.0**-10
"""Levels by which a zero point half way between two numbers is moved: rounding to even would make one code of two bytes."""
_TO = {"nhwc": (0, 3, 1, 2), "nchw": (0, 2, 3, 1)}
"""Permutation that brings bytes of a layout into the other one."""


def preprocessed(graph: Graph, text: str) -> tuple[Graph, str]:
    """Return a graph that takes bytes, and the text of what was asked for with everything resolved; the graph itself for `none`.

    Raises CompileError: AS170 the text, AS171 it does not fit the model.
    """
    asked = parse_preprocess(text)
    if asked is None:
        return graph, text
    value = _input(graph, asked)
    resolved = _resolved(asked, value)
    return _with_prologue(graph, value, resolved), resolved.text


def _unfit(message: str, value: Value | None = None, hint: str = "", notes: tuple[str, ...] = ()) -> CompileError:
    where = f'--preprocess: input "{value.name}"' if value else "--preprocess"
    return CompileError(Diagnostic("AS171", message, where, notes, hint))


def _input(graph: Graph, asked: Preprocess) -> Value:
    floats = [v for v in graph.inputs if v.type.dtype is DType.F32 and not v.type.wraps]
    if asked.input:
        if asked.input not in graph.input:
            raise _unfit(f"the model has no input {asked.input!r}", hint=did_you_mean(asked.input, graph.input))
        floats = [v for v in floats if v.name == asked.input]
    pictures = [v for v in floats if picture_of(v.type.shape)]
    found = pictures if len(pictures) == 1 else floats
    if len(found) != 1:
        inputs = tuple(f"{v.name} : {v.type}" for v in graph.inputs)
        hint = f"--preprocess input={found[0].name},..." if found else "--preprocess none"
        raise _unfit("no input of the model takes f32" if not found else "several inputs of the model take f32", None, hint, inputs)
    if found[0].name in graph.outputs:
        raise _unfit("the input is an output of the model too", found[0], "--preprocess none")
    return found[0]


def _resolved(asked: Preprocess, value: Value) -> Preprocess:
    picture = picture_of(value.type.shape)
    asked = replace(asked, input=value.name)
    if "," in value.name:
        raise _unfit("the name has a comma in it, which the text of --preprocess cannot hold", value, "--preprocess none")
    if picture is None:
        per_channel = len(asked.mean) > 1 or len(asked.std) > 1
        if per_channel or asked.layout or asked.channels or asked.model or asked.resize or asked.crop:
            raise _unfit(f"{value.type} is no picture: channels and sizes mean nothing to it", value, "--preprocess scale=1/255")
        return asked
    for key, numbers in (("mean", asked.mean), ("std", asked.std)):
        if len(numbers) not in (1, picture.channels):
            raise _unfit(f"{key} has {len(numbers)} channels, and the model {picture.channels}", value, f"--preprocess {key}=...,...")
    own = {1: "grey", 3: "rgb"}.get(picture.channels, "")
    channels = asked.channels or own
    fits = {"grey": (1, 3), "rgb": (3,), "bgr": (3,)}.get(channels, (picture.channels,))
    if picture.channels not in fits or (asked.model and picture.channels != 3):
        raise _unfit(f"bytes in {channels or asked.model} are not for a model of {picture.channels} channels", value, "channels=grey")
    model = asked.model or ("rgb" if picture.channels == 3 else "")
    asked = replace(asked, layout=asked.layout or picture.layout, channels=channels, model=model)
    wanted = (picture.height, picture.width)
    size = asked.crop or (asked.resize if isinstance(asked.resize, tuple) else None)
    if size and None not in wanted and size != wanted:
        hint = f"--preprocess ...,resize={wanted[0]}x{wanted[1]}"
        raise _unfit(f"pictures of {size[0]}x{size[1]} do not fit {value.type}", value, hint)
    return asked


@dataclass
class _Builder:
    """Ops before the graph, and the value that the last of them makes."""

    taken: set[str]
    at: str
    type: TensorType
    ops: list[Op] = field(default_factory=list[Op])
    consts: list[Const] = field(default_factory=list[Const])

    def constant(self, hint: str, array: NDArray[Any]) -> str:
        name = self._fresh(hint)
        self.consts.append(Const(name, TensorType(dtype_of(array), array.shape), blob_from_array(array)))
        return name

    def add(self, kind: str, suffix: str, inputs: tuple[str, ...], type_: TensorType, attrs: Attrs | None = None) -> None:
        name = self._fresh(suffix)
        self.ops.append(Op((name,), kind, inputs, attrs or Attrs(), (type_,), Loc((name,))))
        self.at, self.type = name, type_

    def _fresh(self, hint: str) -> str:
        name = fresh_name(self.taken, hint)
        self.taken.add(name)
        return name


def _with_prologue(graph: Graph, value: Value, asked: Preprocess) -> Graph:
    name, picture = value.name, picture_of(value.type.shape)
    fed = _fed_type(value.type, picture, asked)
    made = _Builder(set(graph.types), name, fed)
    if picture is not None:
        _into_layout(made, name, picture, asked)
    _into_numbers(made, name, picture, asked)
    inputs = tuple(replace(v, type=fed) if v is value else v for v in graph.inputs)
    rest = redirect(graph, {name: made.at})
    return replace(rest, inputs=inputs, consts=(*graph.consts, *made.consts), ops=(*made.ops, *rest.ops))


def _fed_type(type_: TensorType, picture: Picture | None, asked: Preprocess) -> TensorType:
    """The type of the bytes as they are fed."""
    if picture is None or type_.shape is None:
        return type_.with_dtype(DType.U8)
    batch = type_.shape[0]
    height, width = type_.shape[2:] if picture.layout == "nchw" else type_.shape[1:3]
    channels = 1 if asked.channels == "grey" else picture.channels
    shape: Shape = (batch, channels, height, width) if asked.layout == "nchw" else (batch, height, width, channels)
    return TensorType(DType.U8, shape)


def _into_layout(made: _Builder, name: str, picture: Picture, asked: Preprocess) -> None:
    """Add the ops that bring bytes into the model's layout and channel order."""
    if asked.layout != picture.layout:
        order = _TO[asked.layout]
        shape = made.type.shape or ()
        type_ = TensorType(DType.U8, tuple(shape[i] for i in order))
        made.add("transpose", f"{name}.{picture.layout}", (made.at,), type_, Attrs.of(perm=order))
    axis = PICTURE_AXIS[picture.layout]
    if asked.channels == "grey" and picture.channels == 3:
        shape = list(made.type.shape or ())
        shape[axis] = 3
        made.add("concat", f"{name}.rgb", (made.at,) * 3, TensorType(DType.U8, tuple(shape)), Attrs.of(axis=axis))
    elif picture.channels == 3 and asked.channels != asked.model:
        figures = {"first": -1, "end": -(2**31), "axis": axis, "step": -1}
        names = [made.constant(f"{name}.{key}", np.array([number], np.int64)) for key, number in figures.items()]
        made.add("slice", f"{name}.{asked.model}", (made.at, *names), made.type)


def _into_numbers(made: _Builder, name: str, picture: Picture | None, asked: Preprocess) -> None:
    """Add Cast, Add and Mul; those that change nothing are left out."""
    zero_point = np.array([_zero_point(mean / asked.scale) for mean in asked.mean])
    scale = asked.scale / np.array(asked.std)
    rank = len(made.type.shape or ())
    shape = (-1,) + (1,) * (rank - 1 - PICTURE_AXIS[picture.layout]) if picture is not None else ()

    def numbers(values: NDArray[np.float64]) -> NDArray[np.float32]:
        return values.astype(np.float32).reshape(shape if values.size > 1 else ())

    type_ = made.type.with_dtype(DType.F32)
    made.add("cast", f"{name}.numbers", (made.at,), type_, Attrs.of(to=_F32))
    if (zero_point != 0).any():
        made.add("add", f"{name}.centred", (made.at, made.constant(f"{name}.zero", numbers(-zero_point))), type_)
    if (scale != 1).any():
        made.add("mul", f"{name}.scaled", (made.at, made.constant(f"{name}.factor", numbers(scale))), type_)


def _zero_point(levels: float) -> float:
    """Return the level that stands for 0: a whole number where it is nearly one, never half way between two."""
    whole = float(np.rint(levels))
    if abs(levels - whole) < _WHOLE:
        return whole
    half = float(np.floor(levels)) + 0.5
    return half - _TIE if abs(levels - half) < _TIE else levels
