"""What a user reads whose profile cannot be used."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autosplitc.ir import EXIT_BAD_INPUT, Attrs, CompileError, DType, TensorType
from autosplitc.targets import OpView, read_profile

HINT = "\n  hint: profile the device again: autosplitc profile MODEL --kit DIR"

UNREADABLE = {
    "{": f"error[AS440]: the profile is no JSON: Expecting property name enclosed in double quotes\n  --> board.json:1:2{HINT}",
    '{\n  "schema": autosplitc\n}': f"error[AS440]: the profile is no JSON: Expecting value\n  --> board.json:2:13{HINT}",
    "": f"error[AS440]: the profile is no JSON: Expecting value\n  --> board.json:1:1{HINT}",
    "[" * 100_000: "error[AS440]: the profile is no JSON that can be read: it is nested too deeply, or holds a number of too many digits\n"
    f"  --> board.json{HINT}",
    '{"a": 1' + "0" * 5000 + "}": "error[AS440]: the profile is no JSON that can be read: it is nested too deeply, "
    f"or holds a number of too many digits\n  --> board.json{HINT}",
    "[]": f"error[AS441]: this is no profile: its schema is not 'autosplitc-profile/1'\n  --> board.json: $.schema{HINT}",
    '{"schema": "autosplitc-manifest/1"}': "error[AS441]: this is no profile: its schema is not 'autosplitc-profile/1' but "
    f'"autosplitc-manifest/1"\n  --> board.json: $.schema{HINT}',
    '{"schema": 2}': f"error[AS441]: this is no profile: its schema is not 'autosplitc-profile/1' but 2\n  --> board.json: $.schema{HINT}",
}


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:20])
def test_what_is_no_profile(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("board.json").write_text(text)
    assert message(Path("board.json")) == UNREADABLE[text]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.json").write_bytes(b'{"name": "\xfc"}')
    for name in ("latin.json", "missing.json", "."):
        with pytest.raises(CompileError) as caught:
            read_profile(Path(name))
        assert [d.code for d in caught.value.diagnostics] == ["AS430"]
        assert caught.value.exit_code == EXIT_BAD_INPUT


def drop(*path: str | int) -> Callable[[Any], None]:
    """Return what removes a field."""

    def edit(content: Any) -> None:
        del inner(content, path)[path[-1]]

    return edit


def put(value: object, *path: str | int) -> Callable[[Any], None]:
    """Return what sets a field."""

    def edit(content: Any) -> None:
        inner(content, path)[path[-1]] = value

    return edit


def inner(content: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        content = content[key]
    return content


TIME = ("ops", 0, "times", "8", "median_s")
WRONG = {
    "missing": (drop("runtime", "numpy"), "field 'numpy' is missing", "$.runtime", ""),
    "missing-ops": (drop("ops"), "field 'ops' is missing", "$", ""),
    "unknown": (put(1, "machine", "core"), "unknown field 'core'", "$.machine", 'did you mean "cores"?'),
    "unknown-context": (put({}, "ops", 0, "times", "x"), "unknown field 'x'", "$.ops[0].times", "known: 1, 2, 3, 4, 5, 6, 7, 8, float"),
    "negative-time": (put(-1e-3, *TIME), "it must be above 0, not -0.001", "$.ops[0].times.8.median_s", ""),
    "no-time": (put(0, *TIME), "it must be above 0, not 0", "$.ops[0].times.8.median_s", ""),
    "nan": (put(float("nan"), *TIME), 'it must be a number, not "NaN"', "$.ops[0].times.8.median_s", ""),
    "infinite": (put(float("inf"), "runs", 0, "median_s"), 'it must be a number, not "Infinity"', "$.runs[0].median_s", ""),
    "endless": (put(1e9, "wires", 0, "pack_s"), "it must be at most 1000000, not 1000000000.0", "$.wires[0].pack_s", ""),
    "no-number": (put("1ms", "wires", 0, "unpack_s"), 'it must be a number, not "1ms"', "$.wires[0].unpack_s", ""),
    "flag": (put(True, "memory", "ram_bytes"), "it must be a whole number, not true", "$.memory.ram_bytes", ""),
    "fraction": (put(1.5, "ops", 1, "work"), "it must be a whole number, not 1.5", "$.ops[1].work", ""),
    "no-memory": (put(0, "memory", "ram_bytes"), "it must be at least 1, not 0", "$.memory.ram_bytes", ""),
    "null": (put(None, "limits", "max_opset"), "it must be a whole number, not null", "$.limits.max_opset", ""),
    "storage": (put("8MB", "limits", "storage_bytes"), 'it must be a whole number or null, not "8MB"', "$.limits.storage_bytes", ""),
    "no-ops": (put([], "ops"), "nothing was measured: the list is empty", "$.ops", ""),
    "object": (put({"a": [1] * 99}, "ops"), f'it must be a list, not {{"a": [{"1, " * 16}1,...', "$.ops", ""),
    "word": (put("basic", "settings", "level"), 'it must be one of "extended", "all", not "basic"', "$.settings.level", ""),
    "width": (put(9, "limits", "act_bits", 0), "it must be at most 8, not 9", "$.limits.act_bits[0]", ""),
    "widths": (put([8, 8], "limits", "act_bits"), "it must hold each member once, not [8, 8]", "$.limits.act_bits", ""),
    "digest": (put("0" * 10, "model", "sha256"), 'it must look like ^[0-9a-f]{64}$, not "0000000000"', "$.model.sha256", ""),
    "version": (put("latest", "runtime", "onnxruntime"), 'it must look like ^[0-9]+\\.[0-9]+, not "latest"', "$.runtime.onnxruntime", ""),
    "no-name": (put("", "name"), 'it must have 1 character or more, not ""', "$.name", ""),
    "two-runs": (put("8", "runs", 0, "context"), "there are 2 runs of context '8'", "$.runs", ""),
    "no-run": (put("6", "runs", 1, "context"), "there is no run of context '8'", "$.ops[0].times.8", ""),
    "no-float-time": (drop("ops", 1, "times", "float"), "field 'float' is missing", "$.ops[1].times", ""),
}


def a_millisecond(_op: OpView, _context: str) -> float:
    return 1e-3


@pytest.fixture
def content(make_profile: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A profile of two ops."""
    x = TensorType(DType.F32, (1, 8))
    ops = [(kind, OpView(kind, Attrs(), (x,), (x,), (False,), 0)) for kind in ("softmax", "relu")]
    return make_profile(ops, a_millisecond, wires=[(8, 8, 1e-3, 1e-3)])


@pytest.mark.parametrize("case", WRONG)
def test_wrong_fields(case: str, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit, text, place, hint = WRONG[case]
    monkeypatch.chdir(tmp_path)
    edit(content)
    Path("board.json").write_text(json.dumps(content))
    first = message(Path("board.json")).split("\nerror")[0]
    assert first == f"error[AS441]: {text}\n  --> board.json: {place}" + (f"\n  hint: {hint}" if hint else HINT)


def test_all_that_is_wrong_is_told_at_once(content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for edit in (drop("name"), put(-1, *TIME), put("", "model", "name"), drop("runs", 0, "repeats")):
        edit(content)
    Path("board.json").write_text(json.dumps(content))
    assert [line.split(": ", 1)[1] for line in message(Path("board.json")).splitlines() if "-->" in line] == [
        "$",
        "$.model.name",
        "$.ops[0].times.8.median_s",
        "$.runs[0]",
    ]


def test_a_long_list_of_problems_is_cut(content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content["ops"] = [copy.deepcopy(content["ops"][0]) for _ in range(30)]
    for op in content["ops"]:
        op["work"] = -1
    Path("board.json").write_text(json.dumps(content))
    with pytest.raises(CompileError) as caught:
        read_profile(Path("board.json"))
    assert [d.location for d in caught.value.diagnostics] == [*(f"board.json: $.ops[{i}].work" for i in range(10)), "board.json"]
    assert caught.value.diagnostics[-1].message == "20 more in this file"


def test_a_number_that_is_written_too_large(content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content["ops"][0]["times"]["8"]["median_s"] = 12345.5
    Path("board.json").write_text(json.dumps(content).replace("12345.5", "1e999"))
    assert message(Path("board.json")).startswith(
        'error[AS441]: it must be a number, not "1e999"\n  --> board.json: $.ops[0].times.8.median_s'
    )


def test_a_run_in_float_is_always_there(content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content["runs"][0]["context"] = "4"
    Path("board.json").write_text(json.dumps(content))
    assert message(Path("board.json")).startswith("error[AS441]: there is no run in float\n  --> board.json: $.runs")


def message(path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_profile(path)
    assert caught.value.exit_code == EXIT_BAD_INPUT
    return str(caught.value)
