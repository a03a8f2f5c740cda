from collections.abc import Mapping
from typing import Any

from onnx import TensorProto
from onnxruntime.quantization import QuantType

class TensorQuantOverridesHelper:
    def __init__(self, raw_overrides: dict[str, list[dict[str, Any]]]) -> None: ...
    def is_valid(
        self, initializers: Mapping[str, TensorProto], activation_names: set[str], default_activation_qtype: QuantType
    ) -> tuple[bool, str | None]: ...
