"""The command line that makes a bundle again, from the options in its manifest."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, cast

from .options import Options
from .report_data import Json

_DEVICES = {"edge": "--edge", "net": "--net", "cloud": "--cloud"}

_PLAIN = {
    "input_bits": "--input-bits",
    "weight_bits": "--weight-bits",
    "act_bits": "--act-bits",
    "wire_bits": "--wire-bits",
    "max_error": "--max-error",
    "cut": "--cut",
    "keep_float": "--keep-float",
    "pick": "--pick",
    "max_opset": "--max-opset",
    "seed": "--seed",
    "preprocess": "--preprocess",
    "metric": "--metric",
    "max_evals": "--max-evals",
    "sensitivity": "--sensitivity",
    "effort": "--effort",
    "format": "--format",
    "space": "--space",
    "codec": "--codec",
    "strategy": "--strategy",
}
"""Flags by option; the value is written as it is, lists with commas between."""

_UNITS = {
    "edge_ram_bytes": ("--edge-memory", "B"),
    "edge_storage_bytes": ("--edge-storage", "B"),
    "min_sqnr_db": ("--min-sqnr", "dB"),
    "max_latency_s": ("--max-latency", "s"),
    "time_limit_s": ("--time-limit", "s"),
}


def command_line(manifest: Json) -> str:
    """Return a command that compiles the same again. Data stand as DATA: a manifest has their digests alone."""
    options: Mapping[str, Any] = manifest["options"]
    defaults: Mapping[str, Any] = {name: getattr(Options("", ""), name) for name in (*_DEVICES, *_PLAIN, *_UNITS)}
    words = ["autosplitc", shlex.quote(manifest["source"]["name"])]
    for name, flag in (*_DEVICES.items(), *_PLAIN.items()):
        value = options.get(name, defaults[name])
        if option_text(value) and option_text(value) != option_text(defaults[name]):
            words += [flag, shlex.quote(option_text(value))]
    for name, (flag, unit) in _UNITS.items():
        value = options.get(name)
        if value is not None and value != defaults[name]:
            words += [flag, f"{value!r}{unit}"]
    words += ["--return-result"] if options.get("return_result") else []
    words += ["--calib", "DATA"] if options.get("calib_sha256") else []
    words += ["--eval", "DATA"] if options.get("eval_sha256") else []
    if options.get("max_drop") and options.get("eval_sha256"):
        words += ["--max-drop", ",".join(f"{100 * share:.10g}%" for share in options["max_drop"])]
    return " ".join([*words, "-o", "OUT"])


def option_text(value: Any) -> str:
    """Return an option as text, lists with commas between; "" for none."""
    if value is None:
        return ""
    return ",".join(map(str, cast("list[Any]", value))) if isinstance(value, (list, tuple)) else str(value)
