"""The IR: types, graph, op table, verification, text form, ONNX import and export."""

from .blob import (
    BlobRef,
    array_ref,
    blob_from_array,
    blob_from_bytes,
    blob_from_file,
    dtype_of,
    numpy_dtype,
    read_array,
    storage_bytes,
)
from .constant_ops import constant_makers, constant_values, constants_near_readers
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
from .dumps import read_dump, write_dump
from .edit import all_names, free_names, fresh_name, map_ops, prune_consts, redirect, remove_dead, replace_ops, sub_graphs, toposort
from .graph import ABSENT, UNKNOWN_TYPE, Const, Graph, Op, Value
from .location import NOWHERE, Loc
from .module import Fact, Module
from .onnx_export import EXTERNAL_OVER_BYTES, export_onnx, write_onnx
from .onnx_import import import_model, import_onnx
from .onnx_shapes import unknown_input_dims
from .onnx_spell import ConstSpeller, Speller, Spelling, activation_nodes, pre_activation, verbatim_node
from .op_table import ACT_GAIN, ACT_LIFT, ACT_PARAMETERS, ACTIVATIONS, FUSABLE, KIND_BY_OP_TYPE, OpRow, at_batch_one, op_macs, op_row
from .packing import pack_bits, packed_bytes, unpack_bits
from .parser import parse_module
from .printer import print_graph, print_module
from .text_blobs import BlobStore, blobs_of, verify_blobs, write_blobs
from .types import ArrayRef, Attrs, AttrScalar, AttrValue, Dim, DType, EmptyList, Shape, TensorType, code_dtype
from .verify import verify

__all__ = [
    "ABSENT",
    "ACTIVATIONS",
    "ACT_GAIN",
    "ACT_LIFT",
    "ACT_PARAMETERS",
    "EXIT_BAD_INPUT",
    "EXIT_INFEASIBLE",
    "EXIT_INTERNAL",
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "EXIT_VERIFICATION",
    "EXTERNAL_OVER_BYTES",
    "FUSABLE",
    "KIND_BY_OP_TYPE",
    "NOWHERE",
    "UNKNOWN_TYPE",
    "ArrayRef",
    "AttrScalar",
    "AttrValue",
    "Attrs",
    "BlobRef",
    "BlobStore",
    "CompileError",
    "Const",
    "ConstSpeller",
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
    "Speller",
    "Spelling",
    "TensorType",
    "Value",
    "activation_nodes",
    "all_names",
    "array_ref",
    "at_batch_one",
    "blob_from_array",
    "blob_from_bytes",
    "blob_from_file",
    "blobs_of",
    "code_dtype",
    "constant_makers",
    "constant_values",
    "constants_near_readers",
    "did_you_mean",
    "dtype_of",
    "export_onnx",
    "free_names",
    "fresh_name",
    "import_model",
    "import_onnx",
    "map_ops",
    "numpy_dtype",
    "op_macs",
    "op_row",
    "pack_bits",
    "packed_bytes",
    "parse_module",
    "pre_activation",
    "print_graph",
    "print_module",
    "prune_consts",
    "read_array",
    "read_dump",
    "redirect",
    "remove_dead",
    "replace_ops",
    "storage_bytes",
    "sub_graphs",
    "toposort",
    "unknown_input_dims",
    "unpack_bits",
    "verbatim_node",
    "verify",
    "verify_blobs",
    "write_blobs",
    "write_dump",
    "write_onnx",
]
