"""Real sizes beside predicted ones: bytes of the edge graph's files, and the memory of the edge half in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autosplitc.ir import DType, Graph, Module, Op, TensorType, Value
from autosplitc.passes import Choice, Plan, Solutions
from autosplitc.targets import Target

from .codegen import write_scratch
from .runtime_options import runtime_of

Json = dict[str, Any]

_RSS_TIMEOUT_S = 120.0


def sizes_of(module: Module, edge: Target, file_bytes: int, rss_bytes: int | None) -> Json:
    """Return measured sizes with their predictions and the ratio measured / predicted (None where either is unknown or nothing).

    `edge_weights`: the edge files against the sum of the weights' bits / 8, what they would take without names, scales, biases and float
    constants. `edge_storage`: the edge files against the storage of the plan. `edge_ram`: resident memory that the edge half adds to a
    process against the RAM of the plan, in which weights lie as `resident` of the target says. Nothing for a module without a plan.
    """
    plans, choice = module.get(Solutions), module.get(Choice)
    if plans is None or choice is None:
        return {}
    plan = plans.plans[choice.index]
    return {
        "edge_weights": _beside(file_bytes, _weight_bytes(module, plan)),
        "edge_storage": _beside(file_bytes, plan.storage_bytes),
        "edge_ram": {**_beside(rss_bytes, plan.ram_bytes), "resident": edge.resident},
    }


def _weight_bytes(module: Module, plan: Plan) -> int:
    consts = module.main.const
    return (sum((consts[b.name].type.elements or 0) * b.bits for b in plan.weight_bits) + 7) // 8


def _beside(measured: int | None, predicted: int) -> Json:
    ratio = measured / predicted if measured is not None and predicted > 0 else None
    return {"measured_bytes": measured, "predicted_bytes": predicted, "ratio": ratio}


_RSS_PROGRAM = """
import json, sys
import numpy, onnxruntime

def peak():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return rss if sys.platform == "darwin" else rss * 1024

def load(path, runtime, entries):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = runtime["threads"]
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, "ORT_ENABLE_" + runtime["level"].upper())
    options.enable_cpu_mem_arena = runtime["cpu_mem_arena"]
    options.log_severity_level = 4
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

def run(path, runtime):
    required = {k: v for k, v in runtime["session"].items() if k not in runtime["optional"]}
    try:
        session = load(path, runtime, runtime["session"])
    except Exception:
        session = load(path, runtime, required)
    types = {"tensor(float16)": "float16", "tensor(float)": "float32", "tensor(double)": "float64", "tensor(bool)": "bool"}
    feed = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in value.shape]
        feed[value.name] = numpy.ones(shape, types.get(value.type) or value.type[len("tensor("):-1])
    session.run(None, feed)

runtime = json.loads(sys.argv[3])
run(sys.argv[1], runtime)
before = peak()
run(sys.argv[2], runtime)
print(peak() - before)
"""
"""Prints what one run of a graph, with the options of a manifest's `runtime`, adds to the peak resident memory of a process that has run an
empty graph.

Linux's VmHWM is the process's own; `ru_maxrss` may be inherited from the process that started it.
"""


_VALUE = TensorType(DType.F32, (1,))
_EMPTY = Graph("empty", (("", 21),), (Value("x", _VALUE),), (), (Op(("y",), "identity", ("x",), types=(_VALUE,)),), ("y",))


def edge_rss_bytes(model: Path, runtime: Mapping[str, Any] | None = None) -> int | None:
    """Return the peak resident memory that loading and running a graph once adds to a fresh process with ONNX Runtime, in bytes.

    runtime: options as `runtime_of` gives them; None: those of a graph without quantisers of the model. None where the system has no such
    figure or the process fails.
    """
    if sys.platform == "win32":
        return None
    options = json.dumps(dict(runtime if runtime is not None else runtime_of(Module((_EMPTY,)))))
    with TemporaryDirectory(prefix="autosplitc-") as scratch:
        empty = Path(scratch) / "empty.onnx"
        write_scratch(_EMPTY, empty)
        command = [sys.executable, "-c", _RSS_PROGRAM, str(empty), str(model), options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_RSS_TIMEOUT_S, check=True)
            return int(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
