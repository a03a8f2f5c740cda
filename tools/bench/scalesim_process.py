"""SCALE-Sim itself, in an environment and a process of its own: it is never imported here.

`scalesim` 3.0.0 fails with numpy 2.4, hence the environment. What runs there is `PROGRAM`: tasks come in as lines of JSON, a reply goes out
for each. SCALE-Sim is driven layer by layer, through a configuration and a topology file as its users write them; its reports are read
from its objects, where floats have all digits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from autosplitc.targets.counts_v3 import ArrayConfig, ConvShape

Mode: TypeAlias = Literal["compute", "calc"]
"""The compute engine alone, or the whole simulation with its memories."""

REQUIREMENTS = ("scalesim==3.0.0", "numpy<2")

PROGRAM = r"""
import json, os, sys, tempfile, time

replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from scalesim.compute.operand_matrix import operand_matrix
from scalesim.compute.systolic_compute_is import systolic_compute_is
from scalesim.compute.systolic_compute_os import systolic_compute_os
from scalesim.compute.systolic_compute_ws import systolic_compute_ws
from scalesim.layout_utils import layouts
from scalesim.scale_config import scale_config
from scalesim.single_layer_sim import single_layer_sim
from scalesim.topology_utils import topologies

SYSTEMS = {"os": systolic_compute_os, "ws": systolic_compute_ws, "is": systolic_compute_is}
CONFIG = '''[general]
run_name = one
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: {input_kb}
FilterSramSzkB: {filter_kb}
OfmapSramSzkB: {output_kb}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: {dataflow}
Bandwidth: 10
ReadRequestBuffer: 128
WriteRequestBuffer: 128
[sparsity]
SparsitySupport: false
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
'''
SIZES = ("height", "width", "filter_height", "filter_width", "channels", "filters", "stride")
COMPUTED = ("sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes")


def load(task, folder):
    config_file, topology_file = os.path.join(folder, "one.cfg"), os.path.join(folder, "one.csv")
    with open(config_file, "w") as file:
        file.write(CONFIG.format(**task["array"]))
    with open(topology_file, "w") as file:
        file.write("name, sizes,\n" + ",".join(["one", *(str(task["layer"][size]) for size in SIZES)]) + ",\n")
    config, topology = scale_config(), topologies()
    config.read_conf_file(config_file)
    topology.load_arrays(topology_file)
    topology.topo_calc_hyperparams()
    return config, topology


def reads(system):
    found = system.get_ifmap_requests(), system.get_filter_requests(), system.get_ofmap_requests()
    return {name: int(value) for name, value in zip(COMPUTED, found)}


def compute(config, topology):
    operands = operand_matrix()
    operands.set_params(config_obj=config, topoutil_obj=topology, layoututil_obj=layouts(), layer_id=0)
    inputs, filters, outputs = operands.get_ifmap_matrix()[1], operands.get_filter_matrix()[1], operands.get_ofmap_matrix()[1]
    system = SYSTEMS[config.get_dataflow()]()
    system.set_params(config_obj=config, ifmap_op_mat=inputs, filter_op_mat=filters, ofmap_op_mat=outputs)
    cycles = system.get_demand_matrices()[2].shape[0]
    return {"compute_cycles": cycles, "mapping_eff_pct": float(system.get_avg_mapping_efficiency() * 100), **reads(system)}


def calc(config, topology):
    layer = single_layer_sim()
    layer.set_params(layer_id=0, config_obj=config, topology_obj=topology, layout_obj=layouts(), verbose=False)
    layer.run()
    report, details = layer.get_compute_report_items(), layer.get_detail_report_items()
    return {
        "compute_cycles": layer.compute_system.get_ofmap_demand_mat().shape[0],
        "total_cycles": int(report[1]),
        "overall_util_pct": float(report[3]),
        "mapping_eff_pct": float(report[4]),
        **reads(layer.compute_system),
        "dram_ifmap_reads": int(details[11]),
        "dram_filter_reads": int(details[14]),
        "dram_ofmap_writes": int(details[17]),
    }


with tempfile.TemporaryDirectory() as folder:
    for line in sys.stdin:
        task = json.loads(line)
        try:
            config, topology = load(task, folder)
            started_s = time.perf_counter()
            reply = {"compute": compute, "calc": calc}[task["mode"]](config, topology)
            reply["seconds"] = time.perf_counter() - started_s
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Task:
    """A layer on an array, and what of SCALE-Sim is run on it."""

    layer: ConvShape
    array: ArrayConfig
    mode: Mode


@dataclass(frozen=True, slots=True)
class Reply:
    """What SCALE-Sim says of a task: its columns and how long it took, or why it failed."""

    columns: dict[str, float]
    seconds: float
    error: str


def environment(folder: Path) -> Path:
    """Return the interpreter of an environment with SCALE-Sim in `folder`; one that is there already is used as it is.

    Raises OSError for a folder that holds something else, CalledProcessError where the environment cannot be made.
    """
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if python.exists() and _has_scalesim(python):
        return python
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise OSError("the folder is not empty and no environment")
    venv.create(folder, with_pip=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    return python


def _has_scalesim(python: Path) -> bool:
    """Whether the environment has what `REQUIREMENTS` ask for."""
    question = "from importlib.metadata import version; print(version('scalesim'), version('numpy').split('.')[0])"
    asked = subprocess.run([str(python), "-c", question], capture_output=True, text=True, check=False)
    return asked.stdout.split() in (["3.0.0", "0"], ["3.0.0", "1"])


def run(python: Path, tasks: Sequence[Task]) -> Iterator[Reply]:
    """Yield SCALE-Sim's reply to each task, in order, from one process. Raises RuntimeError where the process ends early."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as lines, tempfile.TemporaryFile("w+") as errors:
        lines.writelines(json.dumps(asdict(task)) + "\n" for task in tasks)
        lines.seek(0)
        with subprocess.Popen(
            [str(python), "-c", PROGRAM], stdin=lines, stdout=subprocess.PIPE, stderr=errors, text=True, env=settings
        ) as process:
            try:
                for _ in tasks:
                    line = process.stdout.readline() if process.stdout else ""
                    if not line:
                        errors.seek(0)
                        raise RuntimeError(f"its process ended early: {errors.read()[-2000:]}")
                    reply = json.loads(line)
                    yield Reply(reply, reply.pop("seconds", 0.0), reply.pop("error", ""))
            finally:
                process.kill()
