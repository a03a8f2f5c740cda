"""Our server of the Open Inference Protocol by NVIDIA's own client, the `tritonclient` package, in an environment of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import venv
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import autosplitc
from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.oip_server import OipServer, start_oip
from autosplitc.runtime.server_settings import ServerSettings

CALIB = Path(__file__).resolve().parents[2] / "examples" / "fashion" / "calib.npz"
ASK = """
import sys
import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

port, feed, made = sys.argv[1:]


def token():
    # a new dict for every call: the package writes headers of a request into the one that it is given
    return {"Authorization": "Bearer t0ken"}


client = triton.InferenceServerClient(f"127.0.0.1:{port}", concurrency=4)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("fashion", headers=token()) and client.is_model_ready("fashion", "1", headers=token())
assert not client.is_model_ready("other", headers=token())
assert "binary_tensor_data" in client.get_server_metadata(headers=token())["extensions"]
said = client.get_model_metadata("fashion", headers=token())
assert said["inputs"] == [{"name": "payload", "datatype": "UINT8", "shape": [-1, said["inputs"][0]["shape"][1]]}], said
(output,) = [value["name"] for value in said["outputs"]]

with np.load(feed) as file:
    rows = file["rows"]
found = {}
for binary_in in (True, False):
    for binary_out in (True, False):
        tensor = triton.InferInput("payload", list(rows.shape), "UINT8")
        tensor.set_data_from_numpy(rows, binary_data=binary_in)
        wanted = [triton.InferRequestedOutput(output, binary_data=binary_out)]
        result = client.infer("fashion", [tensor], outputs=wanted, request_id="r5", headers=token())
        assert result.get_response()["id"] == "r5"
        found[f"{binary_in}-{binary_out}"] = result.as_numpy(output)
tensor = triton.InferInput("payload", list(rows.shape), "UINT8")
tensor.set_data_from_numpy(rows)
found["all"] = client.infer("fashion", [tensor], headers=token()).as_numpy(output)
flying = [client.async_infer("fashion", [tensor], headers=token()) for _ in range(16)]
found["async"] = np.stack([request.get_result().as_numpy(output) for request in flying])

def refused(status, call, *args, **more):
    try:
        call(*args, **more)
    except InferenceServerException as error:
        assert error.status() == status, (error.status(), error.message())
    else:
        raise AssertionError("nothing was refused")

refused("401", client.infer, "fashion", [tensor])
refused("404", client.infer, "other", [tensor], headers=token())
refused("400", client.infer, "fashion", [tensor], outputs=[triton.InferRequestedOutput("nothing")], headers=token())
short = triton.InferInput("payload", [1, 3], "UINT8")
short.set_data_from_numpy(np.zeros((1, 3), np.uint8))
refused("400", client.infer, "fashion", [short], headers=token())
np.savez(made, **found)
"""


@pytest.fixture(scope="session")
def triton_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with the `tritonclient` package; skip where it cannot be installed."""
    folder = tmp_path_factory.mktemp("triton") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run([python, "-m", "pip", "install", "-q", "tritonclient[http]"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the tritonclient package cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return python


@contextmanager
def served(settings: ServerSettings) -> Generator[OipServer]:
    """Serve in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start_oip(settings), loop).result(30)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.drain(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@pytest.mark.network
def test_nvidias_client_gets_what_the_graph_gives(triton_python: Path, tmp_path: Path) -> None:
    pytest.importorskip("h11")
    folder = tmp_path / "out"
    result = autosplitc.compile("zoo:fashion", edge="eyeriss", network="ble", edge_memory="32KiB", calib=str(CALIB))
    result.save(folder)
    bundle = Bundle.load(folder)
    with np.load(CALIB) as file:
        pictures = file["image"][:4].astype(np.float32)
    (rows,) = bundle.session("edge").run([bundle.payload_name], {"image": pictures})
    (expected,) = bundle.session("cloud").run(None, {bundle.payload_name: rows})
    (tmp_path / "ask.py").write_text(ASK, "utf-8")
    np.savez(tmp_path / "feed.npz", allow_pickle=False, rows=rows)
    with served(ServerSettings(folder, port=0, token="t0ken")) as server:
        words = [str(server.port), str(tmp_path / "feed.npz"), str(tmp_path / "made.npz")]
        done = subprocess.run([triton_python, tmp_path / "ask.py", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "made.npz") as made:
        assert set(made.files) == {"True-True", "True-False", "False-True", "False-False", "all", "async"}
        for name in made.files:
            assert np.allclose(made[name], expected, atol=1e-5), name
