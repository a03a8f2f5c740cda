from typing import Any

from onnx import ModelProto

class TestCase:
    name: str
    model: ModelProto
    data_sets: list[tuple[list[Any], list[Any]]]

def collect_testcases(op_type: str | None) -> list[TestCase]: ...
