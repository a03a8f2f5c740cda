"""The QONNX form in the `qonnx` package itself, in an environment of its own: that package and ortools want different protobufs."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosplitc.codegen import emit_onnx
from autosplitc.engine import Engine, sample_feeds
from autosplitc.ir import Module, unpack_bits
from autosplitc.passes import WireLayout
from autosplitc.qonnx import emit_qonnx

RUN = """
import sys
import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

model = ModelWrapper(sys.argv[1]).transform(InferShapes())
with np.load(sys.argv[2]) as feed:
    made = execute_onnx(model, {name: feed[name] for name in feed.files})
np.savez(sys.argv[3], **made)
"""


@pytest.fixture(scope="session")
def qonnx_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with the `qonnx` package; skip where it cannot be installed."""
    folder = tmp_path_factory.mktemp("qonnx") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run([python, "-m", "pip", "install", "-q", "qonnx==1.0.0"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the qonnx package cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return python


@pytest.mark.network
@pytest.mark.heavy
@pytest.mark.parametrize(("position", "weights", "acts", "wire"), [(3, (4, 2, 6), 6, 2), (5, (8,), 8, 8), (-1, (8, 3), 8, None)])
def test_the_package_loads_and_runs_it(
    bench: Any, residual: Module, qonnx_python: Path, tmp_path: Path, position: int, weights: tuple[int, ...], acts: int, wire: int | None
) -> None:
    whole = len(residual.main.ops)
    module: Module = bench.lowered(residual, whole if position < 0 else position, weights, acts, wire)
    feed = next(sample_feeds(residual, None, 3, 1))
    (tmp_path / "run.py").write_text(RUN, "utf-8")
    (tmp_path / "edge.onnx").write_bytes(emit_qonnx(module.graph("edge")).SerializeToString())
    np.savez(tmp_path / "feed.npz", allow_pickle=False, **feed)
    files = [str(tmp_path / name) for name in ("run.py", "edge.onnx", "feed.npz", "made.npz")]
    done = subprocess.run([qonnx_python, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    exact = Engine.load(emit_onnx(module.graph("edge")).SerializeToString(), "edge").run(feed)
    layout = module.fact(WireLayout)
    with np.load(tmp_path / "made.npz") as made:
        assert set(made.files) == set(exact)
        for tensor in layout.tensors:
            part = slice(tensor.offset_bytes, tensor.offset_bytes + tensor.nbytes)
            ours, theirs = (
                unpack_bits(payload[0, part], tensor.bits, int(np.prod(tensor.shape)), signed=False).astype(np.int64)
                for payload in (exact[layout.payload], made[layout.payload])
            )
            assert np.abs(ours - theirs).max() <= 1
            assert (ours != theirs).mean() <= 0.01
        for name in set(exact) - {layout.payload}:
            noise = float(((exact[name] - made[name]) ** 2).sum() / (exact[name] ** 2).sum())
            assert noise < 1e-3
