"""ONNX's element types, tensor types, tensors and attributes, and ours: both ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .blob import BlobRef, blob_from_bytes
from .diagnostics import CompileError, Diagnostic
from .graph import Graph
from .types import ArrayRef, AttrScalar, AttrValue, Dim, DType, EmptyList, TensorType

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, SparseTensorProto, TensorProto, TensorShapeProto, TypeProto

DTYPE_OF_ONNX: dict[int, DType] = {
    0: DType.UNKNOWN,
    1: DType.F32,
    2: DType.U8,
    3: DType.I8,
    4: DType.U16,
    5: DType.I16,
    6: DType.I32,
    7: DType.I64,
    8: DType.STRING,
    9: DType.BOOL,
    10: DType.F16,
    11: DType.F64,
    12: DType.U32,
    13: DType.U64,
    14: DType.C64,
    15: DType.C128,
    16: DType.BF16,
    17: DType.F8E4M3FN,
    18: DType.F8E4M3FNUZ,
    19: DType.F8E5M2,
    20: DType.F8E5M2FNUZ,
    21: DType.U4,
    22: DType.I4,
    23: DType.F4E2M1,
    24: DType.F8E8M0,
    25: DType.U2,
    26: DType.I2,
}
"""Element types by `TensorProto.DataType`."""
ONNX_OF_DTYPE = {ours: number for number, ours in DTYPE_OF_ONNX.items()}
"""`TensorProto.DataType` by element type; codes that ONNX does not have (u1, u3, i3 ...) are missing."""

BLOB_KEY = "autosplitc.blob"
"""Key of the `external_data` entry of a tensor whose data was put aside; its value is the index of the blob."""

_LIST_KINDS = {6: "floats", 7: "ints", 8: "strings", 9: "tensors", 10: "graphs", 12: "sparse", 14: "types"}


def tensor_type(proto: TypeProto) -> TensorType:
    """Return a type; symbolic sizes keep their names."""
    which = proto.WhichOneof("value")
    if which == "sequence_type":
        return _wrapped("seq", tensor_type(proto.sequence_type.elem_type))
    if which == "optional_type":
        return _wrapped("opt", tensor_type(proto.optional_type.elem_type))
    if which == "map_type":
        key = DTYPE_OF_ONNX.get(proto.map_type.key_type, DType.UNKNOWN)
        return _wrapped(f"map.{key}", tensor_type(proto.map_type.value_type))
    tensor = proto.sparse_tensor_type if which == "sparse_tensor_type" else proto.tensor_type
    shape = tuple(_dim(d) for d in tensor.shape.dim) if tensor.HasField("shape") else None
    plain = TensorType(DTYPE_OF_ONNX.get(tensor.elem_type, DType.UNKNOWN), shape)
    return _wrapped("sparse", plain) if which == "sparse_tensor_type" else plain


def _wrapped(word: str, inner: TensorType) -> TensorType:
    return TensorType(inner.dtype, inner.shape, (word, *inner.wraps))


def _dim(dim: TensorShapeProto.Dimension) -> Dim:
    which = dim.WhichOneof("value")
    if which == "dim_value":
        return dim.dim_value if dim.dim_value >= 0 else None
    return dim.dim_param or None


def type_proto(type_: TensorType) -> TypeProto:
    """Return the ONNX form of a type."""
    from onnx import TypeProto

    proto = TypeProto()
    inner = TensorType(type_.dtype, type_.shape, type_.wraps[1:])
    word = type_.wraps[0] if type_.wraps else ""
    if word == "seq":
        proto.sequence_type.elem_type.CopyFrom(type_proto(inner))
        return proto
    if word == "opt":
        proto.optional_type.elem_type.CopyFrom(type_proto(inner))
        return proto
    if word.startswith("map."):
        proto.map_type.key_type = ONNX_OF_DTYPE[DType(word[4:])]
        proto.map_type.value_type.CopyFrom(type_proto(inner))
        return proto
    tensor = proto.sparse_tensor_type if word == "sparse" else proto.tensor_type
    tensor.elem_type = ONNX_OF_DTYPE[type_.dtype]
    if type_.shape is not None:
        tensor.shape.SetInParent()
        for size in type_.shape:
            dim = tensor.shape.dim.add()
            if isinstance(size, int):
                dim.dim_value = size
            elif size is not None:
                dim.dim_param = size
    return proto


def encode_strings(strings: Sequence[bytes]) -> bytes:
    """Return the blob of a string tensor: every string as its length (u32, little-endian) and its bytes."""
    return b"".join(len(s).to_bytes(4, "little") + s for s in strings)


def decode_strings(data: bytes) -> list[bytes]:
    """Return the strings of a blob made by `encode_strings`."""
    strings: list[bytes] = []
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        strings.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return strings


def raw_bytes(tensor: TensorProto, where: str) -> bytes:
    """Return a tensor's data as raw bytes whatever field holds it. Raises CompileError (AS207) where its length does not fit the shape."""
    dtype = DTYPE_OF_ONNX.get(tensor.data_type, DType.UNKNOWN)
    if dtype is DType.UNKNOWN:
        raise CompileError(Diagnostic("AS207", f"a tensor has element type {tensor.data_type}, which is not known", where))
    if dtype is DType.STRING:
        return encode_strings(tensor.string_data)
    data = tensor.raw_data if tensor.HasField("raw_data") else _typed_bytes(tensor, dtype)
    check_nbytes(len(data), stored_type(tensor), where)
    return data


def _typed_bytes(tensor: TensorProto, dtype: DType) -> bytes:
    if dtype in (DType.F32, DType.C64):
        return np.array(tensor.float_data, "<f4").tobytes()
    if dtype in (DType.F64, DType.C128):
        return np.array(tensor.double_data, "<f8").tobytes()
    if dtype is DType.I64:
        return np.array(tensor.int64_data, "<i8").tobytes()
    if dtype in (DType.U64, DType.U32):
        return np.array(tensor.uint64_data, "<u8").astype(f"<u{dtype.bits // 8}").tobytes()
    carrier = {32: "<u4", 16: "<u2"}.get(dtype.bits, "u1")
    return np.array(tensor.int32_data, "<i4").astype(carrier).tobytes()


def stored_type(tensor: TensorProto) -> TensorType:
    """Return the type of a tensor."""
    return TensorType(DTYPE_OF_ONNX.get(tensor.data_type, DType.UNKNOWN), tuple(tensor.dims))


def check_nbytes(nbytes: int, type_: TensorType, where: str) -> None:
    """Raise CompileError (AS207) unless `nbytes` is what a tensor of the type takes."""
    expected = ((type_.elements or 0) * type_.dtype.bits + 7) // 8
    if nbytes != expected:
        raise CompileError(Diagnostic("AS207", f"the data of a tensor {type_} is {nbytes} bytes long, not {expected}", where))


def array_ref(tensor: TensorProto, blobs: Sequence[BlobRef], where: str) -> ArrayRef:
    """Return a tensor's type and data; `blobs` are those that were put aside."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if BLOB_KEY in entries:
        return ArrayRef(stored_type(tensor), blobs[int(entries[BLOB_KEY])])
    return ArrayRef(stored_type(tensor), blob_from_bytes(raw_bytes(tensor, where)))


def tensor_proto(name: str, array: ArrayRef) -> TensorProto:
    """Return a tensor with raw data (strings: in their own field). Raises KeyError for element types that ONNX does not have."""
    from onnx import TensorProto

    tensor = TensorProto()
    fill_tensor(tensor, name, array)
    return tensor


def fill_header(tensor: TensorProto, name: str, array: ArrayRef) -> None:
    """Write name and type, without the data, into an empty tensor. Raises KeyError for element types that ONNX does not have."""
    tensor.name, tensor.data_type = name, ONNX_OF_DTYPE[array.type.dtype]
    tensor.dims.extend(array.type.dims)


def fill_tensor(tensor: TensorProto, name: str, array: ArrayRef) -> None:
    """Write name, type and data into an empty tensor, as `tensor_proto` does."""
    fill_header(tensor, name, array)
    data = array.blob.read().tobytes()
    if array.type.dtype is DType.STRING:
        tensor.string_data.extend(decode_strings(data))
    else:
        tensor.raw_data = data


def attr_value(
    proto: AttributeProto, blobs: Sequence[BlobRef], where: str, graph: Callable[[GraphProto], Graph]
) -> AttrValue:
    """Return an attribute's value; `graph` converts sub-graphs. A sparse tensor becomes (type, values, indices)."""
    kind = proto.type
    if kind == proto.FLOAT:
        return proto.f
    if kind == proto.INT:
        return proto.i
    if kind == proto.STRING:
        return _text(proto.s)
    if kind == proto.TENSOR:
        return array_ref(proto.t, blobs, where)
    if kind == proto.GRAPH:
        return graph(proto.g)
    if kind == proto.TYPE_PROTO:
        return tensor_type(proto.tp)
    if kind == proto.SPARSE_TENSOR:
        return sparse_value(proto.sparse_tensor, blobs, where)
    values: tuple[AttrScalar, ...]
    if kind == proto.FLOATS:
        values = tuple(proto.floats)
    elif kind == proto.INTS:
        values = tuple(proto.ints)
    elif kind == proto.STRINGS:
        values = tuple(_text(s) for s in proto.strings)
    elif kind == proto.TENSORS:
        values = tuple(array_ref(t, blobs, where) for t in proto.tensors)
    elif kind == proto.GRAPHS:
        values = tuple(graph(g) for g in proto.graphs)
    elif kind == proto.TYPE_PROTOS:
        values = tuple(tensor_type(t) for t in proto.type_protos)
    else:
        raise CompileError(Diagnostic("AS203", f"attribute {proto.name!r} has a type that is not known ({kind})", where))
    return values or EmptyList(_LIST_KINDS[kind])


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def sparse_value(sparse: SparseTensorProto, blobs: Sequence[BlobRef], where: str) -> tuple[AttrScalar, ...]:
    """Return a sparse tensor as (type, values, indices)."""
    values = array_ref(sparse.values, blobs, where)
    type_ = TensorType(values.type.dtype, tuple(sparse.dims), ("sparse",))
    return (type_, values, array_ref(sparse.indices, blobs, where))


def attr_proto(name: str, value: AttrValue, graph: Callable[[Graph], GraphProto]) -> AttributeProto:
    """Return the ONNX form of an attribute; `graph` converts sub-graphs."""
    from onnx import AttributeProto

    proto = AttributeProto(name=name)
    if isinstance(value, EmptyList):
        proto.type = next(k for k, v in _LIST_KINDS.items() if v == value.kind)
    elif isinstance(value, tuple):
        _set_list(proto, value, graph)
    else:
        _set_scalar(proto, value, graph)
    return proto


def _set_scalar(proto: AttributeProto, value: AttrScalar, graph: Callable[[Graph], GraphProto]) -> None:
    match value:
        case int():
            proto.type, proto.i = proto.INT, value
        case float():
            proto.type, proto.f = proto.FLOAT, value
        case str():
            proto.type, proto.s = proto.STRING, value.encode()
        case bytes():
            proto.type, proto.s = proto.STRING, value
        case ArrayRef():
            proto.type = proto.TENSOR
            proto.t.CopyFrom(tensor_proto("", value))
        case TensorType():
            proto.type = proto.TYPE_PROTO
            proto.tp.CopyFrom(type_proto(value))
        case Graph():
            proto.type = proto.GRAPH
            proto.g.CopyFrom(graph(value))


def _set_list(proto: AttributeProto, values: tuple[AttrScalar, ...], graph: Callable[[Graph], GraphProto]) -> None:
    match values:
        case (TensorType(wraps=("sparse",)) as type_, ArrayRef() as held, ArrayRef() as indices):
            proto.type = proto.SPARSE_TENSOR
            proto.sparse_tensor.values.CopyFrom(tensor_proto("", held))
            proto.sparse_tensor.indices.CopyFrom(tensor_proto("", indices))
            proto.sparse_tensor.dims.extend(d for d in type_.shape or () if isinstance(d, int))
            return
        case _:
            pass
    for value in values:
        match value:
            case int():
                proto.type = proto.INTS
                proto.ints.append(value)
            case float():
                proto.type = proto.FLOATS
                proto.floats.append(value)
            case str() | bytes():
                proto.type = proto.STRINGS
                proto.strings.append(value.encode() if isinstance(value, str) else value)
            case ArrayRef():
                proto.type = proto.TENSORS
                proto.tensors.append(tensor_proto("", value))
            case TensorType():
                proto.type = proto.TYPE_PROTOS
                proto.type_protos.append(type_proto(value))
            case Graph():
                proto.type = proto.GRAPHS
                proto.graphs.append(graph(value))
