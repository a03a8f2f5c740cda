"""Names, the cache, and the command group of the zoo."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from autosplitc.ir import EXIT_USAGE, CompileError
from autosplitc.zoo import names, resolve
from autosplitc.zoo.cache import cache_folder, write_atomically
from autosplitc.zoo.cli import zoo
from autosplitc.zoo.registry import lookup, make

WANTED = {
    "fashion",
    "mobilenet-v2",
    "yolov3-tiny",
    "plates",
    "plate-detector",
    "light-resnet50",
    "light-inception-v1",
    "light-inception-v2",
    "light-densenet121",
    "light-vgg19",
    "light-squeezenet",
    "light-shufflenet",
    "light-zfnet512",
    "light-bvlc-alexnet",
    *("resnet18", "resnet50", "resnext50", "googlenet", "mnasnet", "yolov3", "yolov3-spp", "faster-rcnn"),
}


def test_names_are_complete_and_unique() -> None:
    assert set(names()) == WANTED
    assert len(names()) == len(WANTED)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(CompileError) as caught:
        resolve("zoo:mobilenet-v3")
    assert caught.value.exit_code == EXIT_USAGE
    assert str(caught.value) == 'error[AS181]: unknown model in the zoo: "mobilenet-v3"\n  hint: did you mean "mobilenet-v2"?'


def test_a_file_in_the_cache_is_taken_as_it_is(cache: Path) -> None:
    entry = lookup("zoo:plates")
    assert entry.path.is_relative_to(cache)
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(b"made earlier")
    assert resolve("plates").path.read_bytes() == b"made earlier"


def test_a_new_recipe_is_another_file(cache: Path) -> None:
    entry = lookup("plates")
    assert entry.path.is_relative_to(cache)
    assert replace(entry, recipe=entry.recipe + 1).path != entry.path


@pytest.mark.usefixtures("cache")
def test_a_failed_write_leaves_nothing() -> None:
    def fail(_properties: Mapping[str, str], path: Path) -> None:
        path.write_bytes(b"half")
        raise ValueError("no more")

    entry = replace(lookup("plates"), write=fail)
    with pytest.raises(ValueError, match="no more"):
        make(entry)
    assert list(entry.path.parent.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CompileError) as caught:
        write_atomically(tmp_path / "file" / "zoo" / "m.onnx", Path.touch)
    assert caught.value.diagnostics[0].code == "AS686"
    assert "AUTOSPLITC_CACHE" in caught.value.diagnostics[0].hint


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of this platform")
def test_the_cache_is_the_users_without_a_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AUTOSPLITC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "autosplitc"


def test_the_example_comes_from_the_source_tree() -> None:
    import onnx

    model = resolve("zoo:fashion")
    assert model.calib is not None and model.calib.is_file()
    assert model.evaluation is not None and model.evaluation.is_file()
    graph = onnx.load_model_from_string(model.path.read_bytes()).graph
    assert [value.name for value in graph.input] == [name for name, _ in model.input_shapes]


def test_without_a_source_tree_the_example_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("autosplitc.zoo.entries.EXAMPLES", tmp_path)
    with pytest.raises(CompileError) as caught:
        resolve("fashion")
    assert caught.value.diagnostics[0].code == "AS687"
    assert str(tmp_path) in caught.value.diagnostics[0].location


def test_list_shows_every_model_and_whether_it_lies_ready(cache: Path) -> None:
    path = lookup("plates").path
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(1_500_000))
    result = CliRunner().invoke(zoo, ["list"])
    lines = {line.split()[0]: line for line in result.stdout.partition("\n\n")[0].splitlines()[1:]}
    assert set(lines) == WANTED
    assert "1.5 MB  Apache-2.0" in lines["plates"] and " yes " in lines["plates"]
    assert " no " in lines["mobilenet-v2"] and "BSD-3-Clause" in lines["mobilenet-v2"]
    assert cache.is_dir()


@pytest.mark.usefixtures("cache")
def test_fetch_makes_the_file_and_prints_its_path() -> None:
    result = CliRunner().invoke(zoo, ["fetch", "light-squeezenet"])
    assert result.exit_code == 0
    assert Path(result.stdout.strip()) == lookup("light-squeezenet").path
    assert Path(result.stdout.strip()).stat().st_size > 4_900_000
    assert "making light-squeezenet" in result.stderr
    assert "making" not in CliRunner().invoke(zoo, ["fetch", "light-squeezenet"]).stderr
