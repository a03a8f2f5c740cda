"""Options: what a compile is asked for, as typed values. The command line and the Python API both make one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from autosplitc.passes import Request


@dataclass(frozen=True, slots=True)
class Options:
    """What a compile is asked for. Units stand in names; a field that `Request` has too means the same there.

    edge, cloud: targets as `-t` takes them. net: the link as `--net` takes it. calib, evaluation: samples as
    `--calib` takes them. preprocess: what pictures' bytes go through, as `--preprocess` takes it.
    cache: folder for results of long computations, None: the user's. no_cache: none are kept or read.
    input_shapes: sizes of inputs, by name. output: the bundle's folder; None where the pipeline ends before `partition`, and for a result
    that stays in a temporary folder. force: write into a folder that holds other things. report: write report.html.
    emit_fallback: write the whole model for the edge too.
    passes, drop, settings, stop_after: the pipeline as text. dump_ir: folder for a dump after every pass. dump_after: passes whose module
    is printed. dump_problem: file for the planning problem as JSON. front: seek the fastest plans at many limits on error and memory.
    """

    edge: str
    net: str
    cloud: str = "tpu"
    calib: str | None = None
    evaluation: str | None = None
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    edge_ram_bytes: int | None = None
    edge_storage_bytes: int | None = None
    input_bits: int = 8
    weight_bits: tuple[int, ...] | None = None
    act_bits: tuple[int, ...] | None = None
    wire_bits: tuple[int, ...] | None = None
    min_sqnr_db: float = 30.0
    max_error: float | None = None
    max_latency_s: float | None = None
    cut: tuple[str, ...] = ()
    keep_float: str = ""
    pick: int | None = None
    return_result: bool = False
    max_opset: int | None = None
    time_limit_s: float = 60.0
    seed: int = 0
    preprocess: str = "none"
    metric: str = ""
    max_drop: tuple[float, ...] | None = None
    max_evals: int = 20
    sensitivity: str = ""
    effort: str = "normal"
    format: str = "qdq"
    space: str = "linear"
    codec: str = "auto"
    strategy: str = "auto-split"
    cache: Path | None = None
    no_cache: bool = False
    like: Path | None = None
    output: Path | None = None
    force: bool = False
    report: bool = True
    emit_fallback: bool = False
    passes: str = "all"
    drop: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    stop_after: str | None = None
    dump_ir: Path | None = None
    dump_after: tuple[str, ...] = ()
    dump_problem: Path | None = None
    front: bool = False


PLAN_FIELDS = tuple(f.name for f in fields(Options) if f.name in {r.name for r in fields(Request)} - {"edge", "cloud", "net"})
"""Options that go into the request as they are."""
