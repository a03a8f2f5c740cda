"""Bundles to measure the link with, and servers of them in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import autosplitc

RUNTIME = (sys.executable, "-m", "autosplitc.runtime")
STOP_S = 30.0


@contextmanager
def serving(out: Path, bind: str, *flags: str, prefix: Sequence[str] = ()) -> Generator[tuple[int, int]]:
    """Serve a bundle; `prefix`: what the command is started with. Yields the port and the process's id. Exits where it does not start."""
    process = subprocess.Popen([*prefix, *RUNTIME, "serve", str(out), "--bind", bind, *flags], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = re.search(r":(\d+) \(", line)
        if port is None:
            sys.exit(f"the server does not start: {line}{process.stderr.read()}")
        yield int(port[1]), process.pid
    finally:
        process.terminate()
        process.wait(STOP_S)


def payload_bundle(out: Path, shape: tuple[int, ...], bits: int) -> Path:
    """Write a bundle whose payload is a tensor of a shape, without samples in front, at so many bits; return its folder.

    The edge half is one Relu; the cloud half is an average over the places of each channel, and some products.
    """
    channels = shape[0]
    weight = np.random.default_rng(0).standard_normal((channels, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Relu", ["x"], ["crossing"]),
        helper.make_node("GlobalAveragePool", ["crossing"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])]
    graph = helper.make_graph(nodes, "payload", inputs, outputs, [onnx.numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    autosplitc.compile(model, cut=["crossing"], wire_bits=[bits], act_bits=[bits], codec="none", min_sqnr_db=0.0).save(out)
    return out
