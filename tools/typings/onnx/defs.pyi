from collections.abc import Mapping, Sequence

class OpSchema:
    class FormalParameter:
        name: str

    class Attribute:
        name: str
        required: bool
        default_value: object

    name: str
    since_version: int
    domain: str
    inputs: Sequence[FormalParameter]
    outputs: Sequence[FormalParameter]
    attributes: Mapping[str, Attribute]

class SchemaError(Exception): ...

def get_schema(op_type: str, max_inclusive_version: int = ..., domain: str = ...) -> OpSchema: ...
def get_all_schemas() -> list[OpSchema]: ...
def has(op_type: str, max_inclusive_version: int = ..., domain: str = ...) -> bool: ...
def onnx_opset_version() -> int: ...
