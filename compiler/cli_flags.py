"""Flags that commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from autosplitc.ir import CompileError
from autosplitc.targets import parse_size_bytes, parse_time_s

from .values import (
    parse_bits,
    parse_codecs,
    parse_decibels,
    parse_error_bound,
    parse_input_shape,
    parse_max_drop,
    parse_metric,
    parse_names,
    parse_regex,
    parse_strategy,
)

F = TypeVar("F", bound=Callable[..., Any])


class Read(click.ParamType[Any]):
    """A flag's value as one of our parsers reads it; its diagnostic gets the flag as its location."""

    def __init__(self, metavar: str, parse: Callable[[str], object]) -> None:
        """Use `parse`; help shows `metavar`."""
        self.name = metavar
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; a default that is no text passes as it is. Raises what the parser raises."""
        del ctx
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except CompileError as error:
            flag = max(param.opts, key=len) if param else ""
            raise error.at(f"{flag} {value}") from None


_NET = "Uplink: 3mbps, 3mbps,rtt=20ms,overhead=40B,packet=1500B, a trace such as walk.csv,rtt=20ms, or ble, 3g, 4g, 5g, wifi."

PREPROCESS = "What pictures' bytes go through: imagenet, unit, or such as scale=1/255,mean=0.5,std=0.5,layout=nhwc,resize=320x320."
CALIB = "Samples that ranges are taken from: .npz, .npy, a folder of images, or module:function."

_METRIC = "What --max-drop bounds: top1, top5, agreement, sqnr, or package.module:function.  [default: what the data allow]"
_MAX_DROP = "Accuracy that may be lost on --eval, such as 1%; 0,1%,5% gives a bundle each; none.  [default: 1% with --eval]"
_SENSITIVITY = "Error that bits are chosen by.  [default: output with data, else sqnr]"
_SPACE = "Cuts to choose from: after each op of the order, or any set of ops that is closed under what they read."
_STRATEGY = "How the plan is found: auto-split, auto-split-paper, qdmp-e+u4, u2, u4, u6, u8, cloud-only; see docs/strategies.md."
_CODEC = "How payloads may be sent: auto (a picture as PNG or JPEG), none, png, jpeg, jpeg:80, zstd, all; commas between."
_FORMAT = "Form of the edge graph: stock ONNX, or Quant nodes for the qonnx package."
_EFFORT = "How far weights are rounded to what the layer gives."

PATH = click.Path(path_type=Path)
SIZE = Read("SIZE", parse_size_bytes)
BITS = Read("BITS", parse_bits)
DECIBELS = Read("DB", parse_decibels)
SECONDS = Read("TIME", parse_time_s)


def common(command: F) -> F:
    """Add `-q`, `-v` and `--json`."""
    return _all(
        command,
        click.option("-q", "--quiet", is_flag=True, help="No summary, no progress; warnings and errors only."),
        click.option("-v", "--verbose", is_flag=True, help="Times of all steps; where an internal fault happened."),
        click.option("--json", "as_json", is_flag=True, help="Results as one JSON object on stdout."),
    )


def input_shape_flag(command: F) -> F:
    """Add `--input-shape`."""
    read = Read("NAME:SIZES", parse_input_shape)
    text = "Sizes of an input, such as images:1x3x224x224."
    return click.option("--input-shape", "input_shapes", type=read, multiple=True, help=text)(command)


def device_flags(command: F) -> F:
    """Add the devices and the link."""
    return _all(
        command,
        click.option("-t", "--edge", metavar="TARGET", help="Edge target: a name, or a file; options after a colon."),
        click.option("--net", metavar="LINK", help=_NET),
        click.option("--cloud", metavar="TARGET", default="tpu", show_default=True, help="Cloud target, likewise."),
        click.option("--edge-memory", "edge_ram_bytes", type=SIZE, help="The edge's RAM, such as 96KiB.  [default: the target's]"),
        click.option("--edge-storage", "edge_storage_bytes", type=SIZE, help="The edge's flash or disk.  [default: the target's]"),
    )


def data_flags(command: F) -> F:
    """Add the samples and the accuracy to keep."""
    return _all(
        command,
        click.option("--calib", metavar="DATA", help=CALIB),
        click.option("--eval", "evaluation", metavar="DATA", help="Samples that the emitted graphs are measured on, with labels."),
        click.option("--preprocess", metavar="SPEC", default="none", show_default=True, help=PREPROCESS),
        click.option("--metric", type=Read("METRIC", parse_metric), help=_METRIC),
        click.option("--max-drop", "max_drop", type=Read("SHARES", parse_max_drop), help=_MAX_DROP),
        click.option("--max-evals", type=click.IntRange(min=1), default=20, show_default=True, help="Plans that may be measured in all."),
        click.option("--sensitivity", type=click.Choice(("mse", "sqnr", "output")), help=_SENSITIVITY),
        click.option("--effort", type=click.Choice(("fast", "normal", "best")), default="normal", show_default=True, help=_EFFORT),
        click.option("--min-sqnr", "min_sqnr_db", type=DECIBELS, default=30.0, show_default="30dB", help="Least SNR of every tensor."),
        click.option("--max-error", type=Read("RATIO", parse_error_bound), help="Bound on the error summed, as --sensitivity has it."),
        click.option("--max-latency", "max_latency_s", type=SECONDS, help="Bound on the end-to-end latency, such as 250ms."),
        click.option("--cache", type=PATH, help="Folder that keeps long computations.  [default: $AUTOSPLITC_CACHE, else the user's]"),
        click.option("--no-cache", is_flag=True, help="Compute everything anew and keep nothing."),
        click.option("--seed", type=int, default=0, show_default=True, help="Of noise in place of data, and of the checks."),
    )


def plan_flags(command: F) -> F:
    """Add what may be chosen."""
    names, regex = Read("TENSORS", parse_names), Read("REGEX", parse_regex)
    return _all(
        command,
        click.option("--input-bits", type=click.IntRange(1, 8), default=8, show_default=True, help="Bits of the raw input that crosses."),
        click.option("--weight-bits", type=BITS, help="Bits to choose from for weights, such as 4,8.  [default: the target's]"),
        click.option("--act-bits", type=BITS, help="Bits to choose from for activations; outputs keep the most.  [default: the target's]"),
        click.option("--wire-bits", type=BITS, help="Bits to choose from for what crosses.  [default: the target's]"),
        click.option("--codec", type=Read("CODECS", parse_codecs), default="auto", show_default=True, help=_CODEC),
        click.option("--space", type=click.Choice(("linear", "dag")), default="linear", show_default=True, help=_SPACE),
        click.option("--cut", type=names, default=(), help="Names of the tensors that are to cross, with commas between."),
        click.option("--keep-float", type=regex, default="", help="Ops that stay float: a match in the name, or in a name of the model."),
        click.option("--strategy", type=Read("NAME", parse_strategy), default="auto-split", show_default=True, help=_STRATEGY),
        click.option("--pick", type=click.IntRange(min=1), help="Take this row of solutions.csv."),
        click.option("--return-result", is_flag=True, help="An Edge-Only plan sends its result to the cloud."),
        click.option("--max-opset", type=click.IntRange(21, 25), help="Highest opset of the graphs.  [default: the target's]"),
        click.option("--format", type=click.Choice(("qdq", "qonnx")), default="qdq", show_default=True, help=_FORMAT),
        click.option("--front", is_flag=True, help="Seek the fastest plan at 16 limits on error x 4 on memory: front.csv."),
        click.option("--time-limit", "time_limit_s", type=SECONDS, default=60.0, show_default="60s", help="Time for the planner."),
    )


def output_flags(command: F) -> F:
    """Add where the bundle goes."""
    return _all(
        command,
        click.option("-o", "--output", type=PATH, help="Folder for the bundle; an earlier bundle there is replaced."),
        click.option("--force", is_flag=True, help="Add the bundle to a folder that holds other things."),
        click.option("--no-report", "report", is_flag=True, flag_value=False, default=True, help="Write no report.html."),
        click.option("--emit-fallback", is_flag=True, help="fallback.onnx too: the whole model, for when the cloud is away."),
    )


def like_flag(command: F) -> F:
    """Add `--like`."""
    return click.option("--like", type=PATH, metavar="DIR", help="An earlier bundle: its options are the defaults.")(command)


def pass_flags(command: F) -> F:
    """Add the pipeline and what is shown of it."""
    return _all(
        command,
        click.option("-p", "--passes", multiple=True, metavar="PIPELINE", help="Passes and aliases, such as 'plan,lower'.  [default: all]"),
        click.option("-d", "--drop", multiple=True, metavar="PASS", help="Leave out a pass or alias."),
        click.option("--set", "settings", multiple=True, metavar="PASS.FIELD=V", help="Set an option of a pass."),
        click.option("--stop-after", metavar="PASS", help="Run no further; without a bundle, the module is printed."),
        click.option("--dump-ir", type=PATH, help="Write the module after every pass into this folder."),
        click.option("--dump-problem", type=PATH, metavar="FILE", help="Write the planning problem as JSON; every bundle holds it too."),
        click.option("--dump-after", multiple=True, metavar="PASS", help="Print the module after this pass to stderr."),
        click.option("--time-passes", is_flag=True, help="Print the seconds that every step took to stderr."),
    )


def _all(command: F, *decorators: Callable[[F], F]) -> F:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
