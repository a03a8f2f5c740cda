"""`autosplitc bench exhaustive`: its answer, and what it refuses."""

from __future__ import annotations

import json
from itertools import chain, combinations
from pathlib import Path

import pytest

from autosplitc.bench.exhaustive import closed_sets
from autosplitc.bench.synthetic import synthetic
from autosplitc.cli import main
from autosplitc.passes import problem_text, problem_to_json


def dumped(folder: Path, ops: int) -> str:
    path = folder / "problem.json"
    path.write_text(problem_text(problem_to_json(synthetic(ops, "residual"))), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("space", ["linear", "dag"])
def test_the_optimum_stands_beside_the_solvers(space: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "exhaustive", dumped(tmp_path, 3), "--space", space]) == 0
    out = capsys.readouterr().out
    assert "4 cuts" in out
    assert out.splitlines()[-1] == "equal"


def test_too_many_assignments_are_refused_with_their_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "exhaustive", dumped(tmp_path, 60)]) == 1
    err = capsys.readouterr().err
    assert "AS644" in err
    assert "about 10^" in err


def test_a_file_that_holds_no_problem_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", "[1]", json.dumps({"schema": "autosplitc-manifest/1"})):
        path = tmp_path / "no.json"
        path.write_text(text, encoding="utf-8")
        assert main(["bench", "exhaustive", str(path)]) == 1
        assert "AS641" in capsys.readouterr().err
    assert main(["bench", "exhaustive", str(tmp_path / "missing.json")]) == 1
    assert "AS641" in capsys.readouterr().err


def test_closed_sets_are_those_that_hold_what_they_read() -> None:
    problem = synthetic(7, "residual")
    before = [{problem.producer[v] for v in op.reads if v in problem.producer} for op in problem.ops]
    every = chain.from_iterable(combinations(range(7), n) for n in range(8))
    wanted = {frozenset(ops) for ops in every if all(before[i] <= set(ops) for i in ops)}
    listed = list(closed_sets(problem))
    assert set(listed) == wanted
    assert len(listed) == len(wanted)
