"""Rows in SCALE-Sim's form are checked cell by cell; the program for its own process, and what is told of its replies."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autosplitc.bench import scalesim as command
from autosplitc.bench.cli import bench
from autosplitc.bench.scalesim_process import PROGRAM, Reply, Task, environment, run
from autosplitc.bench.scalesim_random import random_task
from autosplitc.targets.counts_v3 import counts

DATA = Path(__file__).parents[2] / "data" / "scalesim"
V1 = (DATA / "scalesim_v1_compute.csv").read_text()
V3 = (DATA / "scalesim_v3_calc.csv").read_text()


def check(*files: Path) -> Result:
    return CliRunner().invoke(bench, ["scalesim", "rows", *map(str, files)])


def test_the_reference_files_have_no_mismatch() -> None:
    done = check(*sorted(DATA.glob("*.csv")))
    assert done.exit_code == 0
    lines = [line.split() for line in done.output.splitlines()]
    assert ["cycles", "0", "of", "221"] in lines
    assert ["util_pct", "0", "of", "221"] in lines
    assert ["mapping_eff_pct", "0", "of", "495"] in lines
    assert ["dram_ifmap_reads", "0", "of", "158"] in lines
    assert not any(line[1:2] and line[1] != "0" and line[2:3] == ["of"] for line in lines)


def test_mismatches_are_counted_by_column_and_shown_with_their_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    heading, first, second, *rest = V3.splitlines()
    cells = first.split(",")
    assert (heading.split(",")[20], cells[20]) == ("compute_cycles", "29120")
    cells[20], cells[22] = "29121", "30.770288"
    wrong.write_text("\n".join((heading, ",".join(cells), second, *rest)))
    done = check(wrong)
    assert done.exit_code == 1
    assert ["compute_cycles", "1", "of", "158"] in [line.split() for line in done.output.splitlines()]
    assert "line 2: compute_cycles is 29121, ours 29120" in done.output
    assert "line 2: overall_util_pct is 30.770288, ours 30.770287" in done.output


def test_wrong_sizes_are_mismatches_too(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(V1.replace(",49,1,9,58,", ",50,1,9,58,", 1))
    done = check(wrong)
    assert done.exit_code == 1
    assert "line 2: M is 50, ours 49" in done.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the heading is not of either of SCALE-Sim's forms"),
        ("a,b\n1,2\n", "line 1: the heading is not of either of SCALE-Sim's forms"),
        (V1.splitlines()[0], "has no rows"),
        (V1.replace(",util_pct", "", 1), "line 1: the heading is not of SCALE-Sim v1's form: no util_pct"),
        (V3.replace("if_kb", "kb", 1), "line 1: the heading is not of SCALE-Sim v3's form: no if_kb"),
        (V1.replace(",15,15,3,3,1,1,2,", ",15,x,3,3,1,1,2,", 1), "line 2: iw is 'x', not a whole number above zero"),
        (V1.replace(",15,15,3,3,1,1,2,", ",15,,3,3,1,1,2,", 1), "line 2: iw is '', not a whole number above zero"),
        (V1.replace(",15,15,3,3,1,1,2,", ",15,15,3,3,1,1,0,", 1), "line 2: s is '0', not a whole number above zero"),
        (V1.replace(",15,15,3,3,1,1,2,", ",2,15,3,3,1,1,2,", 1), "line 2: a 3 x 3 filter exceeds a 2 x 15 input"),
        (V1.replace(",os,", ",rs,", 1), "line 2: dataflow is 'rs', not os, ws or is"),
        (V1.replace(",58,5.5471", ",58,high", 1), "line 2: util_pct is 'high', not a number"),
        (V1.replace(",58,5.5471", ",58,NaN", 1), "line 2: util_pct is 'NaN', not a number"),
        (V1.replace(",58,5.5471", ",58,5.5471,1", 1), "line 2: more cells than the heading has"),
        (V3.replace(",14,14,1,1,480,16,1,", ",30001,30001,3,3,480,16,1,", 1), "line 2: windows ask for"),
        ("\udcff", "is no CSV file"),
    ],
)
def test_files_of_another_form_are_told_so(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(text, errors="surrogateescape")
    done = check(file)
    assert done.exit_code == 1
    assert f"Error: {file}: {message}" in done.output
    assert isinstance(done.exception, SystemExit)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        done = check(path)
        assert done.exit_code == 1
        assert f"{path}: cannot be read" in done.output


def test_the_heading_may_end_in_a_comma_and_lines_in_carriage_returns(tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("\ufeff" + "\r\n".join(line + "," for line in V1.splitlines()[:3]))
    assert check(file).exit_code == 0


def tasks(count: int) -> list[Task]:
    source = random.Random(1)
    return [random_task(source, "calc") for _ in range(count)]


def test_random_layers_repeat_with_their_seed_and_reach_the_corners() -> None:
    found = tasks(300)
    assert found == tasks(300)
    assert {task.array.dataflow for task in found} == {"os", "ws", "is"}
    results = [counts(task.layer, task.array) for task in found]
    shapes = [task.layer for task in found]
    again = [r.dram_ifmap_reads > s.height * s.width * s.channels for r, s in zip(results, shapes, strict=True)]
    drained = [r.dram_ofmap_writes > r.sram_ofmap_writes for r, t in zip(results, found, strict=True) if t.array.dataflow != "os"]
    assert min(sum(again), sum(drained), sum(s.m == 1 for s in shapes), sum(s.filters == 1 for s in shapes)) >= 10


def replies(offset: int, error: str = "") -> object:
    """Return what stands for SCALE-Sim: our counts, `offset` more cycles on each, or an error."""

    def reply(folder: Path | None, given: Sequence[Task]) -> Iterator[Reply]:
        del folder
        for task in given:
            columns = asdict(counts(task.layer, task.array))
            yield Reply({} if error else {**columns, "compute_cycles": columns["compute_cycles"] + offset}, 2.0, error)

    return reply


@pytest.mark.parametrize(
    ("offset", "error", "code", "text"),
    [
        (0, "", 0, "compute_cycles"),
        (1, "", 1, "compute_cycles is"),
        (0, "it is late", 1, "SCALE-Sim failed on 8: it is late"),
    ],
)
def test_fuzz_counts_what_differs(monkeypatch: pytest.MonkeyPatch, offset: int, error: str, code: int, text: str) -> None:
    monkeypatch.setattr(command, "_replies", replies(offset, error))
    done = CliRunner().invoke(command.scalesim, ["fuzz", "--count", "8"])
    assert done.exit_code == code
    assert "8 layers, seed 0, 4 of them with memories" in done.output
    assert text in done.output


def a_microsecond(*_: object) -> float:
    return 1e-6


def test_speed_tells_both_times_and_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_replies", replies(0))
    monkeypatch.setattr(command, "_median_s", a_microsecond)
    done = CliRunner().invoke(command.scalesim, ["speed"])
    assert done.exit_code == 0
    first = next(line for line in done.output.splitlines() if line.startswith("conv1"))
    assert first.split()[-5:] == ["tpu", "2.0", "1.0", "2.0e+06", "none"]


def test_the_program_is_python_and_imports_scalesim_only_there() -> None:
    compile(PROGRAM, "program", "exec")
    assert "scalesim" not in sys.modules


def test_a_process_that_cannot_run_scalesim_is_told_so() -> None:
    with pytest.raises(RuntimeError, match="No module named 'scalesim'"):
        list(run(Path(sys.executable), tasks(1)))


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OSError, match="not empty"):
        environment(tmp_path)
    done = CliRunner().invoke(command.scalesim, ["fuzz", "--count", "1", "--venv", str(tmp_path)])
    assert done.exit_code == 1
    assert "SCALE-Sim does not run in" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
