"""Bundles are written, run and measured: one, or one for every limit on the drop with a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autosplitc.ir import Diagnostic, Graph, Module
from autosplitc.passes import Choice, Data, Env, Request, Solutions

from .accuracy import accuracy_json
from .bundle import write_bundle, write_measurements
from .check import check_bundle
from .decide import Decision, sent_text, warning_of_few
from .evaluation import Evaluation
from .fallback import Lower, with_fallback
from .folder import THRESHOLDS, writing_to
from .hooks import Hooks
from .interop import QONNX, in_form, write_overrides
from .manifest import Json
from .measure import measure_bundle
from .report import write_report
from .result import Result
from .thresholds import folder_name, thresholds_csv


@dataclass(frozen=True)
class Emission:
    """What bundles are made with. place: where they end up, for diagnostics and results; they are built in a folder beside it.

    original: the model as it was given; None where only a dump of it is known. report: whether report.html is written too.
    lower: runs the lowering passes, for a fallback beside the halves; None for none.
    """

    env: Env
    evaluation: Data | None
    place: Path
    hooks: Hooks
    original: Graph | None = None
    report: bool = True
    lower: Lower | None = None

    def emit(
        self,
        module: Module,
        folder: Path,
        decision: Decision | None = None,
        evaluation: Evaluation | None = None,
        known: Json | None = None,
    ) -> tuple[Json, Json]:
        """Write, check and measure the bundle of a lowered module in a folder; return its manifest and measurements.

        known: the measurements of a bundle of the same plan, which hold for this one too.
        Raises CompileError: AS603, AS604 where it cannot be written, AS70x where it does not do what it should.
        """
        chosen = module.fact(Solutions).plans[module.fact(Choice).index]
        if chosen.kind == "cloud-only" and (decision is None or decision.verdict.ending != "cloud-only"):
            notes = (module.fact(Choice).why,)
            self._warn(Diagnostic("AS505", f"nothing is left to run on the edge: {sent_text(chosen)}", notes=notes, severity="warning"))
        with self.hooks.timed("write"), writing_to(self.place):
            manifest = write_bundle(module, self.env, folder)
        measurements: Json = dict(known or {})
        if known is None:
            with self.hooks.timed("check"):
                measurements["check"] = check_bundle(module, folder, self.env)
            with self.hooks.timed("measure"):
                measurements.update(measure_bundle(module, folder, self.env, self.evaluation))
        if decision is not None and evaluation is not None:
            with self.hooks.timed("measure"):
                drop = evaluation.of_folder(module, folder, self.env)
            measurements["accuracy"] = accuracy_json(decision.verdict, module.fact(Solutions).plans, drop)
            if drop.too_few(decision.verdict.limit):
                self._warn(warning_of_few(drop, decision.verdict.limit))
        measurements["compile"] = self.hooks.measured()
        if module.fact(Request).format == QONNX:
            measurements["measured_form"] = "qdq"
            self._warn(Diagnostic("AS707", "edge.onnx is in QONNX form; what was checked and measured is its QDQ form", severity="warning"))
        with writing_to(self.place):
            write_measurements(measurements, folder)
            if self.original is not None:
                write_overrides(module, self.original, self.env, folder)
            manifest = in_form(module, self.env, folder, manifest)
        if self.lower is not None:
            with self.hooks.timed("fallback"), writing_to(self.place):
                manifest = with_fallback(module, self.env, folder, manifest, self.lower, self._warn)
        self._report(folder)
        return manifest, measurements

    def emit_all(
        self, decisions: Sequence[Decision], names: Sequence[str], evaluation: Evaluation, folder: Path, *, temporary: bool
    ) -> Result:
        """Emit the bundle of every decision: into `folder` where there is one, else each into a folder of its own, with a table.

        names: the passes that made the decisions' stages. Raises CompileError as `emit` does.
        """
        for decision in decisions:
            suffix = f"-{folder_name(decision.verdict.limit)}" if len(decisions) > 1 else ""
            for name, stage in zip(names, decision.stages, strict=True):
                self.hooks.done(f"{name}{suffix}", stage)
            for warning in decision.warnings:
                self._warn(warning)
        if len(decisions) == 1:
            manifest, measurements = self.emit(decisions[0].module, folder, decisions[0], evaluation)
            return self.result(decisions[0].module, manifest, measurements, temporary=temporary)
        results: list[Result] = []
        known: dict[int, Json] = {}
        for decision in decisions:
            name = folder_name(decision.verdict.limit)
            with writing_to(self.place):
                (folder / name).mkdir()
            index = decision.verdict.chosen.index
            manifest, measurements = self.emit(decision.module, folder / name, decision, evaluation, known.get(index))
            known[index] = measurements
            results.append(self.result(decision.module, manifest, measurements, sub=name))
        with writing_to(self.place):
            (folder / THRESHOLDS).write_text(thresholds_csv(results), encoding="utf-8")
        self._report(folder)
        first = results[0]
        return self.result(first.module, first.manifest, first.measurements, results=results, temporary=temporary)

    def result(
        self,
        module: Module,
        manifest: Json,
        measurements: Json,
        *,
        temporary: bool = False,
        sub: str = "",
        results: Sequence[Result] = (),
    ) -> Result:
        """Return the result of a bundle that ends up at `place`, or at `sub` in it."""
        seen = (tuple(self.hooks.warnings), tuple(self.hooks.timings))
        return Result(module, self.place / sub, manifest, measurements, *seen, temporary, tuple(results))

    def _report(self, folder: Path) -> None:
        """Write the report of a folder, whose other files are there."""
        if self.report:
            with self.hooks.timed("report"), writing_to(self.place):
                write_report(folder)

    def _warn(self, warning: Diagnostic) -> None:
        """Pass a warning on, once."""
        if warning not in self.hooks.warnings:
            self.hooks.warn(warning)
