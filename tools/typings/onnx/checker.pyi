from os import PathLike

from onnx import ModelProto

class ValidationError(Exception): ...

def check_model(
    model: ModelProto | str | bytes | PathLike[str],
    full_check: bool = ...,
    skip_opset_compatibility_check: bool = ...,
    check_custom_domain: bool = ...,
) -> None: ...
