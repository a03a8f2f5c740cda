"""How ONNX Runtime is to run a bundle: the options that its results were checked with and its memory measured with.

8-bit weights in INT8 saturate on x86 processors with AVX2 but no VNNI: two products are added in 16 bits. With
`session.x64quantprecision` ONNX Runtime holds them as UINT8 there, which is slower and right. Weights of 7 bits and fewer are too small to.
"""

from __future__ import annotations

from typing import Any

from autosplitc.ir import Module

Json = dict[str, Any]

PRECISION = "session.x64quantprecision"
"""Session option that keeps 8-bit weights from saturating."""

LEVEL = "extended"
"""Optimisation level that halves and whole are compared at."""

_OF_THE_MODEL = frozenset({"quantize_linear", "dequantize_linear"})


def runtime_of(module: Module) -> Json:
    """Return `runtime` of the manifest: engine, optimisation level, threads, arena, and session options.

    ONNX Runtime 1.32 may refuse graphs that hold quantisers of the model's own under `PRECISION`: where a bundle has any, the option is
    among the `optional` ones, to be left out where the engine does not load a graph with it.
    """
    sides = [module.graph(side) for side in ("edge", "cloud") if module.has_graph(side)]
    own = any(op.kind in _OF_THE_MODEL for graph in sides for op in graph.ops)
    return {
        "engine": "onnxruntime",
        "level": LEVEL,
        "threads": 1,
        "cpu_mem_arena": False,
        "session": {PRECISION: "1"},
        "optional": [PRECISION] if own else [],
    }
