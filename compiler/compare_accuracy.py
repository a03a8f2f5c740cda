"""What the strategies of a comparison do to the accuracy: each that can be emitted is, and its files are run on the evaluation samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autosplitc.passes import EMITTED

from .compare import Comparison, Row
from .driver import compile_model
from .hooks import Watch
from .options import Options
from .request import Model

FIGURES = ("top1", "agreement")
"""Shares among the measured qualities, the one that tells more first."""


def with_accuracy(found: Comparison, model: Model, options: Options, watch: Watch) -> Comparison:
    """Return a comparison with the accuracy measured on `options.evaluation`; rows in float have the float model's own.

    Rows whose plan cannot be emitted have none, nor those of models whose outputs are no classes. Raises CompileError as a compile does.
    """
    unlimited = replace(options, output=None, report=False, dump_problem=None, front=False, max_drop=())
    qualities: dict[str, Mapping[str, Any]] = {}
    for row in found.rows:
        if row.strategy in EMITTED:
            result = compile_model(model, replace(unlimited, strategy=row.strategy), watch)
            qualities[row.strategy] = result.measurements.get("quality", {})
    shares = [figure[name] for figure in qualities.values() for name in FIGURES if name in figure]
    in_float = next((share["float"] for share in shares if "float" in share), None)
    return replace(found, rows=tuple(_measured(row, qualities, in_float) for row in found.rows))


def _measured(row: Row, qualities: Mapping[str, Mapping[str, Any]], in_float: Mapping[str, Any] | None) -> Row:
    quality = qualities.get(row.strategy)
    if quality is None:
        share, name = (in_float, "top1") if row.error is None and not row.codec else (None, "")
    else:
        name = next((name for name in FIGURES if name in quality), "")
        share = quality.get(name)
    if share is None:
        return row
    return replace(
        row, metric=name, accuracy=share["value"], accuracy_low=share["interval95"][0], accuracy_high=share["interval95"][1], n=share["n"]
    )
