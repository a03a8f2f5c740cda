"""A measured target: a device that was profiled, whose times of ops are what they took there. See docs/profile.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from autosplitc.ir import Diagnostic

from .curve import ANY_KIND, Curve, work_of
from .fields import check_fields
from .measured_times import NO_TIME, WIRES, Column, WireTimes, curves_by_kind, op_columns, predicted, wire_times
from .profile_file import Profile, read_profile_file
from .signature import signature
from .target import FLOAT_ROW, ROWS, OpCost, OpView, Residency, Target
from .traffic import moves_nothing

Side: TypeAlias = Literal["edge", "cloud"]

LISTED = 5
"""Ops without a time that a diagnostic names."""

_VERSION = re.compile(r"(\d+)\.(\d+)(\..*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTarget:
    """A device whose ops were timed (`profile`).

    compute_s is what the op of the same signature took, the runtime's overhead included: at each width of the first operand, or of the
    weights where it has any, in the run with so many bits, or the next wider one that was profiled, float last. Weights decide since they
    choose the kernel: onnxruntime keeps 8-bit weights from saturating by a slower one, which fewer bits do not need, while the codes of
    activations always come in bytes. Transfers are part of the times, so traffic_bytes is zero. Rows that were timed themselves are
    `measured_rows`. Ops that were not timed get a prediction: straight lines over the work of the ops of their kind, else of all.
    `pack` and `unpack` are measured at the sizes that were timed, predicted between and beyond.

    interpolate: whether a model with ops that were not timed, or another model, is planned all the same (`unprofiled`,
    `profile_problems`); costs do not depend on it. runtime: the version of onnxruntime that the device will run, None for this machine's.
    Other fields as in `Target`. Raises ValueError, naming the field, for values that make no sense.
    """

    name: str
    source: str
    profile: Profile
    ram_bytes: int
    storage_bytes: int | None = None
    weight_bits: tuple[int, ...] = (8,)
    act_bits: tuple[int, ...] = (8,)
    float_bits: int = 32
    resident: Residency = "int8"
    max_opset: int = 25
    interpolate: bool = False
    runtime: str | None = None
    _ops: Mapping[str, Column] = field(init=False, repr=False, compare=False)
    _curves: Mapping[str, tuple[Curve, ...]] = field(init=False, repr=False, compare=False)
    _wires: Mapping[str, WireTimes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the values and average the times of equal ops."""
        check_fields(self, ())
        if self.runtime is not None and _VERSION.fullmatch(self.runtime) is None:
            raise ValueError(f"runtime must be a version such as 1.19.0, not {self.runtime}")
        object.__setattr__(self, "_ops", op_columns(self.profile))
        object.__setattr__(self, "_curves", curves_by_kind(self.profile))
        object.__setattr__(self, "_wires", {which: wire_times(self.profile, which) for which in WIRES})

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op at every bit-width; None for `pack` and `unpack` where no wire was timed."""
        if op.kind in ("pack", "unpack"):
            which = "pack_codes" if op.kind == "pack" and not op.inputs[0].dtype.is_float else op.kind
            column = self._wires[which].column(op.inputs[0].elements or 0)
        else:
            column = self._ops.get(signature(op)) or self._predicted(op)
        if column is None:
            return None
        nothing = tuple(np.zeros(ROWS) for _ in (*op.inputs, *op.results))
        table = np.tile(column.seconds[:, np.newaxis], ROWS)
        if op.macs and len(op.constant) > 1 and op.constant[1]:
            table[:FLOAT_ROW, :FLOAT_ROW] = column.seconds[:FLOAT_ROW]
        return OpCost(table, nothing, bandwidth_bytes_per_s=1.0, overlap=False, measured_rows=column.measured)

    def holds(self, op: OpView) -> bool:
        """Whether an op of this signature was timed."""
        return signature(op) in self._ops

    def _predicted(self, op: OpView) -> Column:
        """Return the times of an op that was not timed. One that only renames takes none, unless some of its kind were timed."""
        if op.kind not in self._curves and moves_nothing(op.kind):
            return NO_TIME
        return predicted(self._curves.get(op.kind, self._curves[ANY_KIND]), work_of(op))


def read_profile(path: Path) -> MeasuredTarget:
    """Return the target that a profile describes. Raises CompileError (AS440, AS441) for a file that is none, see `profile_file.py`."""
    profile = read_profile_file(path)
    how = f"{profile.repeats} runs of {profile.model}, onnxruntime {profile.onnxruntime}, level {profile.level}, threads {profile.threads}"
    where = f"{profile.processor or profile.architecture}, {profile.cores} cores, {profile.system}"
    return MeasuredTarget(
        name=profile.name,
        source=f"measured on {where}: {how}",
        profile=profile,
        ram_bytes=profile.ram_bytes,
        storage_bytes=profile.storage_bytes,
        weight_bits=profile.weight_bits,
        act_bits=profile.act_bits,
        float_bits=profile.float_bits,
        resident=profile.resident,
        max_opset=profile.max_opset,
    )


def unprofiled(target: Target, side: Side, ops: Iterable[tuple[str, OpView]]) -> tuple[Diagnostic, ...]:
    """Return what to say of ops (names and views) that a measured target has no time of; () where there are none, or for any other target.

    It is an error (AS444), or with the target's option `interpolate` a warning (AS445): their times are predictions.
    """
    if not isinstance(target, MeasuredTarget):
        return ()
    held = [(f"{name} ({op.kind})", target.holds(op)) for name, op in ops]
    names = [name for name, known in held if not known]
    if not names:
        return ()
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    note = f"{', '.join(names[:LISTED])}{more}"
    message = f"{len(names)} of {len(held)} ops are not in the profile"
    if target.interpolate:
        message = f"{message}: their times are interpolated, so they are predictions"
        return (Diagnostic("AS445", message, _where(target, side), (note,), severity="warning"),)
    hint = f"{_with_option(target, side, 'interpolate=true')}, or profile this model"
    return (Diagnostic("AS444", message, _where(target, side), (note,), hint),)


def profile_problems(target: Target, side: Side, source: str, source_sha256: str, runtime: str) -> tuple[Diagnostic, ...]:
    """Return why the profile of a measured target does not speak of a compile; () where it does, and for any other target.

    AS442: it is of another model than that of `source_sha256`, and the target's option `interpolate` does not allow that. AS443: it is of
    another onnxruntime, by major and minor version, than the device will run: the target's option `runtime`, else `runtime`, this
    machine's. `source` is what the model is called.
    """
    if not isinstance(target, MeasuredTarget):
        return ()
    found: list[Diagnostic] = []
    profile, where = target.profile, _where(target, side)
    if profile.model_sha256 != source_sha256 and not target.interpolate:
        notes = (f"profiled: {profile.model}, sha256 {profile.model_sha256[:12]}...", f"this is {source}, sha256 {source_sha256[:12]}...")
        hint = f"{_with_option(target, side, 'interpolate=true')}, or profile this model"
        found.append(Diagnostic("AS442", "the profile is of another model", where, notes, hint))
    wanted = target.runtime or runtime
    if _minor(profile.onnxruntime) != _minor(wanted):
        whose = "the device's" if target.runtime else "this machine's"
        message = f"the profile is of onnxruntime {profile.onnxruntime}, not of {whose} {wanted}"
        hint = (
            "profile again" if target.runtime else f"{_with_option(target, side, f'runtime={profile.onnxruntime}')} if the device runs that"
        )
        found.append(Diagnostic("AS443", message, where, hint=hint))
    return tuple(found)


def _minor(version: str) -> tuple[str, ...]:
    """Return major and minor of a version."""
    return tuple(version.split(".")[:2])


def _where(target: MeasuredTarget, side: Side) -> str:
    return f"{side} target {target.name!r}"


def _with_option(target: MeasuredTarget, side: Side, option: str) -> str:
    """Return the part of the command line that names the target with one more option; its name ends with those that it has."""
    options = target.name.removeprefix(target.profile.name).removeprefix(":")
    return f"{'-t' if side == 'edge' else '--cloud'} {target.profile.file}:{options + ',' if options else ''}{option}"
