from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto

class Tensor:
    name: str

class Variable(Tensor):
    def __init__(self, name: str) -> None: ...

class Constant(Tensor):
    def __init__(self, name: str, values: NDArray[Any]) -> None: ...

class Node:
    def __init__(
        self, op: str, name: str, attrs: Mapping[str, Any], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None: ...

class Graph:
    nodes: list[Node]
    def __init__(self, opset: int | None = ...) -> None: ...

def export_onnx(graph: Graph, do_type_check: bool = ...) -> ModelProto: ...
