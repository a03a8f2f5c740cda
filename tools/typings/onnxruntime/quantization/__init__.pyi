from collections.abc import Mapping
from enum import Enum
from os import PathLike
from typing import Any

from numpy.typing import NDArray

class CalibrationDataReader:
    def get_next(self) -> Mapping[str, NDArray[Any]] | None: ...

class CalibrationMethod(Enum):
    MinMax = ...
    Entropy = ...
    Percentile = ...

class QuantFormat(Enum):
    QOperator = ...
    QDQ = ...

class QuantType(Enum):
    QInt8 = ...
    QUInt8 = ...
    @staticmethod
    def from_string(t: str) -> QuantType: ...

def quantize_static(
    model_input: str | PathLike[str],
    model_output: str | PathLike[str],
    calibration_data_reader: CalibrationDataReader,
    quant_format: QuantFormat = ...,
    op_types_to_quantize: list[str] | None = ...,
    per_channel: bool = ...,
    reduce_range: bool = ...,
    activation_type: QuantType = ...,
    weight_type: QuantType = ...,
    *,
    calibrate_method: CalibrationMethod = ...,
    extra_options: Mapping[str, Any] | None = ...,
) -> None: ...
