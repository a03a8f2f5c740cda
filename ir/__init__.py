"""The IR: types, graph, op table, verification, text form, ONNX import and export."""

from .blob import BlobRef, blob_from_array, blob_from_bytes, blob_from_file, dtype_of, numpy_dtype, storage_bytes
from .diagnostics import (
    EXIT_BAD_INPUT,
    EXIT_INFEASIBLE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    EXIT_VERIFICATION,
    CompileError,
    Diagnostic,
    did_you_mean,
)
from .graph import ABSENT, UNKNOWN_TYPE, Const, Graph, Op, Value
from .location import NOWHERE, Loc
from .module import Fact, Module
from .op_table import ACTIVATIONS, OpRow, at_batch_one, op_macs, op_row
from .packing import pack_bits, packed_bytes, unpack_bits
from .types import ArrayRef, Attrs, AttrScalar, AttrValue, Dim, DType, EmptyList, Shape, TensorType, code_dtype

__all__ = [
    "ABSENT",
    "ACTIVATIONS",
    "EXIT_BAD_INPUT",
    "EXIT_INFEASIBLE",
    "EXIT_INTERNAL",
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "EXIT_VERIFICATION",
    "NOWHERE",
    "UNKNOWN_TYPE",
    "ArrayRef",
    "AttrScalar",
    "AttrValue",
    "Attrs",
    "BlobRef",
    "CompileError",
    "Const",
    "DType",
    "Diagnostic",
    "Dim",
    "EmptyList",
    "Fact",
    "Graph",
    "Loc",
    "Module",
    "Op",
    "OpRow",
    "Shape",
    "TensorType",
    "Value",
    "at_batch_one",
    "blob_from_array",
    "blob_from_bytes",
    "blob_from_file",
    "code_dtype",
    "did_you_mean",
    "dtype_of",
    "numpy_dtype",
    "op_macs",
    "op_row",
    "pack_bits",
    "packed_bytes",
    "storage_bytes",
    "unpack_bits",
]
