"""A device feeds bytes: the edge graph takes u8, its first codes are those bytes, and the halves are the whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import autosplitc
from autosplitc.passes import Ranges
from autosplitc.passes.from_bytes import byte_values

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "fashion" / "fashion.onnx"


def pixels(path: Path, layout: str) -> str:
    """Write 64 pictures of the example's, as a camera with this layout gives them."""
    with np.load(ROOT / "examples" / "fashion" / "calib.npz") as stored:
        images = stored["image"][:64]
    np.savez(path / "pixels.npz", image=images if layout == "nchw" else np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    return str(path / "pixels.npz")


def compiled(path: Path, preprocess: str, cut: str = "", act_bits: tuple[int, ...] | None = None) -> autosplitc.Result:
    """Compile the example for pictures in the layout that `preprocess` names."""
    data = pixels(path, "nhwc" if "nhwc" in preprocess else "nchw")
    passes = "simplify,calibrate,measure-sensitivity,liveness,estimate-cost,enumerate-splits,plan,partition"
    return autosplitc.compile(
        MODEL,
        network="3mbps",
        calib=data,
        preprocess=preprocess,
        passes=passes,
        output=path / "out",
        cut=cut or (),
        act_bits=act_bits,
        wire_bits=act_bits,
    )


def folder(result: autosplitc.Result) -> Path:
    """Return where the bundle lies."""
    assert result.folder is not None
    return result.folder


@pytest.mark.parametrize("preprocess", ["unit", "scale=1,layout=nhwc", "scale=1/255,mean=0.5,std=0.5,layout=nhwc"])
def test_codes_are_the_bytes(tmp_path: Path, preprocess: str) -> None:
    result = compiled(tmp_path, preprocess, cut="stem/relu", act_bits=(8,))
    assert result.best.kind == "split"
    edge = onnx.load(folder(result) / "edge.onnx")
    (image,) = edge.graph.input
    assert image.name == "image"
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    at = "image"
    for kind in ("Transpose", "DequantizeLinear") if "nhwc" in preprocess else ("DequantizeLinear",):
        (node,) = [n for n in edge.graph.node if at in n.input]
        assert node.op_type == kind
        at = node.output[0]
    measured = json.loads((folder(result) / "measurements.json").read_text())
    assert measured["check"]["halves_equal_whole"]
    assert measured["quality"]["agreement"]["value"] >= 0.9


def test_cloud_only_sends_exactly_the_bytes(tmp_path: Path) -> None:
    result = compiled(tmp_path, "scale=1,layout=nhwc", cut="image")
    assert result.best.kind == "cloud-only"
    assert result.manifest["wire"]["bytes_per_sample"] == 28 * 28
    (tensor,) = result.manifest["wire"]["tensors"]
    assert (tensor["dtype"], tensor["bits"]) == ("u8", 0)
    with np.load(tmp_path / "pixels.npz") as stored:
        image = stored["image"][:1]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder(result) / "edge.onnx"), providers=["CPUExecutionProvider"])
    (payload,) = session.run(None, {"image": image})
    assert payload.tobytes() == image.tobytes()


def test_the_manifest_says_what_the_device_does(tmp_path: Path) -> None:
    found = compiled(tmp_path, "unit,resize=28x28").manifest["preprocess"]
    assert found["input"] == "image"
    assert found["scale"] == 1 / 255
    assert (found["mean"], found["std"]) == ([0.0], [1.0])
    assert (found["layout"], found["channels"], found["resize"], found["crop"]) == ("nchw", "grey", [28, 28], None)
    assert compiled(tmp_path, "none").manifest["preprocess"] is None


def test_ranges_are_those_of_all_bytes(tmp_path: Path) -> None:
    module = compiled(tmp_path, "scale=1/255,mean=0.5,std=0.5").module
    (value,) = byte_values(module.main)
    (found,) = [r for r in module.fact(Ranges).values if r.value == value]
    assert found.exact
    assert found.low == pytest.approx(-1, abs=0.01)
    assert found.high == pytest.approx(1, abs=0.01)
