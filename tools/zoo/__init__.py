"""Models by name: an embedded example, trained models out of packages, and the onnx package's topologies with seeded weights."""

from .registry import ZooModel, names, resolve
from .samples import ZooData, data

__all__ = ["ZooData", "ZooModel", "data", "names", "resolve"]
