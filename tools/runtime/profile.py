"""Measures the models of a kit on the device that this runs on, and writes what they took: a profile, which is a target.

    python profile.py -o mydevice.json

Needs Python 3.8 or later, numpy and onnxruntime (1.18 or later for most kits), and the files that lie beside it. The models run with
and without onnxruntime's profiler, in turn, in several rounds. The time of each kernel goes to the op of the model that it works for; what
the profiler itself adds to a kernel is measured on a chain of kernels that do next to nothing, and taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__:
    from .profile_cases import FLOAT, NO_TIME_S, WARMUP, Case, Context, Idle, Runtime, spread, together
else:
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from profile_cases import FLOAT, NO_TIME_S, WARMUP, Case, Context, Idle, Runtime, spread, together

KIT, PROFILE = "autosplitc-kit/1", "autosplitc-profile/1"
ROUNDS = 5


class KitError(Exception):
    """Something that the user can mend, in one line."""


def one_line(error: Exception) -> str:
    """Return what an error says without onnxruntime's own source places."""
    return re.sub(r"/\S+\.(?:cc|h):\d+ .*\) ", "", " ".join(str(error).split()))


def read_kit(folder: Path) -> dict[str, Any]:
    """Return what kit.json says. Raises KitError where it, or a file that it names, is not there."""
    place = folder / "kit.json"
    try:
        kit = json.loads(place.read_text("utf-8"))
        schema, named = kit["schema"], kit["files"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise KitError(f"no kit here: {place} cannot be read: {error}") from None
    if schema != KIT:
        raise KitError(f"{place} is {schema!r}, and this program reads {KIT!r}: make the kit again")
    missing = [name for name in named if not (folder / name).is_file()]
    if missing:
        raise KitError(f"the kit is not whole: {', '.join(missing[:3])} missing in {folder}: copy it again")
    return kit


def loaded(kit: Mapping[str, Any], folder: Path, runtime: Runtime, feed: Mapping[str, Any]) -> list[Context]:
    """Return the contexts that onnxruntime loads. Raises KitError where float, or all others, are not among them."""
    found: list[Context] = []
    for entry in kit["contexts"]:
        try:
            found.append(Context(runtime, folder, entry, kit["ops"], feed))
        except Exception as error:
            sys.stderr.write(f"{entry['file']} is left out: onnxruntime does not load it: {one_line(error)}\n")
    if len(found) < 2 or found[0].name != FLOAT:
        version = runtime.ort.__version__
        raise KitError(f"onnxruntime {version} does not run this kit, whose models have opset {kit['opset']}: take a later one")
    return found


def measure(kit: Mapping[str, Any], folder: Path, runtime: Runtime, repeats: int, np: Any) -> dict[str, Any]:
    """Return what of the profile is measured: `runs`, `ops`, `wires`, and the bits among `limits`."""
    arrays = {value["name"]: np.load(folder / "inputs.npz")[value["array"]] for value in kit["inputs"]}
    feed = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in arrays.items()}
    contexts = loaded(kit, folder, runtime, feed)
    chains = [Case(runtime, folder / name, {"x": np.ones(1, np.float32)}, {}) for name in kit["chains"]]
    wires = [_wire_cases(wire, folder, runtime, np) for wire in kit["wires"]]
    cases = [*contexts, *(c.apart for c in contexts if c.apart), *chains, *(case for both in wires for case in both.values())]
    for number in range(ROUNDS):
        sys.stderr.write(f"round {number + 1} of {ROUNDS}\n")
        for case in cases[:: 1 - 2 * (number % 2)]:
            case.sample(-(-repeats // ROUNDS) if case.fused else 1)
    idle = Idle.of(*chains)
    found = {context.name: context.times(idle) for context in contexts}
    bits = sorted(int(context.name) for context in contexts[1:])
    limits = {"weight_bits": bits, "act_bits": bits, "float_bits": 32, "resident": "int8", "storage_bytes": None}
    timed = [_wire_times(wire, both, idle) for wire, both in together(kit["wires"], wires)]
    return {"limits": limits, "runs": [run for _, run in found.values()], "ops": _ops(kit, contexts, found), "wires": timed}


def _wire_cases(wire: Mapping[str, Any], folder: Path, runtime: Runtime, np: Any) -> dict[str, Case]:
    elements, nbytes = wire["elements"], -(-wire["elements"] * wire["bits"] // 8)
    feeds = {"pack": (elements, np.float32), "pack_codes": (elements, np.uint8), "unpack": (nbytes, np.uint8)}
    return {key: Case(runtime, folder / wire[key], {"x": np.ones((1, size), dtype)}) for key, (size, dtype) in feeds.items()}


def _wire_times(wire: Mapping[str, Any], cases: Mapping[str, Case], idle: Idle) -> dict[str, Any]:
    found: dict[str, Any] = {"elements": wire["elements"], "bits": wire["bits"]}
    for key, case in cases.items():
        found[f"{key}_s"] = max(NO_TIME_S, statistics.median(case.whole) - idle.run_s)
        found[f"{key}_spread_s"] = spread(case.whole)
    return found


def _ops(kit: Mapping[str, Any], contexts: Sequence[Context], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the profile's entries of the ops that run in float."""
    ends = {op: end for context in contexts for op, end in context.end.items() if end != op}
    entries: list[dict[str, Any]] = []
    for op in kit["ops"]:
        name = op["op"]
        times = {context: took[name] for context, (took, _) in found.items() if name in took}
        segment = ends.get(name, name if name in ends.values() else "")
        entry = {"op": name, "kind": op["kind"], "signature": op["signature"], "work": op["work"], "segment": segment, "times": times}
        entries += [entry] if FLOAT in times else []
    return entries


def newest_opset(kit: Mapping[str, Any], folder: Path, runtime: Runtime) -> int:
    """Return the highest opset of the models that onnxruntime takes."""
    newest = int(kit["opset"])
    for opset, file in sorted(kit["opsets"].items()):
        try:
            runtime.session(folder / file)
        except Exception:
            break
        newest = int(opset)
    return newest


def memory() -> dict[str, int]:
    """Return the machine's memory, and the most that this process had of it (0 where the system does not tell)."""
    if sys.platform == "win32":
        import ctypes

        kilobytes = ctypes.c_ulonglong()
        vars(ctypes)["windll"].kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
        return {"ram_bytes": kilobytes.value * 1024, "peak_rss_bytes": 0}
    import resource

    status = Path("/proc/self/status")
    lines = status.read_text("ascii", "replace").splitlines() if status.is_file() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]  # ru_maxrss may be that of who started this
    peak = kilobytes[0] * 1024 if kilobytes else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ram_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "peak_rss_bytes": peak}


def machine() -> dict[str, Any]:
    """Return what is known of the processor and the system."""
    about = Path("/proc/cpuinfo")
    lines = [line.partition(":") for line in about.read_text("utf-8", "replace").splitlines()] if about.is_file() else []
    names = [value.strip() for key, _, value in lines if key.strip() in ("model name", "Model", "Hardware")]
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "architecture": platform.machine(), "cores": os.cpu_count() or 1, "system": platform.platform()}


def profile(args: argparse.Namespace) -> Path:
    """Measure, write the profile whole or not at all, and return where it is. Raises KitError."""
    kit = read_kit(args.kit)
    chosen = {key: getattr(args, key) or kit["settings"][key] for key in ("threads", "level", "repeats")}
    name = args.name or kit["name"]
    output = args.output or args.kit / f"{name}.json"
    part = output.with_name(f"{output.name}.part")
    try:
        import numpy as np
        import onnxruntime as ort
    except ImportError as error:
        raise KitError(f"{error}: pip install numpy onnxruntime") from None
    try:
        part.write_text("", "utf-8")
    except OSError as error:
        raise KitError(f"cannot write {output}: {error.strerror}") from None
    try:
        with tempfile.TemporaryDirectory(prefix="autosplitc-") as scratch:
            runtime = Runtime(ort, chosen["threads"], chosen["level"], Path(scratch), set())
            found = measure(kit, args.kit, runtime, chosen["repeats"], np)
            found["limits"]["max_opset"] = newest_opset(kit, args.kit, runtime)
        versions = {"onnxruntime": ort.__version__, "numpy": np.__version__, "python": platform.python_version()}
        about = {"schema": PROFILE, "name": name, "model": kit["model"], "runtime": versions, "machine": machine(), "memory": memory()}
        settings = {**chosen, "x64quantprecision": not runtime.imprecise, "warmup": WARMUP}
        part.write_text(json.dumps({**about, "settings": settings, **found}, indent=1) + "\n", "utf-8")
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    return output


def main() -> int:
    """Read the command line, and say in one line what is wrong."""
    parser = argparse.ArgumentParser(prog="profile.py", description="Measure the models of a kit on this device.")
    parser.add_argument("-o", "--output", type=Path, help="file for the profile  [default: NAME.json in the kit]")
    parser.add_argument("--name", default="", help="what the device is called")
    parser.add_argument("--threads", type=_count, help="threads of onnxruntime")
    parser.add_argument("--level", choices=("extended", "all"), help="how much onnxruntime rewrites the models")
    parser.add_argument("--repeats", type=_count, help="runs of each model that count")
    parser.add_argument("--kit", type=Path, default=Path(__file__).resolve().parent, help="folder of the kit  [default: this program's]")
    try:
        sys.stdout.write(f"{profile(parser.parse_args())}\n")
    except KeyboardInterrupt:
        return 130
    except KitError as problem:
        sys.stderr.write(f"profile.py: {problem}\n")
        return 1
    except Exception as error:
        sys.stderr.write(f"profile.py: {type(error).__name__}: {one_line(error)}\n")
        return 1
    return 0


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, not {text}")
    return int(text)


if __name__ == "__main__":
    sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]
    sys.exit(main())
