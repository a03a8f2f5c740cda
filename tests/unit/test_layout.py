"""The shape of the source tree: imports run one way and through the fronts, files stay short, and importing is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"ir": "autosplitc.ir", "targets": "autosplitc.targets", "passes": "autosplitc.passes", "compiler": "autosplitc"}
"""Folder and package, the ground floor first: each may import those before it."""
TOOLS = {"tools/zoo": "autosplitc.zoo", "tools/bench": "autosplitc.bench", "tools/runtime": "autosplitc.runtime"}
LAZY_UPWARDS = {("compiler/request.py", "autosplitc.zoo"), ("compiler/cli_runtime.py", "autosplitc.runtime")}
"""Imports from a floor above, made when they are called for: `zoo:NAME` stands for a model anywhere; the runtime has its own commands."""
MAX_LINES = 350
HEAVY = ("onnx", "onnxruntime", "ortools", "onnx_graphsurgeon")


def sources(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*.py") if "typings" not in p.parts)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every absolute module that a file imports, and whether it does so when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_import = set(_at_import_time(tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module, node in at_import


def _at_import_time(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _at_import_time([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])


def home(module: str) -> str:
    """Return the package of ours that a module is in, "" for others."""
    packages = [*FOLDERS.values(), *TOOLS.values()]
    return max((p for p in packages if f"{module}.".startswith(f"{p}.")), key=len, default="")


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_run_one_way_and_through_the_fronts(folder: str) -> None:
    order = list(FOLDERS)
    allowed = {FOLDERS[f] for f in order[: order.index(folder)]}
    wrong: list[str] = []
    for path in sources(folder):
        name = path.relative_to(ROOT).as_posix()
        for module, _ in imports(path):
            package = home(module)
            if package and (name, package) not in LAZY_UPWARDS and (package not in allowed or module != package):
                wrong.append(f"{name} imports {module}")
    assert not wrong


def test_the_device_side_imports_nothing_else_of_ours() -> None:
    assert not [f"{p.name} imports {m}" for p in sources("tools/runtime") for m, _ in imports(p) if home(m)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_heavy_libraries_are_imported_where_they_are_used(folder: str) -> None:
    heavy = [f"{p.relative_to(ROOT)}: {m}" for p in sources(folder) for m, top in imports(p) if top and m.split(".")[0] in HEAVY]
    assert not heavy


@pytest.mark.parametrize("folder", [*FOLDERS, "tools", "examples", "tests"])
def test_files_are_short(folder: str) -> None:
    long = {str(p.relative_to(ROOT)): n for p in sources(folder) if (n := len(p.read_text(encoding="utf-8").splitlines())) > MAX_LINES}
    assert not long


@pytest.mark.parametrize("package", [*FOLDERS.values()])
def test_fronts_list_what_they_offer(package: str) -> None:
    folder = next(f for f, p in FOLDERS.items() if p == package)
    tree = ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8"))
    listed = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
    assert listed == sorted(listed, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert len(set(listed)) == len(listed)


def test_the_public_api_is_this() -> None:
    import autosplitc

    assert autosplitc.__all__ == ["CompileError", "Result", "__version__", "compile"]
    assert all(getattr(autosplitc, name) is not None for name in autosplitc.__all__)
    unknown = "nothing"
    with pytest.raises(AttributeError):
        getattr(autosplitc, unknown)


def test_the_version_is_that_of_the_distribution() -> None:
    import autosplitc

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert autosplitc.__version__ == project["version"]


@pytest.mark.parametrize("module", [*FOLDERS.values(), "autosplitc.api", "autosplitc.cli", "autosplitc.cli_compile"])
def test_importing_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_autosplitc_loads_not_even_numpy() -> None:
    code = "import sys, autosplitc; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_diagnostic_code_is_documented_once() -> None:
    texts = [path.read_text("utf-8") for folder in (*FOLDERS, "tools") for path in sources(folder)]
    used = {code for text in texts for code in re.findall(r'"(AS\d{3})"', text)}
    text = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (AS\d{3}) \|", text, re.MULTILINE)
    assert used - set(documented) == set()
    assert len(documented) == len(set(documented))
