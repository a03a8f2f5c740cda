"""Import and export over the models that come with onnx: what ONNX Runtime computes stays the same, bit for bit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, version_converter

from autosplitc.ir import CompileError, export_onnx, import_model, import_onnx, verify, write_onnx

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
SMALL = sorted(
    path
    for kind in ("pytorch-converted", "pytorch-operator", "simple")
    for path in (DATA / kind).glob("*/model.onnx")
    if "strnorm" not in path.parent.name  # needs locales that a machine may not have
)
LIGHT = sorted((DATA / "light").glob("light_*.onnx"))
NEWEST_OPSET, OLDEST_OPSET = 25, 7


def session(model: ModelProto | Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def opset_of(model: ModelProto) -> int:
    return next(entry.version for entry in model.opset_import if not entry.domain)


def upgraded(model: ModelProto) -> ModelProto:
    return version_converter.convert_version(model, 21) if opset_of(model) < 21 else model


def noise(model: ort.InferenceSession) -> Mapping[str, Any]:
    """Return seeded values for every input; unknown sizes are 2."""
    rng = np.random.default_rng(0)
    kinds = {"float": np.float32, "double": np.float64, "float16": np.float16}
    others = {"string": "U"}
    found: dict[str, Any] = {}
    for value in model.get_inputs():
        shape = [size if isinstance(size, int) else 2 for size in value.shape]
        name = value.type.removeprefix("tensor(").removesuffix(")")
        found[value.name] = rng.standard_normal(shape).astype(kinds[name]) if name in kinds else np.ones(shape, others.get(name, name))
    return found


def bits_of(values: list[Any]) -> list[Any]:
    return [bits_of(cast("list[Any]", v)) if isinstance(v, list) else _bits(v) for v in values]


def _bits(value: Any) -> Any:
    return value.tolist() if value.dtype == object else (value.dtype, value.shape, value.tobytes())


def check(model: ModelProto, feeds: Mapping[str, Any] | None = None) -> bool:
    """Compare, and return whether ONNX Runtime can run the model at all."""
    graph = import_model(model)
    assert verify(graph) == ()
    exported = export_onnx(graph)
    try:
        reference = session(upgraded(model))
        given = noise(reference) if feeds is None else feeds
        expected = reference.run(None, dict(given))
    except Exception:
        return False
    assert bits_of(session(exported).run(None, dict(given))) == bits_of(expected)
    return True


@pytest.mark.parametrize("path", SMALL[::4], ids=lambda path: path.parent.name)
def test_small_models(path: Path) -> None:
    model = onnx.load(path)
    if opset_of(model) < OLDEST_OPSET:
        with pytest.raises(CompileError, match="AS204"):
            import_model(model)
    else:
        assert check(model)


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "resnet50"])
def test_light_models(name: str, tmp_path: Path) -> None:
    _check_light(DATA / "light" / f"light_{name}.onnx", tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_every_light_model(path: Path, tmp_path: Path) -> None:
    _check_light(path, tmp_path)


def _check_light(path: Path, tmp_path: Path) -> None:
    graph = import_onnx(path)
    assert verify(graph) == ()
    assert all(type_.is_static for op in graph.ops for type_ in op.types)
    written = tmp_path / "written.onnx"
    write_onnx(graph, written)
    reference = session(upgraded(onnx.load(path)))
    feeds = dict(noise(reference))
    assert bits_of(session(written).run(None, feeds)) == bits_of(reference.run(None, feeds))


def node_cases() -> Iterator[tuple[str, ModelProto, list[Any]]]:
    """The models of every operator's own test, at an opset that is taken."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        for entry in case.model.opset_import:
            if not entry.domain:
                entry.version = min(entry.version, NEWEST_OPSET)
        case.model.ir_version = min(case.model.ir_version, 13)
        try:
            onnx.checker.check_model(case.model)
        except onnx.checker.ValidationError:
            continue
        if all(entry.domain or entry.version >= OLDEST_OPSET for entry in case.model.opset_import):
            yield case.name, case.model, case.data_sets[0][0]


@pytest.mark.heavy
def test_every_operator() -> None:
    """About 1,800 models, of which ONNX Runtime runs 1,350 with inputs that Python can hand over."""
    ran = 0
    for name, model, inputs in node_cases():
        initialized = {t.name for t in model.graph.initializer}
        names = [value.name for value in model.graph.input if value.name not in initialized]
        try:
            ran += check(model, dict(zip(names, inputs, strict=False)))
        except (AssertionError, CompileError) as error:
            raise AssertionError(name) from error
    assert ran > 1300
