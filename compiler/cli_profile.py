"""`autosplitc profile MODEL`: writes a kit that measures a device, and runs it here if that is wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.passes import size_text

from .cli_errors import missing_flag
from .cli_flags import BITS, CALIB, PATH, PREPROCESS, Read, common, input_shape_flag
from .cli_output import watch_of
from .profile_kit import SCRIPT, Kit, KitOptions, make_kit
from .table_text import columns
from .values import parse_file_name


@click.command("profile", short_help="Write a kit that measures a model on a device.")
@click.argument("model")
@click.option("--kit", "folder", type=PATH, help="Folder for the kit; an earlier kit there is replaced.")
@click.option("--calib", metavar="DATA", help=CALIB)
@click.option("--preprocess", metavar="SPEC", default="none", show_default=True, help=PREPROCESS)
@input_shape_flag
@click.option("--bits", type=BITS, default="2,4,6,8", show_default=True, help="Bits to measure at, besides float.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of onnxruntime.")
@click.option("--level", type=click.Choice(["extended", "all"]), default="extended", show_default=True, help="Of its optimisation.")
@click.option("--repeats", type=click.IntRange(1), default=50, show_default=True, help="Runs of each model that count.")
@click.option("--name", type=Read("NAME", parse_file_name), default="device", show_default=True, help="What the device is called.")
@click.option("--run", is_flag=True, help="Measure this machine at once.")
@click.option("-o", "--output", type=PATH, help="With --run: file for the profile.  [default: NAME.json in the kit]")
@click.option("--force", is_flag=True, help="Add the kit to a folder that holds other things.")
@common
def profile_command(
    model: str,
    folder: Path | None,
    calib: str | None,
    preprocess: str,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
    bits: tuple[int, ...],
    threads: int,
    level: str,
    repeats: int,
    name: str,
    run: bool,
    output: Path | None,
    force: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Write a folder that measures MODEL, an ONNX file or zoo:NAME, on a device with numpy and onnxruntime alone.

    The file that comes back is a target: autosplitc MODEL -t mydevice.json.
    """
    del verbose
    if folder is None:
        raise missing_flag("--kit")
    if output is not None and not run:
        raise CompileError(Diagnostic("AS105", "-o names the profile that --run measures", "command line", hint=f"--run -o {output}"))
    options = KitOptions(folder, calib, preprocess, input_shapes, bits, threads, level, repeats, name, force)
    kit = make_kit(model, options, watch_of(quiet=quiet))
    profile = run_kit(kit.folder, output or kit.folder / f"{name}.json", quiet=quiet) if run else None
    if as_json:
        click.echo(json.dumps({"kit": str(folder), "profile": None if profile is None else str(profile)}, indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(kit_text(kit))
        todo = f" next      copy {folder} to the device; there: python {SCRIPT} -o mydevice.json"
        click.echo(todo if profile is None else profile_text(kit, profile))
    return 0


def run_kit(folder: Path, output: Path, *, quiet: bool) -> Path:
    """Let a kit measure this machine in a process of its own; return where the profile is. Raises CompileError (AS447) where that fails."""
    command = [sys.executable, "-I", str(folder / SCRIPT), "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stderr or ():
            last = line.strip()
            if not quiet:
                click.echo(f" {last}", err=True)
    if process.returncode:
        message = "the kit could not measure this machine"
        raise CompileError(Diagnostic("AS447", message, str(folder), (last or f"it ended with code {process.returncode}",)))
    return output


def kit_text(kit: Kit) -> str:
    """Return a kit for people."""
    lines = [f"{kit.model}   profile kit"]
    lines += [f" {name if name == 'float' else name + ' bits':<9} {count} of {kit.ops} ops" for name, count in kit.covered.items()]
    sizes = ", ".join(f"{size:,}" for size in kit.sizes)
    return "\n".join((*lines, f" packing   {sizes or 'nothing'} elements", f" wrote     {kit.folder}/   {size_text(kit.nbytes)}"))


def profile_text(kit: Kit, path: Path) -> str:
    """Return what was measured, for people."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [("CONTEXT", "MS", "SPREAD MS", "RUNS", "KERNELS MS")]
    for run in found["runs"]:
        times = (f"{run[key] * 1e3:.3f}" for key in ("median_s", "spread_s", "kernels_s"))
        median, spread, kernels = times
        rows.append((run["context"], median, spread, str(run["repeats"]), kernels))
    table = columns(rows, right=frozenset({1, 2, 3, 4}))
    hint = f" next      autosplitc {kit.model} -t {path} --cloud {path} --net 3mbps -o out"
    return f"\n{table}\n\n measured  {path}\n{hint}"
