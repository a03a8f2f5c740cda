"""A bundle's edge half as a kit for the device: graphs, manifest, the runtime in one file, and checks to replay there."""

from __future__ import annotations

import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import Bundle, sha256_of
from .cloud import CloudHalf
from .edge import Fallback, input_specs
from .errors import LinkError
from .folders import copy_file, read_json, staged, write_json
from .samples import frames
from .verify import CHECK, CHECK_FILE, CHECK_FOLDER, KIT, KIT_FILE, TOLERANCE, is_kit, run_edge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Feed = dict[str, NDArray[Any]]

PROGRAM = "runtime.pyz"
_PACKAGE = "autosplitc_runtime"
_MAIN = f"""import sys
from {_PACKAGE}.cli import main

sys.exit(main(program="python {PROGRAM}"))
"""
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class DeviceSettings:
    """What a kit is asked for.

    folder: the bundle. output: the kit. check: what the checks feed, see `frames`; "" for seeded noise. samples: how many.
    force: write into a folder that holds other things.
    """

    folder: Path
    output: Path
    check: str = ""
    samples: int = 4
    force: bool = False


def export_device(settings: DeviceSettings) -> Path:
    """Write a kit, whole or not at all; return its folder.

    Raises LinkError: AS80x the bundle or the samples, AS850 foreign things stand there, AS851 cannot write, AS855 where the runtime's
    sources are not at hand.
    """
    bundle = Bundle.load(settings.folder)
    feeds = list(_feeds(bundle, settings))
    with staged(settings.output, _is_ours, force=settings.force) as stage:
        records = [bundle.manifest["graphs"]["edge"], *([bundle.manifest["fallback"]] if bundle.manifest.get("fallback") else [])]
        for record in records:
            for file in record["files"]:
                copy_file(settings.folder / file["name"], stage / file["name"], file["sha256"])
        copy_file(settings.folder / "manifest.json", stage / "manifest.json")
        write_program(stage / PROGRAM)
        _write_check(bundle, feeds, stage / CHECK_FOLDER, settings)
        names = sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())
        write_json(stage / KIT_FILE, {"schema": KIT, "files": [{"name": name, "sha256": sha256_of(stage / name)} for name in names]})
    return settings.output


def write_program(path: Path) -> None:
    """Write the runtime as one file that Python runs, the same bytes for the same sources. Raises LinkError (AS855)."""
    folder = Path(__file__).resolve().parent
    sources = sorted(source for source in folder.glob("*.py") if not source.name.startswith("profile") and source.name != "__main__.py")
    if not sources:
        raise LinkError("AS855", "a kit is made by an installed autosplitc: the runtime's sources are not here", str(folder))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as program:
        for name, text in [("__main__.py", _MAIN), *((f"{_PACKAGE}/{source.name}", source.read_text("utf-8")) for source in sources)]:
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            program.writestr(entry, text)


def _feeds(bundle: Bundle, settings: DeviceSettings) -> list[Feed]:
    """Return the inputs of each run of the edge graph that is checked. Raises LinkError."""
    if settings.check:
        return [frame.inputs for frame in frames(bundle, settings.check, limit=settings.samples)]
    random = np.random.default_rng(int(bundle.manifest["options"].get("seed", 0)))
    return [{spec.name: _noise(random, spec.dtype, spec.shape) for spec in input_specs(bundle)} for _ in range(settings.samples)]


def _noise(random: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    if dtype == np.uint8:
        return random.integers(0, 256, shape, dtype)
    return random.integers(0, 2, shape).astype(dtype)


def _write_check(bundle: Bundle, feeds: list[Feed], folder: Path, settings: DeviceSettings) -> None:
    """Run the halves, and the fallback if it is there, and write what they are fed and what they give."""
    folder.mkdir()
    specs = input_specs(bundle)
    made, _ = run_edge(bundle, feeds)
    cloud = CloudHalf(bundle) if bundle.has("cloud") else None
    outputs: dict[str, NDArray[Any]] = {}
    for i, values in enumerate(made):
        from_edge = {key: values[name] for name, key in bundle.outputs("edge").items()}
        from_cloud = {} if cloud is None else cloud.infer(values[bundle.payload_name])
        outputs.update({f"{name}.{i}": value for name, value in {**from_edge, **from_cloud}.items()})
    _save(folder / "inputs.npz", {f"{j}.{i}": feed[spec.name] for i, feed in enumerate(feeds) for j, spec in enumerate(specs)})
    payloads = [values[bundle.payload_name] for values in made] if bundle.payload_name else []
    _save(folder / "payloads.npz", {"payload": np.concatenate(payloads)} if payloads else {})
    _save(folder / "outputs.npz", outputs)
    if bundle.manifest.get("fallback"):
        whole = Fallback(bundle)
        _save(folder / "fallback.npz", {f"{name}.{i}": value for i, feed in enumerate(feeds) for name, value in whole.run(feed).items()})
    import onnxruntime

    where = {"architecture": platform.machine(), "onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
    source = settings.check or "seeded noise"
    write_json(folder / CHECK_FILE, {"schema": CHECK, "samples": len(feeds), "source": source, "made_with": where, "tolerance": TOLERANCE})


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    texts = {name: array.astype(np.str_) if array.dtype.kind == "O" else array for name, array in arrays.items()}
    np.savez(path, allow_pickle=False, **texts)


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder is a kit and holds nothing else."""
    own = {KIT_FILE, *(str(file["name"]).partition("/")[0] for file in read_json(folder / KIT_FILE).get("files", ()))}
    return is_kit(folder) and {entry.name for entry in folder.iterdir()} <= own
