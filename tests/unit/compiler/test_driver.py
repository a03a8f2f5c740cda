"""Running passes: verification, promises, internal faults, dumps, times."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest

from autosplitc.driver import run_pipeline
from autosplitc.hooks import Hooks, Watch
from autosplitc.ir import CompileError, Diagnostic, DType, Fact, Graph, Module, Op, TensorType, Value, print_module, read_dump
from autosplitc.passes import FACT_TYPES, Env, Liveness, Pass, Request, Splits
from autosplitc.targets import load_target, parse_network

X = TensorType(DType.F32, (1, 4))
GRAPH = Graph("main", (("", 21),), (Value("x", X),), (), (Op(("y",), "relu", ("x",), types=(X,)),), ("y",))
REQUEST = Request("", "m.onnx", "0" * 64, "eyeriss", "tpu", "3mbps")
MODULE = Module((GRAPH,), (REQUEST,))
LIVENESS = Liveness("main", (), (), 0, "y")
ENV = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))


def same(module: Module) -> Module:
    return module


@dataclass(frozen=True)
class Given(Pass):
    """A pass that does what a test says, and promises to give liveness."""

    name: ClassVar[str] = "given"
    gives: ClassVar[tuple[type[Fact], ...]] = (Liveness,)
    does: Callable[[Module], Module] = same

    def apply(self, module: Module, env: Env) -> Module:
        """Do it."""
        del env
        return self.does(module)


@dataclass(frozen=True)
class Rewrite(Given):
    """The same, as a rewrite that preserves splits."""

    name: ClassVar[str] = "rewrite"
    gives: ClassVar[tuple[type[Fact], ...]] = ()
    preserves: ClassVar[tuple[type[Fact], ...]] = (Splits,)


@dataclass(slots=True)
class Seen:
    """What a watcher saw."""

    shown: list[str] = field(default_factory=list[str])
    warned: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def watch(self) -> Watch:
        return Watch(self.warned.append, self.shown.append)


def renamed(module: Module) -> Module:
    """Return the module with another graph of the same name."""
    op = replace(GRAPH.ops[0], kind="sigmoid")
    return replace(module, graphs=(replace(GRAPH, ops=(op,)),))


def raising(error: Exception) -> Callable[[Module], Module]:
    def do(module: Module) -> Module:
        del module
        raise error

    return do


def fault(pass_: Pass, module: Module = MODULE, hooks: Hooks | None = None) -> CompileError:
    with pytest.raises(CompileError) as caught:
        run_pipeline(module, [pass_], ENV, hooks or Hooks(Seen().watch()))
    return caught.value


def test_a_good_pass_goes_through_and_is_timed() -> None:
    hooks = Hooks(Seen().watch())
    after = run_pipeline(MODULE, [Given(does=lambda m: m.with_fact(LIVENESS))], ENV, hooks)
    assert after.fact(Liveness) == LIVENESS
    assert [t.step for t in hooks.timings] == ["given"]


@pytest.mark.parametrize(
    ("pass_", "module", "broken"),
    [
        (Given(), MODULE, "it says that it gives 'liveness' and does not"),
        (Rewrite(does=lambda m: m.with_fact(LIVENESS)), MODULE, "it changed 'liveness', which is not among what it gives"),
        (Rewrite(does=lambda m: replace(m, facts=())), MODULE, "it dropped 'request'"),
        (
            Rewrite(does=lambda m: replace(m, facts=(REQUEST,))),
            MODULE.with_fact(Splits("main", ())),
            "it says that it preserves 'splits' and dropped it",
        ),
        (Rewrite(does=renamed), MODULE.with_fact(LIVENESS), "it left 'liveness' behind, which speaks of a graph that it rewrote"),
    ],
)
def test_a_broken_promise_is_an_internal_fault(pass_: Pass, module: Module, broken: str) -> None:
    error = fault(pass_, module)
    assert error.exit_code == 70
    assert error.diagnostics[0].code == "AS911"
    assert broken in error.diagnostics[0].notes


def test_a_preserved_fact_may_stay() -> None:
    after = run_pipeline(MODULE.with_fact(Splits("main", ())), [Rewrite(does=renamed)], ENV, Hooks(Seen().watch()))
    assert after.get(Splits) is not None


def test_a_module_that_does_not_verify_is_an_internal_fault() -> None:
    error = fault(Rewrite(does=lambda m: replace(m, graphs=(replace(GRAPH, outputs=("gone",)),))))
    assert error.exit_code == 70
    assert any("gone" in note for note in error.diagnostics[0].notes)


def test_an_exception_names_the_pass_the_place_and_the_last_dump(tmp_path: Path) -> None:
    hooks = Hooks(Seen().watch(), dump_folder=tmp_path)
    hooks.done("import", MODULE)
    found = fault(Given(does=raising(ZeroDivisionError("by zero"))), hooks=hooks)
    assert found.exit_code == 70
    (diagnostic,) = found.diagnostics
    assert diagnostic.message == "pass 'given' failed: ZeroDivisionError: by zero"
    assert diagnostic.notes[0].startswith("test_driver.py:")
    assert diagnostic.notes[1] == f"the last dump is {tmp_path}/00-import.air"
    assert isinstance(found.__cause__, ZeroDivisionError)


def test_what_the_system_refuses_is_no_internal_fault() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "model.onnx")
    assert fault(Given(does=raising(full))).diagnostics[0].code == "AS604"


def test_a_users_mistake_passes_as_it_is() -> None:
    mistake = CompileError(Diagnostic("AS301", "unknown size"))
    assert fault(Given(does=raising(mistake))).diagnostics[0].code == "AS301"


def test_dumps_are_numbered_and_read_back_equal(tmp_path: Path) -> None:
    seen = Seen()
    hooks = Hooks(seen.watch(), dump_folder=tmp_path, dump_after=frozenset({"given"}))
    hooks.done("import", MODULE)
    after = run_pipeline(MODULE, [Given(does=lambda m: m.with_fact(LIVENESS))], ENV, hooks)
    assert sorted(p.name for p in tmp_path.glob("*.air")) == ["00-import.air", "01-given.air"]
    assert read_dump(tmp_path / "01-given.air", FACT_TYPES) == after
    assert seen.shown == [print_module(after)]
