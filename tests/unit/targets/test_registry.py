"""Targets through entry points: ours, somebody else's, broken ones, and options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import pytest

from autosplitc.ir import EXIT_BAD_INPUT, EXIT_USAGE, CompileError, Diagnostic
from autosplitc.targets import SystolicTarget, Target, installed_targets, load_target, option_fields, target_names

PLUGIN = Path(__file__).parents[2] / "plugin"
Install: TypeAlias = Callable[[str, str, str], None]

GOOD = "from dataclasses import replace\nfrom autosplitc.targets.library import eyeriss\nmine = replace(eyeriss, name='mine')\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a distribution with one entry point and one module."""

    def add(distribution: str, entry: str, source: str) -> None:
        module = entry.partition("=")[2].partition(":")[0].strip()
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[autosplitc.targets]\n{entry}\n")
        (site / f"{module}.py").write_text(source)
        monkeypatch.setattr(sys, "path", [str(site), *sys.path])
        invalidate_caches()
        monkeypatch.delitem(sys.modules, module, raising=False)

    return add


def refusal(text: str) -> tuple[Diagnostic, int]:
    with pytest.raises(CompileError) as caught:
        load_target(text)
    return caught.value.diagnostics[0], caught.value.exit_code


def systolic(text: str) -> SystolicTarget:
    target = load_target(text)
    assert isinstance(target, SystolicTarget)
    return target


def test_the_built_in_targets_come_through_the_group() -> None:
    assert ("eyeriss", "autosplitc") in target_names()
    assert ("tpu", "autosplitc") in target_names()
    for name in ("eyeriss", "tpu"):
        target = load_target(name)
        assert isinstance(target, Target)
        assert target.name == name
        assert target.source


def test_options_change_fields_and_the_name() -> None:
    text = "eyeriss:rows=16,clock=250MHz,ram=8MB,bandwidth=2GB/s,weight-bits=4/8,overlap=true,storage=1MiB"
    text += ",per_op=5us,dataflow=os,resident=int8"
    target = systolic(text)
    assert (target.name, target.rows, target.clock_hz, target.ram_bytes) == (text, 16, 250e6, 8_000_000)
    assert (target.bandwidth_bytes_per_s, target.weight_bits, target.overlap, target.storage_bytes) == (2e9, (4, 8), True, 2**20)
    assert (target.per_op_s, target.dataflow, target.resident, target.cols) == (5e-6, "os", "int8", 14)


def test_none_and_word_lists_are_options_too() -> None:
    assert systolic("eyeriss:storage=none").storage_bytes is None
    assert systolic("eyeriss:unsupported=lstm/onnx.Einsum").unsupported == ("lstm", "onnx.Einsum")


def test_every_plain_field_but_name_and_source_is_an_option() -> None:
    options = option_fields(load_target("eyeriss"))
    assert set(options.values()) == set(SystolicTarget.__dataclass_fields__) - {"name", "source", "sources"}
    assert options["clock"] == "clock_hz"
    assert options["vector"] == "vector_bytes_per_s"


def test_a_target_of_another_distribution_is_found(install: Install) -> None:
    install("acme-one", "mine = acme_one:mine", GOOD)
    assert ("mine", "acme-one") in target_names()
    assert load_target("mine").name == "mine"
    assert load_target("mine:ram=1MB").ram_bytes == 1_000_000


def test_a_factory_or_a_class_will_do(install: Install) -> None:
    install("acme-factory", "factory = acme_factory:make", GOOD + "def make(): return mine\n")
    assert load_target("factory").name == "mine"
    source = "class Device:\n  name, source, weight_bits, act_bits = 'device', 'here', (8,), (8,)\n"
    source += "  float_bits, ram_bytes, storage_bytes, resident, max_opset = 32, 1000, None, 'int8', 21\n"
    source += "  def cost(self, op): return None\n"
    install("acme-class", "device = acme_class:Device", source)
    assert load_target("device").name == "device"
    found, code = refusal("device:ram=1MB")
    assert (found.code, found.message, code) == ("AS414", "target 'device' takes no options", EXIT_USAGE)


def test_two_distributions_with_one_name_are_both_named(install: Install) -> None:
    install("acme-one", "mine = acme_one:mine", GOOD)
    install("acme-two", "mine = acme_two:mine", GOOD)
    found, code = refusal("mine")
    assert (found.code, code) == ("AS411", EXIT_BAD_INPUT)
    assert "acme-one" in found.message
    assert "acme-two" in found.message
    assert load_target("eyeriss").name == "eyeriss"


BROKEN = ["raise RuntimeError('no bus')\n", "import sys\nsys.exit('no bus')\n", "other = 1\n", "def mine(): raise KeyError('bus')\n"]


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_plugin_harms_only_who_asks_for_it(install: Install, source: str) -> None:
    install("acme-broken", "mine = acme_broken:mine", source)
    assert ("mine", "acme-broken") in target_names()
    assert load_target("eyeriss").name == "eyeriss"
    found, code = refusal("mine")
    assert (found.code, found.message, code) == ("AS412", "target 'mine' cannot be loaded", EXIT_BAD_INPUT)
    assert "acme-broken" in found.location
    assert found.notes


def test_the_list_of_targets_shows_what_is_broken_and_goes_on(install: Install) -> None:
    install("acme-broken", "mine = acme_broken:mine", BROKEN[0])
    found = {name: (distribution, target) for name, distribution, target in installed_targets()}
    assert isinstance(found["mine"][1], CompileError)
    assert found["mine"][0] == "acme-broken"
    assert isinstance(found["eyeriss"][1], Target)


def test_an_object_that_is_no_target_is_told_what_it_lacks(install: Install) -> None:
    source = "from types import SimpleNamespace\n"
    source += "mine = SimpleNamespace(name='mine', source='', weight_bits=(8, 4), act_bits=[8], ram_bytes=-1)\n"
    install("acme-odd", "mine = acme_odd:mine", source)
    with pytest.raises(CompileError) as caught:
        load_target("mine")
    said = [d.message.partition(": ")[2] for d in caught.value.diagnostics]
    assert {d.code for d in caught.value.diagnostics} == {"AS413"}
    assert said[0] == "weight_bits is (8, 4), not a tuple of bit-widths from 1 to 8, ascending"
    rest = ["act_bits", "float_bits", "ram_bytes", "storage_bytes", "resident", "max_opset", "cost"]
    assert [s.split(" ", 1)[0] for s in said[1:]] == rest


def test_an_installed_plugin_is_discovered(tmp_path: Path) -> None:
    if find_spec("pip") is None or find_spec("setuptools") is None:
        pytest.skip("pip and setuptools are not installed here")
    source = tmp_path / "source"
    for file in PLUGIN.rglob("*"):
        if file.suffix in (".py", ".toml"):
            copy = source / file.relative_to(PLUGIN)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    site = tmp_path / "site"
    flags = ["-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *flags, str(source)], check=True, capture_output=True, timeout=120)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from autosplitc.targets import load_target, target_names; "
    code += "print(dict(target_names())['acme-npu'], load_target('acme-npu:macs-per-s=1').macs_per_s, load_target('acme-npu').ram_bytes)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["acme-npu", "1.0", str(4 * 2**20)]


def test_whoever_takes_a_name_of_ours_is_the_one_to_uninstall(install: Install) -> None:
    install("aaa-one", "eyeriss = aaa_one:mine", GOOD)
    found, code = refusal("eyeriss")
    assert (found.code, found.hint, code) == ("AS411", "pip uninstall aaa-one", EXIT_BAD_INPUT)
