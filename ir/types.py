"""Element types, tensor types and attributes of the IR.

A tensor type says what is known at compile time: its element type, and its shape where an `int` is a known size, a `str` a symbolic one
(`"N"`), and `None` a size that is known only at run time. `shape is None` means that not even the rank is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .blob import BlobRef
    from .graph import Graph

Dim: TypeAlias = int | str | None
Shape: TypeAlias = tuple[Dim, ...]


class DType(StrEnum):
    """Element types. `u1`..`u7` and `i2`..`i7` are codes; those of 1, 2 and 4 bits and 8 bits exist in ONNX too."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    F8E4M3FN = "f8e4m3fn"
    F8E4M3FNUZ = "f8e4m3fnuz"
    F8E5M2 = "f8e5m2"
    F8E5M2FNUZ = "f8e5m2fnuz"
    F8E8M0 = "f8e8m0"
    F4E2M1 = "f4e2m1"
    I64 = "i64"
    I32 = "i32"
    I16 = "i16"
    I8 = "i8"
    I7 = "i7"
    I6 = "i6"
    I5 = "i5"
    I4 = "i4"
    I3 = "i3"
    I2 = "i2"
    U64 = "u64"
    U32 = "u32"
    U16 = "u16"
    U8 = "u8"
    U7 = "u7"
    U6 = "u6"
    U5 = "u5"
    U4 = "u4"
    U3 = "u3"
    U2 = "u2"
    U1 = "u1"
    BOOL = "bool"
    C64 = "c64"
    C128 = "c128"
    STRING = "string"
    UNKNOWN = "unknown"

    @property
    def bits(self) -> int:
        """Bits that one element takes in memory; 0 for strings and unknown types."""
        return _BITS[self]

    @property
    def is_float(self) -> bool:
        """Whether this is a real floating-point type (f64, f32, f16, bf16)."""
        return self in _FLOATS

    @property
    def is_sendable(self) -> bool:
        """Whether values of this type can cross the wire: integers, booleans and real floating point of 16 bits and more."""
        return self.is_float or self is DType.BOOL or (self[0] in "ui" and self is not DType.UNKNOWN)

    @property
    def is_code(self) -> bool:
        """Whether elements are integers of at most 8 bits, such as quantised codes."""
        return self[0] in "ui" and 0 < self.bits <= 8


_FLOATS = frozenset({DType.F64, DType.F32, DType.F16, DType.BF16})
_BITS: dict[DType, int] = {
    **{d: int(d[1:]) for d in DType if d[0] in "ui" and d[1:].isdigit()},
    DType.F64: 64,
    DType.F32: 32,
    DType.F16: 16,
    DType.BF16: 16,
    **{d: 8 for d in DType if d.startswith("f8")},
    DType.F4E2M1: 4,
    DType.BOOL: 8,
    DType.C64: 64,
    DType.C128: 128,
    DType.STRING: 0,
    DType.UNKNOWN: 0,
}


def code_dtype(bits: int, *, signed: bool) -> DType:
    """Return the code type of `bits` (1..8 unsigned, 2..8 signed)."""
    return DType(f"{'i' if signed else 'u'}{bits}")


@dataclass(frozen=True, slots=True)
class TensorType:
    """Type of a value. `wraps` names containers around it, outermost first: `seq`, `opt`, `sparse`, `map.i64`, `map.string` ..."""

    dtype: DType
    shape: Shape | None = None
    wraps: tuple[str, ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether this is a plain tensor whose every size is a known integer."""
        return self.shape is not None and not self.wraps and all(isinstance(d, int) for d in self.shape)

    @property
    def elements(self) -> int | None:
        """Number of elements, or None where a size is not known."""
        if self.shape is None or self.wraps:
            return None
        total = 1
        for d in self.shape:
            if not isinstance(d, int):
                return None
            total *= d
        return total

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as integers. Raises ValueError where a size is not known."""
        if self.shape is None or not self.is_static:
            raise ValueError(f"the shape is not static: {self}")
        return tuple(d for d in self.shape if isinstance(d, int))

    def with_dtype(self, dtype: DType) -> TensorType:
        """Return the same shape with another element type."""
        return TensorType(dtype, self.shape, self.wraps)

    def __str__(self) -> str:
        """Return the text form, e.g. `f32[N, 3, ?, ?]`, `f32[*]` (rank unknown) or `seq<f32[*]>`."""
        if self.shape is None:
            text = f"{self.dtype}[*]"
        else:
            text = f"{self.dtype}[{', '.join('?' if d is None else str(d) for d in self.shape)}]"
        for word in reversed(self.wraps):
            text = f"{word}<{text}>"
        return text


@dataclass(frozen=True, slots=True)
class EmptyList:
    """An empty list attribute; `kind` is `ints`, `floats`, `strings`, `tensors`, `graphs` or `types`."""

    kind: str


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """A tensor held by an attribute, or an array held by a fact."""

    type: TensorType
    blob: BlobRef


AttrScalar: TypeAlias = "int | float | str | bytes | ArrayRef | TensorType | Graph"
AttrValue: TypeAlias = "AttrScalar | tuple[AttrScalar, ...] | EmptyList"
"""What an attribute may hold. bool is not used: flags are the integers 0 and 1, as in ONNX. Enumerations are str."""


@dataclass(frozen=True, slots=True)
class Attrs(Mapping[str, "AttrValue"]):
    """Immutable attributes, sorted by name. Build with `Attrs.of(...)`."""

    items_: tuple[tuple[str, AttrValue], ...] = ()

    @staticmethod
    def of(values: Mapping[str, AttrValue] | None = None, /, **more: AttrValue) -> Attrs:
        """Return attributes from a mapping and keywords."""
        merged = {**(values or {}), **more}
        return Attrs(tuple(sorted(merged.items())))

    def __getitem__(self, name: str) -> AttrValue:
        """Return the attribute; KeyError where it is not set."""
        for key, value in self.items_:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return (key for key, _ in self.items_)

    def __len__(self) -> int:
        """Return how many are set."""
        return len(self.items_)

    def with_(self, **changes: AttrValue | None) -> Attrs:
        """Return a copy with `changes`; None removes an attribute."""
        merged: dict[str, AttrValue | None] = {**dict(self.items_), **changes}
        return Attrs.of({k: v for k, v in merged.items() if v is not None})

    def int_(self, name: str, default: int) -> int:
        """Return an integer attribute or `default`."""
        value = self.get(name, default)
        if not isinstance(value, int):
            raise TypeError(f"attribute {name} is not an integer: {value!r}")
        return value

    def float_(self, name: str, default: float) -> float:
        """Return a number attribute or `default`."""
        value = self.get(name, default)
        if not isinstance(value, int | float):
            raise TypeError(f"attribute {name} is not a number: {value!r}")
        return float(value)

    def str_(self, name: str, default: str = "") -> str:
        """Return a string attribute or `default`."""
        value = self.get(name, default)
        if not isinstance(value, str):
            raise TypeError(f"attribute {name} is not a string: {value!r}")
        return value

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return a list of integers or `default`."""
        value = self.get(name, default)
        if isinstance(value, EmptyList):
            return ()
        if not isinstance(value, tuple):
            raise TypeError(f"attribute {name} is not a list of integers: {value!r}")
        return tuple(v for v in value if isinstance(v, int))
