"""A measured target against the clock: what it predicts for whole models and for halves, beside what those take in fresh processes.

Run with `python -m autosplitc.bench.measured [NAME ...]`. Each model is profiled once on this machine, in a process of its own. Then the
whole model in float, the whole at 8 bits, and the halves at an early, a middle and a late cut are planned with that profile as edge and
cloud, and each is run in processes of its own: the edge half over and over, and in turn with the cloud half, which leaves colder caches.
Profile and runs use one thread, level `extended`, and session.x64quantprecision.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

import autosplitc
from autosplitc.codegen import write_side
from autosplitc.ir import Module
from autosplitc.passes import Choice, Costs, Env, Plan, Request, Solutions, Splits, pass_class
from autosplitc.targets import Target, load_target, parse_network

from .process import autosplitc as command
from .table import table

MODELS = ("zoo:fashion", "zoo:mobilenet-v2", "zoo:yolov3-tiny", "zoo:plates", "zoo:light-squeezenet")
CUTS = (("early", 0.2), ("middle", 0.5), ("late", 0.8))
"""Where the cuts lie: at the cut after nearest to this part of the predicted time of the whole."""
BITS = 8
NETWORK = "3mbps"
MEDIAN_GOAL, WORST_GOAL = 0.05, 0.15

_RUN = """
import json, statistics, sys, time
import numpy as np, onnxruntime as ort
kit, least, least_s, *models = sys.argv[1:]
names = {v["array"]: v["name"] for v in json.load(open(kit + "/kit.json"))["inputs"]}
inputs = {names[key]: value for key, value in np.load(kit + "/inputs.npz").items()}
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 4
options.add_session_config_entry("session.x64quantprecision", "1")
sessions = [ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for model in models]
reads = [[v.name for v in session.get_inputs()] for session in sessions]
makes = [[v.name for v in session.get_outputs()] for session in sessions]
times = [[] for _ in sessions]
while len(times[0]) < 5 + int(least) or sum(map(sum, times)) < float(least_s):
    known = dict(inputs)
    for session, ins, outs, taken in zip(sessions, reads, makes, times):
        feed = {name: known[name] for name in ins}
        started_s = time.perf_counter()
        values = session.run(None, feed)
        taken.append(time.perf_counter() - started_s)
        known.update(zip(outs, values))
print(*(statistics.median(taken[5:]) for taken in times))
"""
"""Runs models one after the other, each on what those before it made; prints the median seconds of each."""

FREE_CORES, TRIES, PAUSE_S = 0.95, 12, 1.0
"""What is measured while other programs leave less than this is measured again after a pause, up to so many times."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a profile says that something takes, and what it took; in seconds.

    process_spread: range of the processes' medians, relative. others: cores that other programs took meanwhile, and during the profile.
    """

    model: str
    what: str
    predicted_s: float
    measured_s: float
    process_spread: float
    others: float
    others_in_profile: float

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, slots=True)
class Part:
    """Models that run one after the other: for each what it is, its predicted seconds, and its file."""

    what: tuple[str, ...]
    predicted_s: tuple[float, ...]
    paths: tuple[Path, ...]


@click.command()
@click.argument("wanted", nargs=-1, metavar="[NAME]...")
@click.option("--repeats", default=50, show_default=True, help="Runs of each model when it is profiled.")
@click.option("--rounds", default=5, show_default=True, help="Processes that each part is run in.")
@click.option("--least-s", default=0.5, show_default=True, help="Seconds that each process runs at least.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def measured(wanted: Sequence[str], repeats: int, rounds: int, least_s: float, json_path: Path | None) -> None:
    """Profile models here, and print what the profile predicts beside what was measured; fails where the goals are missed."""
    rows: list[Row] = []
    for name in wanted or MODELS:
        with TemporaryDirectory() as scratch:
            rows += measure(name, Path(scratch), repeats, rounds, least_s)
        click.echo(f"{name}: done", err=True)
    click.echo(_printed(rows))
    if json_path is not None:
        json_path.write_text(json.dumps([{**asdict(row), "error": row.error} for row in rows], indent=2) + "\n")
    wholes = sorted(abs(row.error) for row in rows if row.what.startswith("whole"))
    if statistics.median(wholes) > MEDIAN_GOAL or wholes[-1] > WORST_GOAL:
        sys.exit("the goals for whole models are missed")


def measure(name: str, scratch: Path, repeats: int, rounds: int, least_s: float) -> list[Row]:
    """Profile a model, plan with the profile, and run what was planned."""
    kit, profile = scratch / "kit", scratch / "here.json"
    flags = ("--bits", BITS, "--repeats", repeats, "--kit", kit, "-q")
    run = command("profile", name, *flags)
    if run.code:
        sys.exit(f"{name}: exit code {run.code}\n{run.stderr}")
    _, in_profile = undisturbed(partial(_out_of, kit / "profile.py", "-o", profile))
    parts = _parts(name, load_target(str(profile)), profile, kit, scratch)
    times: list[list[list[float]]] = [[] for _ in parts]
    others = [0.0] * len(parts)
    for number in range(rounds):
        for index in range(len(parts))[:: 1 - 2 * (number % 2)]:
            args = ("-c", _RUN, kit, 20, least_s, *parts[index].paths)
            printed, busy = undisturbed(partial(_out_of, *args))
            times[index].append([float(word) for word in printed.split()])
            others[index] = max(busy, others[index])
    rows: list[Row] = []
    for part, processes, busy in zip(parts, times, others, strict=True):
        for what, predicted_s, taken in zip(part.what, part.predicted_s, zip(*processes, strict=True), strict=True):
            middle_s = statistics.median(taken)
            rows.append(Row(name, what, predicted_s, middle_s, (max(taken) - min(taken)) / middle_s, busy, in_profile))
    return rows


def undisturbed(action: Callable[[], str]) -> tuple[str, float]:
    """Return what an action gives, which starts processes and waits for them, and the cores that others took meanwhile.

    It is done again while they leave less than `FREE_CORES`; the least disturbed try counts.
    """
    tries: list[tuple[float, str]] = []
    while len(tries) < TRIES and (not tries or min(tries)[0] > (os.cpu_count() or 1) - FREE_CORES):
        if tries:
            time.sleep(PAUSE_S)
        started_s, busy_s, own_s = time.perf_counter(), _busy_s(), _own_s()
        result = action()
        taken_s, others_s = time.perf_counter() - started_s, _busy_s() - busy_s - (_own_s() - own_s)
        tries.append((max(0.0, others_s / taken_s), result))
    others, result = min(tries)
    return result, others


def _busy_s() -> float:
    """Return the seconds that all cores together have worked since the machine started; 0 where the system does not tell."""
    path = Path("/proc/stat")
    if not path.is_file():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, path.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """Return the processor seconds of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _out_of(*args: object) -> str:
    """Return what a Python program prints."""
    return subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, check=True).stdout


def _parts(name: str, target: Target, profile: Path, kit: Path, scratch: Path) -> list[Part]:
    """Return the whole model in float and at 8 bits, and the edge half at three cuts."""
    module = autosplitc.compile(name, edge=str(profile), cloud=str(profile), network=NETWORK, passes="simplify,analyze").module
    env = Env(target, target, parse_network(NETWORK))
    whole = max(_plans(module, env, ()), key=lambda plan: plan.position)
    float_s = sum(op.cloud_s for op in module.fact(Costs).ops)
    parts = [
        Part(("whole, float",), (float_s,), (kit / "float.onnx",)),
        Part((f"whole, {BITS} bits",), (whole.edge_s,), (kit / f"bits-{BITS}.onnx",)),
    ]
    candidates = [_split(module, env, s.crossing, s.position) for s in module.fact(Splits).splits[1:-1] if not s.reason]
    plans = [plan for plan in candidates if plan is not None]
    for label, part in CUTS:
        plan = min(plans, key=lambda p: abs(p.edge_s / whole.edge_s - part), default=None)
        if plan is not None:
            chosen = module.with_fact(Solutions(module.main.name, (plan,)), Choice(module.main.name, 0, "measured"))
            halves = pass_class("partition")().apply(chosen, env)
            paths = {side: scratch / f"{label}-{side}.onnx" for side in ("edge", "cloud")}
            for side, path in paths.items():
                write_side(halves.graph(side), path, max_opset=target.max_opset)
            place = f"{label} {plan.position}/{len(module.main.ops)}"
            parts.append(Part((f"{place} edge alone",), (plan.edge_s,), (paths["edge"],)))
            parts.append(Part((f"{place} edge", f"{place} cloud"), (plan.edge_s, plan.cloud_s), tuple(paths.values())))
    return parts


def _split(module: Module, env: Env, crossing: tuple[str, ...], position: int) -> Plan | None:
    return next((plan for plan in _plans(module, env, crossing) if plan.position == position), None)


def _plans(module: Module, env: Env, cut: tuple[str, ...]) -> tuple[Plan, ...]:
    request = replace(module.fact(Request), weight_bits=(BITS,), act_bits=(BITS,), wire_bits=(BITS,), cut=cut)
    return pass_class("assign-bits")().apply(module.with_fact(request), env).fact(Solutions).plans


def _printed(rows: Sequence[Row]) -> str:
    cells: list[tuple[Any, ...]] = []
    for row in rows:
        times = (f"{row.predicted_s * 1e3:.3f}", f"{row.measured_s * 1e3:.3f}")
        busy = (f"{row.others_in_profile:.2f}", f"{row.others:.2f}")
        cells.append((row.model, row.what, *times, f"{row.error:+.1%}", f"{row.process_spread:.1%}", *busy))
    heading = ("model", "part", "predicted ms", "measured ms", "error", "processes differ by", "others in profile", "others in runs")
    lines = [table(heading, cells), "others: cores that other programs took meanwhile, at worst"]
    kinds = (("whole models", "float", "bits"), ("edge halves alone", "alone"), ("edge halves in turn", "edge"), ("cloud halves", "cloud"))
    for what, *ends in kinds:
        errors = sorted(abs(row.error) for row in rows if row.what.endswith(tuple(ends)))
        if errors:
            lines.append(f"{what}: median error {statistics.median(errors):.1%}, worst {errors[-1]:.1%}, of {len(errors)}")
    return "\n".join(lines)


if __name__ == "__main__":
    measured()
