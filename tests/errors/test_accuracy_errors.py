"""Mistakes in what accuracy is to be kept: said before anything long runs, with a way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autosplitc.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fashion"
ARGS = (str(EXAMPLE / "fashion.onnx"), "-t", "eyeriss", "--net", "ble", "-q", "-o", "out")
EVAL = ("--eval", "eval.npz")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a few samples and bad modules."""
    monkeypatch.chdir(tmp_path)
    with np.load(EXAMPLE / "eval.npz") as data:
        np.savez("eval.npz", image=data["image"][:8], labels=data["labels"][:8])
        np.savez("bare.npz", image=data["image"][:8])
    Path("bad_import.py").write_text("import not_installed_anywhere\n")
    Path("bad_syntax.py").write_text("def metric(:\n")
    Path("leaves.py").write_text("raise SystemExit(5)\n")
    Path("my_metrics.py").write_text("number = 3\ndef accuracy(outputs, expected, labels):\n    raise KeyError('boxes')\n")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--max-drop", "1%"), "AS160", "--max-drop is measured on samples, and there are none"),
        (("--metric", "top1"), "AS160", "hint: --eval FILE"),
        (("--max-drop", "5", *EVAL), "AS103", "hint: for example 5%"),
        (("--max-drop", "120%", *EVAL), "AS103", "limits from 0 to 100%"),
        (("--max-drop", "1%,,2%", *EVAL), "AS103", "limits from 0 to 100%"),
        (("--max-evals", "0", *EVAL), "AS103", "--max-evals"),
        (("--sensitivity", "hessian"), "AS103", "--sensitivity"),
        (("--metric", "f1", *EVAL), "AS103", "expected top1, top5, agreement, sqnr or package.module:function"),
        (("--metric", "top1", "--eval", "bare.npz"), "AS161", "the samples have no labels"),
        (("--metric", "gone.module:f", *EVAL), "AS162", "there is no module 'gone'"),
        (("--metric", "bad_import:f", *EVAL), "AS162", "ModuleNotFoundError: No module named 'not_installed_anywhere' (bad_import.py:1)"),
        (("--metric", "bad_syntax:f", *EVAL), "AS162", "SyntaxError"),
        (("--metric", "leaves:f", *EVAL), "AS162", "SystemExit: 5"),
        (("--metric", "my_metrics:acuracy", *EVAL), "AS162", 'hint: did you mean "accuracy"?'),
        (("--metric", "my_metrics:number", *EVAL), "AS162", "my_metrics:number is no function, it is int"),
        (("--metric", "my_metrics:accuracy", *EVAL), "AS163", "note: KeyError: 'boxes' (my_metrics.py:3)"),
        (("--like", "gone"), "AS165", "no bundle here: there is no manifest.json"),
        (("--like", "."), "AS165", "hint: --like FOLDER, one that an earlier compile wrote with -o"),
    ],
)
def test_mistakes(args: tuple[str, ...], code: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGS, *args]) == 2
    err = capsys.readouterr().err
    assert f"error[{code}]" in err
    assert said in err
    assert "Traceback" not in err
    assert not (folder / "out").exists()


def test_a_manifest_of_another_kind_is_no_bundle_to_be_like(capsys: pytest.CaptureFixture[str]) -> None:
    Path("manifest.json").write_text('{"schema": "autosplitc-manifest/1", "options": {}}')
    assert main([*ARGS, "--like", "."]) == 2
    assert "error[AS165]" in capsys.readouterr().err
