"""What the Python API may be given. The command line checks its texts itself; from Python anything may come."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic
from autosplitc.passes import EMITTED

from .functions import names_a_function
from .options import Options
from .values import METRICS


def check_options(options: Options) -> None:
    """Check the types and ranges of the options that a plan rests on.

    Raises CompileError (AS103, exit 2) with one diagnostic for each that makes no sense.
    """
    values = ((name, getattr(options, field), wanted, holds) for name, field, wanted, holds in _CHECKS)
    problems = [
        Diagnostic("AS103", f"expected {wanted}, not {value!r}", f"{name}={value!r}", hint=f"for example {_EXAMPLES[name]}")
        for name, value, wanted, holds in values
        if not holds(value)
    ]
    if problems:
        raise CompileError(problems, exit_code=EXIT_USAGE)


def _is_whole(value: object, low: int, high: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: object, low: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= low


def _or_none(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or holds(value)


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value) or True)
    except re.error:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_WIDTHS = "bit-widths from 1 to 8, at least one, or None"


def _are_widths(value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    widths = cast("tuple[object, ...]", value)
    return bool(widths) and all(_is_whole(bits, 1, 8) for bits in widths)


def _is_metric(value: object) -> bool:
    return isinstance(value, str) and (value in ("", *METRICS) or names_a_function(value))


def _are_limits(value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    limits = cast("tuple[float, ...]", value)
    return all(_is_number(limit, 0) and limit <= 1 for limit in limits) and list(limits) == sorted(set(limits))


_CHECKS: tuple[tuple[str, str, str, Callable[[object], bool]], ...] = (
    ("edge", "edge", "a target's name or file, as a text", _is_text),
    ("cloud", "cloud", "a target's name or file, as a text", _is_text),
    ("network", "net", "a rate, preset or trace, as a text", _is_text),
    ("edge_memory", "edge_ram_bytes", "bytes above zero, or a text with a unit", _or_none(lambda v: _is_whole(v, 1))),
    ("edge_storage", "edge_storage_bytes", "bytes above zero, or a text with a unit", _or_none(lambda v: _is_whole(v, 1))),
    ("input_bits", "input_bits", "a whole number from 1 to 8", lambda v: _is_whole(v, 1, 8)),
    ("weight_bits", "weight_bits", _WIDTHS, _or_none(_are_widths)),
    ("act_bits", "act_bits", _WIDTHS, _or_none(_are_widths)),
    ("wire_bits", "wire_bits", _WIDTHS, _or_none(_are_widths)),
    ("metric", "metric", "top1, top5, agreement, sqnr, package.module:function, or ''", _is_metric),
    ("max_drop", "max_drop", "shares of 1 from 0 to 1, ascending, or None", _or_none(_are_limits)),
    ("max_evals", "max_evals", "a whole number above zero", lambda v: _is_whole(v, 1)),
    ("sensitivity", "sensitivity", "mse, sqnr, output, or ''", lambda v: v in ("", "mse", "sqnr", "output")),
    ("effort", "effort", "fast, normal or best", lambda v: v in ("fast", "normal", "best")),
    ("min_sqnr_db", "min_sqnr_db", "a finite number of dB", lambda v: _is_number(v, -math.inf)),
    ("max_error", "max_error", "a finite number, zero or above, or None", _or_none(lambda v: _is_number(v, 0))),
    ("max_latency_s", "max_latency_s", "finite seconds, zero or above, or None", _or_none(lambda v: _is_number(v, 0))),
    ("space", "space", "linear or dag", lambda v: v in ("linear", "dag")),
    ("keep_float", "keep_float", "a regular expression", _is_pattern),
    ("pick", "pick", "a whole number from 1 on, or None", _or_none(lambda v: _is_whole(v, 1))),
    ("strategy", "strategy", ", ".join(EMITTED), lambda v: v in EMITTED),
    ("max_opset", "max_opset", "a whole number above zero, or None", _or_none(lambda v: _is_whole(v, 1))),
    ("format", "format", "qdq or qonnx", lambda v: v in ("qdq", "qonnx")),
    ("time_limit_s", "time_limit_s", "finite seconds, zero or above", lambda v: _is_number(v, 0)),
    ("seed", "seed", "a whole number, zero or above", lambda v: _is_whole(v, 0)),
)
"""Argument, field of the options, what it has to be, and whether a value is that."""

_EXAMPLES = {
    "edge": 'edge="eyeriss"',
    "cloud": 'cloud="tpu"',
    "network": 'network="3mbps"',
    "edge_memory": 'edge_memory="96KiB"',
    "edge_storage": 'edge_storage="2MiB"',
    "input_bits": "input_bits=8",
    "weight_bits": "weight_bits=(4, 8)",
    "act_bits": "act_bits=(4, 8)",
    "wire_bits": "wire_bits=(4, 8)",
    "metric": 'metric="top1"',
    "max_drop": "max_drop=0.01",
    "max_evals": "max_evals=20",
    "sensitivity": 'sensitivity="output"',
    "effort": 'effort="normal"',
    "min_sqnr_db": "min_sqnr_db=30.0",
    "max_error": "max_error=0.1",
    "max_latency_s": "max_latency_s=0.25",
    "space": 'space="dag"',
    "keep_float": 'keep_float="head/.*"',
    "pick": "pick=2",
    "strategy": 'strategy="u8"',
    "max_opset": "max_opset=21",
    "format": 'format="qonnx"',
    "time_limit_s": "time_limit_s=60.0",
    "seed": "seed=0",
}


def text_of(value: str | Path) -> str:
    """Return a target or link as the options take it; a path is its text."""
    return str(value) if isinstance(value, Path) else value
