"""Targets: what devices can do and what ops cost on them; the network between them."""

from .array import CycleModel
from .bit_serial import BitMode, BitSerialTarget
from .checks import check_target, checked_cost
from .conformance import Finding, conformance
from .curve import ANY_KIND, FLOAT_COLUMN, Curve, work_of
from .description import Line, description
from .gemm import Dataflow, Depthwise, Operand, Product, products
from .measured import MeasuredTarget, profile_problems, read_profile, unprofiled
from .network import PRESETS, Network, RateRange, parse_network, parse_rate_range
from .options import option_fields
from .profile_file import Profile
from .registry import installed_targets, load_target, target_file_of, target_names
from .roofline import RooflineTarget
from .signature import signature
from .systolic import SystolicTarget
from .table import TableTarget
from .target import BIT_ROWS, FLOAT_ROW, ROWS, OpCost, OpView, Residency, Target, constant_table, pack_view, row_of, unpack_view, view
from .target_file import read_target_file
from .trace import STARTS, Trace
from .traffic import moves_nothing, plain_traffic, resident_traffic, row_bytes
from .units import (
    BANDWIDTH,
    FREQUENCY,
    OPS,
    RATE,
    SIZE,
    TIME,
    Quantity,
    format_quantity,
    parse_quantity,
    parse_rate_bps,
    parse_size_bytes,
    parse_time_s,
)
from .vector import vector_elements

__all__ = [
    "ANY_KIND",
    "BANDWIDTH",
    "BIT_ROWS",
    "FLOAT_COLUMN",
    "FLOAT_ROW",
    "FREQUENCY",
    "OPS",
    "PRESETS",
    "RATE",
    "ROWS",
    "SIZE",
    "STARTS",
    "TIME",
    "BitMode",
    "BitSerialTarget",
    "Curve",
    "CycleModel",
    "Dataflow",
    "Depthwise",
    "Finding",
    "Line",
    "MeasuredTarget",
    "Network",
    "OpCost",
    "OpView",
    "Operand",
    "Product",
    "Profile",
    "Quantity",
    "RateRange",
    "Residency",
    "RooflineTarget",
    "SystolicTarget",
    "TableTarget",
    "Target",
    "Trace",
    "check_target",
    "checked_cost",
    "conformance",
    "constant_table",
    "description",
    "format_quantity",
    "installed_targets",
    "load_target",
    "moves_nothing",
    "option_fields",
    "pack_view",
    "parse_network",
    "parse_quantity",
    "parse_rate_bps",
    "parse_rate_range",
    "parse_size_bytes",
    "parse_time_s",
    "plain_traffic",
    "products",
    "profile_problems",
    "read_profile",
    "read_target_file",
    "resident_traffic",
    "row_bytes",
    "row_of",
    "signature",
    "target_file_of",
    "target_names",
    "unpack_view",
    "unprofiled",
    "vector_elements",
    "view",
    "work_of",
]
