"""Names of passes and of the aliases built from them. A pass is imported when somebody asks for it."""

from __future__ import annotations

from importlib import import_module

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

from .base import Pass

_CLASSES: dict[str, str] = {
    "fold-constants": "FoldConstants",
    "fold-batch-norm": "FoldBatchNorm",
    "fuse-activations": "FuseActivations",
    "drop-identities": "DropIdentities",
    "equalize": "Equalize",
    "calibrate": "Calibrate",
    "round-weights": "RoundWeights",
    "measure-sensitivity": "MeasureSensitivity",
    "liveness": "ComputeLiveness",
    "estimate-cost": "EstimateCost",
    "enumerate-splits": "EnumerateSplits",
    "measure-wire": "MeasureWire",
    "assign-bits": "AssignBits",
    "choose-plan": "ChoosePlan",
    "refine-weights": "RefineWeights",
    "partition": "Partition",
}
"""Class of each pass; its module is the name in snake_case."""

_OPTIONAL: dict[str, str] = {"find-front": "FindFront"}
"""Classes of passes that run only where they are asked for."""

ALIASES: dict[str, tuple[str, ...]] = {
    "simplify": ("fold-constants", "fold-batch-norm", "fuse-activations", "drop-identities", "equalize"),
    "analyze": ("calibrate", "round-weights", "measure-sensitivity", "liveness", "estimate-cost", "enumerate-splits", "measure-wire"),
    "plan": ("assign-bits", "choose-plan"),
    "lower": ("refine-weights", "partition"),
    "all": ("simplify", "analyze", "plan", "lower"),
}
"""Aliases are pipelines of passes and other aliases."""


def pass_names() -> tuple[str, ...]:
    """Names of all passes of the full pipeline in the order in which it runs them."""
    return tuple(_CLASSES)


def all_pass_names() -> tuple[str, ...]:
    """Names of all passes, those last that run only where they are asked for."""
    return (*_CLASSES, *_OPTIONAL)


def pass_class(name: str) -> type[Pass]:
    """Return the class of a pass. Raises CompileError (AS110) with a suggestion for an unknown name."""
    if name not in all_pass_names():
        raise CompileError(Diagnostic("AS110", f"unknown pass {name!r}", hint=did_you_mean(name, (*all_pass_names(), *ALIASES))))
    module = import_module(f"autosplitc.passes.{name.replace('-', '_')}")
    found = getattr(module, (_CLASSES | _OPTIONAL)[name])
    if not (isinstance(found, type) and issubclass(found, Pass)):
        raise TypeError(f"pass {name!r} is not a Pass")
    return found


def expand(name: str) -> tuple[str, ...]:
    """Return the passes that a pass name or an alias stands for, in order."""
    if name in ALIASES:
        return tuple(p for part in ALIASES[name] for p in expand(part))
    return (name,)
