"""Bundles to serve, and a server of the Open Inference Protocol in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import autosplitc
from autosplitc.runtime.oip_server import OipServer, start_oip
from autosplitc.runtime.server_settings import ServerSettings

Serving = Callable[[ServerSettings], AbstractContextManager[OipServer]]


def tiny_model() -> ModelProto:
    """Return a small network with a free batch: an image `x`, features `r` behind a ReLU, probabilities `y`."""
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Softmax", ["r"], ["y"], axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 32, 32])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8, 8, 8])
    graph = helper.make_graph(nodes, "tiny", [x], [y], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of a split whose payload is 4-bit codes; tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny") / "out"
    result = autosplitc.compile(tiny_model(), network="1mbps", edge_memory="4KiB", cut=["r"])
    result.save(folder)
    return folder


@pytest.fixture(scope="session")
def picture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of a Cloud-Only plan that sends PNG; tests must not change it."""
    folder = tmp_path_factory.mktemp("picture") / "out"
    data = Path(__file__).resolve().parents[3] / "examples" / "fashion" / "calib.npz"
    autosplitc.compile("zoo:fashion", edge="eyeriss", network="ble", edge_memory="4KiB", calib=str(data), codec="png").save(folder)
    return folder


@pytest.fixture
def serving() -> Serving:
    """Return a context manager that serves a bundle on a free port, in a thread, and drains the server at its end."""
    pytest.importorskip("h11")

    @contextmanager
    def served(settings: ServerSettings) -> Generator[OipServer]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(start_oip(replace(settings, port=0)), loop).result(30)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.drain(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    return served
