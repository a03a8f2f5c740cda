"""A target file that is damaged in any way gives a target or diagnostics with a place in the file, never a traceback."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import CompileError
from autosplitc.targets import Target
from autosplitc.targets.scalesim_cfg import read_cfg_target
from autosplitc.targets.target_schema import KEYS
from autosplitc.targets.target_toml import read_toml_target
from autosplitc.targets.toml_places import find_places

ROOT = Path(__file__).parents[2]
TOML = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "docs" / "targets.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
CFG = [path.read_text("utf-8") for path in sorted((ROOT / "tests" / "data" / "scalesim").glob("*.cfg"))]
CODES = {f"AS43{n}" for n in range(1, 8)}
QUANTITIES = """0MB -1GB/s 1e3MB 99999999999999999999TB 0.00000000000000000001B 1GHz 1ns 0.00000000000000000001OPS 99999999999999999999POPS
    99999999999999999999GHz 99999999999999999999s 8"""
OTHERS = """0|-1|1e400|-inf|nan|1.5|true|""|[]|[[]]|[1, 8]|[1000000000, 1000000000]|{}|{ a = 1 }|{ 8 = [] }|[{}]|1979-05-27|07:32:00|"os"
    |"serial"|"fused"|["*"]|["1ms"]|"\\u0000"|99999999999999999999999"""
VALUES = (*(f'"{quantity}"' for quantity in QUANTITIES.split()), *(other.strip() for other in OTHERS.split("|")))
INSERTED = ("\x00", '"', "'", "[", "]", "{", "}", "=", "\n", "#", ":", ".", "\u00e9", "1", "\r", '"""')


def judge(read: Callable[[], Target], text: str, file: str) -> None:
    """Check that reading gives a target or diagnostics that point into the file."""
    try:
        assert isinstance(read(), Target)
    except CompileError as error:
        assert error.exit_code == 1
        for diagnostic in error.diagnostics:
            assert diagnostic.code in CODES
            line, column = map(int, diagnostic.location.removeprefix(f"{file}:").split(":"))
            lines = text.split("\n")
            assert 1 <= line <= len(lines) + 1
            assert 1 <= column <= len(lines[min(line, len(lines)) - 1]) + 1


def damage(text: str, rng: random.Random) -> str:
    """Cut, copy, insert, or exchange something in a text."""
    at, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
    lines = text.split("\n")
    shape = rng.randrange(6)
    if shape == 0:
        return text[:at] + text[min(end, at + rng.randrange(1, 20)) :]
    if shape == 1:
        return text[:at] + rng.choice(INSERTED) + text[at:]
    if shape == 2:
        return text[:at]
    if shape == 3:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    if shape == 4:
        del lines[rng.randrange(len(lines))]
    if shape == 5:
        rng.shuffle(lines)
    return "\n".join(lines)


def other_value(text: str, rng: random.Random) -> str:
    """Put another value in the place of one."""
    places = find_places(text)
    at = places.values[rng.choice(list(places.values))]
    found = re.compile(r'"[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^,\s\]}]+').match(text, at)
    assert found is not None
    return text[:at] + rng.choice(VALUES) + text[found.end() :]


def other_key(text: str, rng: random.Random) -> str:
    """Put the name of another key in the place of one, or one more key into the file."""
    places = find_places(text)
    at = places.keys[rng.choice([path for path in places.keys if isinstance(path[-1], str)])]
    name = rng.choice(KEYS).parts[-1]
    if rng.random() < 0.5:
        return f"{text[:at]}{name} = {rng.choice(VALUES)}\n{text[at:]}"
    found = re.compile(r'[\w-]+|"[^"]*"').match(text, at)
    assert found is not None
    return text[:at] + name + text[found.end() :]


@settings(max_examples=700, deadline=None)
@given(st.sampled_from(TOML), st.integers(0, 2**32))
def test_damaged_toml(text: str, seed: int) -> None:
    rng = random.Random(seed)
    changed = rng.choice((damage, other_value, other_value, other_key))(text, rng)
    judge(lambda: read_toml_target(changed, "acme.toml"), changed, "acme.toml")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CFG), st.integers(0, 2**32))
def test_damaged_configurations(text: str, seed: int) -> None:
    changed = damage(text, random.Random(seed))
    options = "clock=1MHz,ram=1MB,bandwidth=1MB/s"
    judge(lambda: read_cfg_target(changed, "acme.cfg", options), changed, "acme.cfg")


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    for read in (read_toml_target, read_cfg_target):
        with pytest.raises(CompileError):
            read(text, "acme")
