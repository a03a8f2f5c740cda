"""Shared fixtures: golden texts, profiles of devices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autosplitc.cache import cache_folder
from autosplitc.targets import OpView, signature, work_of

_GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing with them")


@dataclass(frozen=True, slots=True)
class Golden:
    """Compares texts with the files in tests/golden/<test file>/."""

    directory: Path
    test: str
    update: bool

    def __call__(self, text: str, name: str = "", suffix: str = ".air") -> None:
        """Assert that `text` is what `<name or test><suffix>` holds; with `--update-golden` write it there."""
        path = self.directory / f"{name or self.test}{suffix}"
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        assert path.is_file(), f"{path} is missing; run pytest --update-golden and review it"
        assert text == path.read_text("utf-8")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep compiles, also those in processes of their own, away from the user's cache; models that lie there already can be used."""
    users, folder = cache_folder(), tmp_path_factory.mktemp("cache")
    for made in users.iterdir() if users.is_dir() else ():
        if made.name != "compile":
            (folder / made.name).symlink_to(made, target_is_directory=made.is_dir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOSPLITC_CACHE", str(folder))
        yield folder


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file: `golden(text)` or `golden(text, name, suffix)`."""
    test = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name.removeprefix("test_")).strip("-")
    return Golden(_GOLDEN / request.path.stem, test, bool(request.config.getoption("--update-golden")))


@pytest.fixture(scope="session")
def make_profile() -> Callable[..., dict[str, Any]]:
    """Return a function that makes the JSON of a profile.

    ops: names and views. times: seconds of an op in a context ("float", "8" ...). wires: (elements, bits, pack_s, unpack_s).
    """

    def make(
        ops: Iterable[tuple[str, OpView]],
        times: Callable[[OpView, str], float],
        contexts: tuple[str, ...] = ("float", "8"),
        wires: Iterable[tuple[int, int, float, float]] = (),
        sha256: str = "0" * 64,
        runtime: str = "1.32.0",
    ) -> dict[str, Any]:
        entries: list[dict[str, Any]] = [
            {
                "op": name,
                "kind": op.kind,
                "signature": signature(op),
                "work": work_of(op),
                "segment": "",
                "times": {context: {"median_s": times(op, context), "spread_s": 0.0} for context in contexts},
            }
            for name, op in ops
        ]
        runs = [
            {
                "context": context,
                "median_s": sum(entry["times"][context]["median_s"] for entry in entries),
                "spread_s": 0.0,
                "repeats": 10,
                "kernels_s": 0.001,
                "overhead_per_op_s": 0.0,
            }
            for context in contexts
        ]
        return {
            "schema": "autosplitc-profile/1",
            "name": "bench",
            "model": {"name": "model.onnx", "sha256": sha256},
            "runtime": {"onnxruntime": runtime, "numpy": "2.4.0", "python": "3.11.9"},
            "machine": {"processor": "Cortex-A72", "architecture": "aarch64", "cores": 4, "system": "Linux"},
            "settings": {"threads": 1, "level": "extended", "x64quantprecision": False, "warmup": 3, "repeats": 10},
            "memory": {"ram_bytes": 2**30, "peak_rss_bytes": 10**8},
            "limits": {
                "weight_bits": [4, 8],
                "act_bits": [int(context) for context in contexts if context != "float"],
                "float_bits": 32,
                "resident": "int8",
                "max_opset": 25,
                "storage_bytes": None,
            },
            "runs": runs,
            "ops": entries,
            "wires": [
                {"elements": n, "bits": b, "pack_s": pack, "pack_spread_s": 0.0, "unpack_s": unpack, "unpack_spread_s": 0.0}
                for n, b, pack, unpack in wires
            ],
        }

    return make
