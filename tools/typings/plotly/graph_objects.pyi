from collections.abc import Mapping, Sequence
from typing import Any

class Figure:
    data: Sequence[Any]
    def __init__(self, data: Sequence[Mapping[str, Any]] = ..., layout: Mapping[str, Any] = ...) -> None: ...
