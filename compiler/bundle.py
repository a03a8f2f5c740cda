"""The bundle: the two graphs, the manifest, the tables. The same module gives the same bytes, measurements.json aside."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

from autosplitc.ir import Module
from autosplitc.passes import Env, Front, Request, dumped_problem, problem_text

from .codegen import write_side
from .folder import MANIFEST, staged_folder
from .front_table import FRONT_CSV, front_csv
from .manifest import Json, check_manifest, make_manifest, manifest_text
from .tables import layers_csv, solutions_csv

MEASUREMENTS = "measurements.json"


@contextmanager
def workspace(output: Path | None, *, force: bool, needed: bool = True) -> Generator[Path | None]:
    """Yield a folder to build a bundle in: beside `output`, whose place it takes in the end, or a temporary one that stays.

    None where no folder is `needed`.
    """
    if not needed:
        yield None
        return
    if output is not None:
        with staged_folder(output, force=force) as stage:
            yield stage
        return
    folder = Path(tempfile.mkdtemp(prefix="autosplitc-"))
    try:
        yield folder
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise


def write_graphs(module: Module, env: Env, folder: Path) -> None:
    """Write a lowered module's halves into a folder. Raises OSError where that fails."""
    for side, target in (("edge", env.edge), ("cloud", env.cloud)):
        if module.has_graph(side):
            max_opset = module.fact(Request).max_opset or target.max_opset
            write_side(module.graph(side), folder / f"{side}.onnx", max_opset=max_opset)


def write_bundle(module: Module, env: Env, folder: Path) -> Json:
    """Write a lowered module's graphs, manifest and tables into a folder; return the manifest. Raises OSError where that fails."""
    write_graphs(module, env, folder)
    manifest = make_manifest(module, env.edge, folder)
    check_manifest(manifest)
    (folder / "solutions.csv").write_text(solutions_csv(module), encoding="utf-8")
    (folder / "layers.csv").write_text(layers_csv(module, env), encoding="utf-8")
    (folder / "problem.json").write_text(problem_text(dumped_problem(module, env)), encoding="utf-8")
    if module.get(Front) is not None:
        (folder / FRONT_CSV).write_text(front_csv(module), encoding="utf-8")
    (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    return manifest


def write_measurements(measurements: Mapping[str, Any], folder: Path) -> None:
    """Write what was measured. Raises OSError where that fails."""
    (folder / MEASUREMENTS).write_text(json.dumps(measurements, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
