"""`verify KIT`: replays the checks of a device kit on the machine that this runs on. docs/device.md tells what is in a kit."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import Bundle, sha256_of
from .edge import Fallback, input_specs
from .errors import LinkError
from .folders import read_json
from .packing import payload_of, tensors_of, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIT, CHECK = "autosplitc-device-kit/1", "autosplitc-check/1"
KIT_FILE, CHECK_FOLDER, CHECK_FILE = "kit.json", "check", "check.json"
TOLERANCE = {"step": 1, "share": 0.01, "nsr": 1e-4}
"""What another processor may change: codes by that many steps, that share of them; outputs by that noise-to-signal power ratio."""
EXIT_VERIFICATION = 4


class CheckError(LinkError):
    """A kit does not do here what it did where it was made."""

    @property
    def exit_code(self) -> int:
        """That of a verification that failed."""
        return EXIT_VERIFICATION


def verify(folder: Path, *, as_json: bool, quiet: bool) -> int:
    """Replay a kit's checks, print what was found, and return 0.

    Raises LinkError: AS802 to AS806 the kit's files, AS854 no kit, AS856 it does other things here.
    """
    found = verify_kit(folder)
    if as_json:
        sys.stdout.write(f"{json.dumps({'folder': str(folder), **found}, indent=2)}\n")
    elif not quiet:
        sys.stdout.write("\n".join(_lines(found)) + "\n")
    return 0


def is_kit(folder: Path) -> bool:
    """Tell whether a folder is a device kit."""
    return read_json(folder / KIT_FILE).get("schema") == KIT


def verify_kit(folder: Path) -> dict[str, Any]:
    """Return what replaying a kit's checks gave. Raises LinkError as `verify` does."""
    kit = read_json(folder / KIT_FILE)
    check = read_json(folder / CHECK_FOLDER / CHECK_FILE)
    if kit.get("schema") != KIT or check.get("schema") != CHECK:
        raise LinkError("AS854", "no device kit here", str(folder), "autosplitc export OUT --to device -o KIT")
    _check_files(folder, kit["files"])
    bundle = Bundle.load(folder)
    arrays = {name: read_arrays(folder / CHECK_FOLDER / f"{name}.npz") for name in ("inputs", "payloads", "outputs")}
    made, edge_s = run_edge(bundle, feeds_of(bundle, arrays["inputs"], check["samples"]))
    found: dict[str, Any] = {"files": len(kit["files"]), "samples": check["samples"], "edge_s": edge_s}
    tolerance = check["tolerance"]
    if bundle.payload_name:
        rows = np.concatenate([values[bundle.payload_name] for values in made])
        found["payload"] = _payload(bundle, rows, arrays["payloads"]["payload"], tolerance)
        found["packing"] = _packing(bundle, arrays["payloads"]["payload"])
    outputs = [{key: values[name] for name, key in bundle.outputs("edge").items()} for values in made]
    found["outputs"] = _outputs("edge.onnx", outputs, arrays["outputs"], tolerance)
    if bundle.manifest.get("fallback"):
        whole = Fallback(bundle)
        outputs = [whole.run(feed) for feed in feeds_of(bundle, arrays["inputs"], check["samples"])]
        found["fallback"] = _outputs("the fallback", outputs, read_arrays(folder / CHECK_FOLDER / "fallback.npz"), tolerance)
    return found


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz. Raises LinkError (AS854) where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError) as error:
        raise LinkError("AS854", f"the kit's checks cannot be read: {error}", str(path), "export the kit again") from None


def feeds_of(bundle: Bundle, arrays: Mapping[str, NDArray[Any]], samples: int) -> list[dict[str, NDArray[Any]]]:
    """Return the inputs of each run: `arrays` has those of sample i as `INPUT.i`, the inputs numbered as in the manifest."""
    specs = input_specs(bundle)
    return [{spec.name: arrays[f"{j}.{i}"] for j, spec in enumerate(specs)} for i in range(samples)]


def run_edge(bundle: Bundle, feeds: Sequence[Mapping[str, NDArray[Any]]]) -> tuple[list[dict[str, NDArray[Any]]], float]:
    """Return what the edge graph gives for each feed, payload and outputs by its own names, and the median of the seconds it takes."""
    session = bundle.session("edge")
    names = [*([bundle.payload_name] if bundle.payload_name else []), *bundle.outputs("edge")]
    made: list[dict[str, NDArray[Any]]] = []
    taken_s: list[float] = []
    for feed in feeds:
        started_s = time.perf_counter()
        values: list[Any] = session.run(names, dict(feed))
        taken_s.append(time.perf_counter() - started_s)
        made.append({name: values[i] for i, name in enumerate(names)})
    return made, statistics.median(taken_s)


def _check_files(folder: Path, files: Sequence[Mapping[str, Any]]) -> None:
    for file in files:
        path = folder / file["name"]
        try:
            same = sha256_of(path) == file["sha256"]
        except OSError as error:
            message = f"a file of the kit cannot be read: {error.strerror or error}"
            raise LinkError("AS804", message, str(path), "copy the kit again") from None
        if not same:
            raise LinkError("AS804", "a file of the kit was changed", str(path), "copy the kit again")


def _payload(bundle: Bundle, rows: NDArray[np.uint8], expected: NDArray[np.uint8], tolerance: Mapping[str, Any]) -> dict[str, Any]:
    """Compare payloads; codes may differ by the tolerance. Raises CheckError (AS856)."""
    if rows.shape != expected.shape:
        raise CheckError("AS856", f"the payload is of {list(rows.shape)}, and where the kit was made of {list(expected.shape)}")
    found: dict[str, Any] = {"identical": bool((rows == expected).all()), "tensors": []}
    for tensor in bundle.manifest["wire"]["tensors"]:
        part = slice(tensor["offset_bytes"], tensor["offset_bytes"] + tensor["nbytes"])
        ours, theirs = (np.ascontiguousarray(array[:, part]) for array in (rows, expected))
        if 1 <= tensor["bits"] <= 8:
            count = int(np.prod(tensor["shape"], dtype=np.int64))
            ours, theirs = (unpack(array, tensor["bits"], count) for array in (ours, theirs))
        steps = np.abs(ours.astype(np.int16) - theirs)
        share, most = float((steps > 0).mean()) if steps.size else 0.0, int(steps.max(initial=0))
        found["tensors"].append({"name": tensor["name"], "changed_share": share, "max_step": most})
        if share > tolerance["share"] or most > tolerance["step"]:
            message = f'of the codes of "{tensor["name"]}" {share:.2%} differ, by up to {most} steps'
            hint = f"up to {tolerance['share']:.0%} by {tolerance['step']} step is rounding; is it another version of onnxruntime?"
            raise CheckError("AS856", message, "edge.onnx", hint)
    return found


def _packing(bundle: Bundle, rows: NDArray[np.uint8]) -> dict[str, Any]:
    """Unpack what the graph packed, quantise and pack it again, outside the graph. Raises CheckError (AS856) for other bytes."""
    wire = bundle.manifest["wire"]
    again = payload_of(wire, tensors_of(wire, rows))
    for tensor in wire["tensors"]:
        part = slice(tensor["offset_bytes"], tensor["offset_bytes"] + tensor["nbytes"])
        if again[:, part].tobytes() != rows[:, part].tobytes():
            raise CheckError("AS856", f'packing "{tensor["name"]}" outside the graph gives other bytes', "numpy")
    return {"identical": True, "tensors": len(wire["tensors"])}


def _outputs(
    what: str, made: Sequence[Mapping[str, NDArray[Any]]], expected: Mapping[str, NDArray[Any]], tolerance: Mapping[str, Any]
) -> dict[str, float]:
    """Return the noise-to-signal power ratio of each output. Raises CheckError (AS856) where one is over the tolerance."""
    ratios: dict[str, float] = {}
    for i, outputs in enumerate(made):
        for name, value in outputs.items():
            theirs = expected[f"{name}.{i}"]
            if value.shape != theirs.shape:
                message = f'output "{name}" is of {list(value.shape)}, and where the kit was made of {list(theirs.shape)}'
                raise CheckError("AS856", message, what)
            ratios[name] = max(ratios.get(name, 0.0), noise_ratio(value, theirs))
            if ratios[name] > tolerance["nsr"]:
                raise CheckError("AS856", f'output "{name}" differs: noise {ratios[name]:.2g} of its power', what)
    return ratios


def noise_ratio(value: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the power of the difference over that of `expected`; for what are no numbers, 0 or 1."""
    if np.array_equal(value, expected):
        return 0.0
    if value.dtype.kind not in "fiub":
        return 1.0
    noise = float(np.square(value.astype(np.float64) - expected).sum())
    ratio = noise / max(float(np.square(expected.astype(np.float64)).sum()), 1e-30)
    return ratio if np.isfinite(ratio) else 1.0


def _lines(found: Mapping[str, Any]) -> list[str]:
    """Return what was found, a line each."""
    samples = f"{found['samples']} sample{'s' if found['samples'] > 1 else ''}"
    lines = [f"ok  {found['files']} files are those that were written"]
    if "payload" in found:
        changed = [tensor for tensor in found["payload"]["tensors"] if tensor["max_step"]]
        said = ", ".join(f"{tensor['changed_share']:.3%} of {tensor['name']}" for tensor in changed)
        how = f"the same but for rounding: {said} by one step" if changed else "byte-identical"
        lines.append(f"ok  the payload of {samples} is {how}")
        if found["packing"]["tensors"]:
            lines.append("ok  packing outside the graph is byte-identical")
    for what, key in (("edge.onnx", "outputs"), ("the fallback", "fallback")):
        ratios: Mapping[str, float] = found.get(key) or {}
        for name, ratio in ratios.items():
            lines.append(f"ok  {what} gives {name}" + (f" with noise {ratio:.1g} of its power" if ratio else ", bit for bit"))
    return [*lines, f"    the edge half takes {found['edge_s'] * 1e3:.3g} ms here (median)"]
