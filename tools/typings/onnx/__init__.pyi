from collections.abc import Iterable
from os import PathLike
from typing import ClassVar, Literal, TypeAlias

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message
from onnx import checker as checker
from onnx import defs as defs
from onnx import helper as helper
from onnx import inliner as inliner
from onnx import numpy_helper as numpy_helper
from onnx import printer as printer
from onnx import shape_inference as shape_inference
from onnx import version_converter as version_converter

__version__: str
_Strs: TypeAlias = RepeatedScalarFieldContainer[str]
_Ints: TypeAlias = RepeatedScalarFieldContainer[int]
_Floats: TypeAlias = RepeatedScalarFieldContainer[float]
_Bytes: TypeAlias = RepeatedScalarFieldContainer[bytes]

class StringStringEntryProto(Message):
    key: str
    value: str
    def __init__(self, *, key: str = ..., value: str = ...) -> None: ...

class OperatorSetIdProto(Message):
    domain: str
    version: int
    def __init__(self, *, domain: str = ..., version: int = ...) -> None: ...

class TensorProto(Message):
    DataType: ClassVar[type[int]]
    UNDEFINED: ClassVar[int]
    FLOAT: ClassVar[int]
    UINT8: ClassVar[int]
    INT8: ClassVar[int]
    UINT16: ClassVar[int]
    INT16: ClassVar[int]
    INT32: ClassVar[int]
    INT64: ClassVar[int]
    STRING: ClassVar[int]
    BOOL: ClassVar[int]
    FLOAT16: ClassVar[int]
    DOUBLE: ClassVar[int]
    UINT32: ClassVar[int]
    UINT64: ClassVar[int]
    COMPLEX64: ClassVar[int]
    COMPLEX128: ClassVar[int]
    BFLOAT16: ClassVar[int]
    FLOAT8E4M3FN: ClassVar[int]
    FLOAT8E4M3FNUZ: ClassVar[int]
    FLOAT8E5M2: ClassVar[int]
    FLOAT8E5M2FNUZ: ClassVar[int]
    UINT4: ClassVar[int]
    INT4: ClassVar[int]
    FLOAT4E2M1: ClassVar[int]
    FLOAT8E8M0: ClassVar[int]
    UINT2: ClassVar[int]
    INT2: ClassVar[int]
    DEFAULT: ClassVar[int]
    EXTERNAL: ClassVar[int]
    dims: _Ints
    data_type: int
    float_data: _Floats
    int32_data: _Ints
    string_data: _Bytes
    int64_data: _Ints
    name: str
    doc_string: str
    raw_data: bytes
    external_data: RepeatedCompositeFieldContainer[StringStringEntryProto]
    data_location: int
    double_data: _Floats
    uint64_data: _Ints
    def __init__(
        self, *, name: str = ..., data_type: int = ..., dims: Iterable[int] = ..., raw_data: bytes = ..., float_data: Iterable[float] = ...,
        int32_data: Iterable[int] = ..., int64_data: Iterable[int] = ..., string_data: Iterable[bytes] = ...,
        double_data: Iterable[float] = ..., uint64_data: Iterable[int] = ..., data_location: int = ...,
    ) -> None: ...

class SparseTensorProto(Message):
    values: TensorProto
    indices: TensorProto
    dims: _Ints
    def __init__(self, *, values: TensorProto = ..., indices: TensorProto = ..., dims: Iterable[int] = ...) -> None: ...

class TensorShapeProto(Message):
    class Dimension(Message):
        dim_value: int
        dim_param: str
        def WhichOneof(self, oneof_group: str | bytes) -> Literal["dim_value", "dim_param"] | None: ...

    dim: RepeatedCompositeFieldContainer[TensorShapeProto.Dimension]

class TypeProto(Message):
    class Tensor(Message):
        elem_type: int
        shape: TensorShapeProto

    class SparseTensor(Message):
        elem_type: int
        shape: TensorShapeProto

    class Sequence(Message):
        elem_type: TypeProto

    class Optional(Message):
        elem_type: TypeProto

    class Map(Message):
        key_type: int
        value_type: TypeProto

    tensor_type: TypeProto.Tensor
    sequence_type: TypeProto.Sequence
    optional_type: TypeProto.Optional
    map_type: TypeProto.Map
    sparse_tensor_type: TypeProto.SparseTensor
    denotation: str

class ValueInfoProto(Message):
    name: str
    type: TypeProto
    doc_string: str
    def __init__(self, *, name: str = ..., type: TypeProto = ...) -> None: ...

class AttributeProto(Message):
    UNDEFINED: ClassVar[int]
    FLOAT: ClassVar[int]
    INT: ClassVar[int]
    STRING: ClassVar[int]
    TENSOR: ClassVar[int]
    GRAPH: ClassVar[int]
    FLOATS: ClassVar[int]
    INTS: ClassVar[int]
    STRINGS: ClassVar[int]
    TENSORS: ClassVar[int]
    GRAPHS: ClassVar[int]
    SPARSE_TENSOR: ClassVar[int]
    SPARSE_TENSORS: ClassVar[int]
    TYPE_PROTO: ClassVar[int]
    TYPE_PROTOS: ClassVar[int]
    name: str
    ref_attr_name: str
    type: int
    f: float
    i: int
    s: bytes
    t: TensorProto
    g: GraphProto
    tp: TypeProto
    sparse_tensor: SparseTensorProto
    floats: _Floats
    ints: _Ints
    strings: _Bytes
    tensors: RepeatedCompositeFieldContainer[TensorProto]
    graphs: RepeatedCompositeFieldContainer[GraphProto]
    sparse_tensors: RepeatedCompositeFieldContainer[SparseTensorProto]
    type_protos: RepeatedCompositeFieldContainer[TypeProto]
    def __init__(self, *, name: str = ..., type: int = ...) -> None: ...

class NodeProto(Message):
    input: _Strs
    output: _Strs
    name: str
    op_type: str
    domain: str
    attribute: RepeatedCompositeFieldContainer[AttributeProto]
    doc_string: str
    def __init__(
        self, *, op_type: str = ..., name: str = ..., domain: str = ..., input: Iterable[str] = ..., output: Iterable[str] = ...,
        attribute: Iterable[AttributeProto] = ...,
    ) -> None: ...

class GraphProto(Message):
    node: RepeatedCompositeFieldContainer[NodeProto]
    name: str
    initializer: RepeatedCompositeFieldContainer[TensorProto]
    sparse_initializer: RepeatedCompositeFieldContainer[SparseTensorProto]
    doc_string: str
    input: RepeatedCompositeFieldContainer[ValueInfoProto]
    output: RepeatedCompositeFieldContainer[ValueInfoProto]
    value_info: RepeatedCompositeFieldContainer[ValueInfoProto]
    def __init__(self, *, name: str = ...) -> None: ...

class FunctionProto(Message):
    name: str
    domain: str
    input: _Strs
    output: _Strs
    attribute: _Strs
    node: RepeatedCompositeFieldContainer[NodeProto]
    opset_import: RepeatedCompositeFieldContainer[OperatorSetIdProto]

class ModelProto(Message):
    ir_version: int
    opset_import: RepeatedCompositeFieldContainer[OperatorSetIdProto]
    producer_name: str
    producer_version: str
    domain: str
    model_version: int
    doc_string: str
    graph: GraphProto
    metadata_props: RepeatedCompositeFieldContainer[StringStringEntryProto]
    functions: RepeatedCompositeFieldContainer[FunctionProto]
    def __init__(self, *, ir_version: int = ..., producer_name: str = ...) -> None: ...

def load(f: str | PathLike[str], format: str | None = ..., load_external_data: bool = ...) -> ModelProto: ...
def load_from_string(s: bytes, format: str = ...) -> ModelProto: ...
def load_model_from_string(s: bytes, format: str = ...) -> ModelProto: ...
def save(
    proto: ModelProto,
    f: str | PathLike[str],
    format: str | None = ...,
    *,
    save_as_external_data: bool = ...,
    all_tensors_to_one_file: bool = ...,
    location: str | None = ...,
    size_threshold: int = ...,
    convert_attribute: bool = ...,
) -> None: ...
