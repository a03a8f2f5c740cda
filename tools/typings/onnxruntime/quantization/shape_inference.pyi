from os import PathLike

def quant_pre_process(
    input_model: str | PathLike[str],
    output_model_path: str | PathLike[str],
    skip_optimization: bool = ...,
    skip_onnx_shape: bool = ...,
    skip_symbolic_shape: bool = ...,
) -> None: ...
