"""Seeded weights for the onnx package's light models, on the smallest of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from autosplitc.ir import CompileError
from autosplitc.zoo.light import check_dependence, package_model, seed_weights, write_light

if TYPE_CHECKING:
    from onnx import ModelProto


def load(path: Path) -> ModelProto:
    import onnx

    return onnx.load_model_from_string(path.read_bytes())


def results(model: ModelProto) -> list[str]:
    return [name for node in model.graph.node for name in node.output if node.op_type != "ConstantOfShape"]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("light") / "squeezenet.onnx"
    write_light("squeezenet", {"licence": "Apache-2.0"}, path)
    return path


def test_names_stay_and_weights_leave_the_inputs(seeded: Path) -> None:
    before, after = load(package_model("squeezenet")), load(seeded)
    assert results(after) == results(before)
    assert [node.name for node in after.graph.node] == [node.name for node in before.graph.node if node.op_type != "ConstantOfShape"]
    assert [value.name for value in after.graph.input] == ["data_0"]
    filled = {name for node in before.graph.node if node.op_type == "ConstantOfShape" for name in node.output}
    assert filled <= {tensor.name for tensor in after.graph.initializer}
    assert {item.key: item.value for item in after.metadata_props} == {"licence": "Apache-2.0"}


def test_convolutions_are_he_normal() -> None:
    from onnx import numpy_helper

    model = load(package_model("squeezenet"))
    seed_weights(model, 0)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weight = stored["fire9/expand3x3_w_0"]
    assert weight.shape == (256, 64, 3, 3)
    assert float(weight.std()) == pytest.approx(np.sqrt(2 / (64 * 3 * 3)), rel=0.02)


def test_the_same_seed_gives_the_same_bytes(seeded: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    write_light("squeezenet", {"licence": "Apache-2.0"}, again)
    assert again.read_bytes() == seeded.read_bytes()
    first, second = load(package_model("squeezenet")), load(package_model("squeezenet"))
    seed_weights(first, 0)
    seed_weights(second, 1)
    assert first.SerializeToString(deterministic=True) != second.SerializeToString(deterministic=True)


def test_the_package_s_own_weights_fail_the_dependence_check(seeded: Path) -> None:
    check_dependence(seeded, "squeezenet")
    with pytest.raises(CompileError) as caught:
        check_dependence(package_model("squeezenet"), "squeezenet")
    assert caught.value.diagnostics[0].code == "AS688"
    assert caught.value.diagnostics[0].message == "the output of squeezenet does not depend on its input"


def test_a_topology_that_the_package_lacks_is_named() -> None:
    with pytest.raises(CompileError) as caught:
        package_model("lenet")
    assert caught.value.diagnostics[0].code == "AS687"
