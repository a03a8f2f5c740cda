"""Targets: what devices can do and what ops cost on them; the network between them."""

from .network import Network
from .target import BIT_ROWS, FLOAT_ROW, ROWS, OpCost, OpView, Residency, Target, constant_table, row_of, view

__all__ = [
    "BIT_ROWS",
    "FLOAT_ROW",
    "ROWS",
    "Network",
    "OpCost",
    "OpView",
    "Residency",
    "Target",
    "constant_table",
    "row_of",
    "view",
]
