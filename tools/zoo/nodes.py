"""A small recorder of ONNX nodes and weights, shared by the converters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET = 17
IR_VERSION = 8

Shapes = Mapping[str, Sequence[int | str]]
"""Shapes by name; a text is a symbolic dimension."""


class NodeRecorder:
    """Collects nodes in topological order; each result is named after its node."""

    def __init__(self) -> None:
        """Start empty."""
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []

    def weight(self, name: str, values: NDArray[np.generic]) -> str:
        """Add an initializer and return its name."""
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a Constant node, as exporters write small operands, and return its name."""
        from onnx import numpy_helper

        return self.node("Constant", name, (), value=numpy_helper.from_array(values, name))

    def node(self, kind: str, name: str, inputs: Sequence[str], **attributes: object) -> str:
        """Add a node with one result and return the result's name, which is the node's."""
        return self.nodes(kind, (name,), inputs, **attributes)[0]

    def nodes(self, kind: str, results: Sequence[str], inputs: Sequence[str], **attributes: object) -> tuple[str, ...]:
        """Add a node with several results, named after the first, and return their names."""
        from onnx import helper

        node = helper.make_node(kind, list(inputs), list(results), name=results[0])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return tuple(results)

    def batch_norm(self, name: str, x: str, parameters: Mapping[str, NDArray[np.generic]], epsilon: float) -> str:
        """Add a BatchNormalization in inference form; `parameters` are scale, bias, mean and variance in that order, f32[channels]."""
        weights = [self.weight(weight_name, values) for weight_name, values in parameters.items()]
        return self.node("BatchNormalization", name, (x, *weights), epsilon=epsilon)

    def model(self, name: str, inputs: Shapes, outputs: Shapes, properties: Mapping[str, str]) -> ModelProto:
        """Return the checked model with float32 inputs and outputs of the given shapes, properties as metadata."""
        from onnx import TensorProto, helper
        from onnx.checker import check_model

        given, made = (
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, list(shape)) for key, shape in shapes.items()]
            for shapes in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, name, given, made, self._weights)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="autosplitc zoo")
        helper.set_model_props(model, dict(properties))
        check_model(model, full_check=True)
        return model


def save(model: ModelProto, path: Path) -> None:
    """Write the model as one file, byte for byte the same every time."""
    path.write_bytes(model.SerializeToString(deterministic=True))
