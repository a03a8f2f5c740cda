from typing import Any

from numpy.typing import NDArray
from onnx import TensorProto

def to_array(tensor: TensorProto, base_dir: str = ...) -> NDArray[Any]: ...
def from_array(arr: NDArray[Any], name: str | None = ...) -> TensorProto: ...
