"""Other methods of placing a network, under our cost model."""

from .algorithm1 import algorithm1
from .floats import as_float, sent_raw
from .min_cut import min_cut
from .neurosurgeon import neurosurgeon
from .placed import Placed, placed
from .uniform import uniform

__all__ = ["Placed", "algorithm1", "as_float", "min_cut", "neurosurgeon", "placed", "sent_raw", "uniform"]
