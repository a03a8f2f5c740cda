"""The planning problem and its solvers."""

from .ascent import Relaxed, ascended, branched, reduced
from .bounds import all_values, meeting_bound
from .build import build, link_of, ram_bytes
from .closed import Closed as ClosedSpace
from .cpsat import Effort, minimise_error, minimise_latency
from .cut import Cut, Wire, cut_of, live_values, prefix, wire_choices
from .error_tables import ErrorScale, bounded, error_rows, error_scale, wire_rows
from .evaluate import Figures, evaluate, excess
from .exhaustive import Found as ExhaustiveFound
from .exhaustive import assignment_count, assignments, closed_sets, exhaustive
from .formulate import assignment, formulate
from .fronts import Cell, Seeker, undominated_figures
from .instance import FORBIDDEN, Instance, Linear, Overlapped, Packets, Pair, Var
from .layers import Layer, plan_layers
from .least_error import MostAccurate, most_accurate, plan_at_mean_bits
from .levels import at_levels
from .plans import front, plan_of, size_text, undominated_plans
from .prefix_bounds import prefix_bounds
from .problem import NONE, Assignment, FixedConst, Group, Limits, Link, Operand, OpItem, Problem, Value, Weight, payload_bytes
from .problem_json import PROBLEM_SCHEMA, dumped_problem, problem_from_json, problem_text, problem_to_json, read_problem
from .relax import Relaxation
from .search import Found, Solution, best_effort, search
from .solve import Outcome, out_of_reach, solve
from .spaces import Candidate, Only, Space
from .spaces import Linear as LinearSpace
from .whatif import (
    Best,
    OutOfTimeError,
    WhatIf,
    all_error,
    all_ram_bits,
    all_storage_bits,
    fixed_ns,
    least_amount,
    link_at,
    message_bits,
    tolerant,
)
from .working_set import Life, Sequential, buffers, lifetimes, live_sets, undominated

__all__ = [
    "FORBIDDEN",
    "NONE",
    "PROBLEM_SCHEMA",
    "Assignment",
    "Best",
    "Candidate",
    "Cell",
    "ClosedSpace",
    "Cut",
    "Effort",
    "ErrorScale",
    "ExhaustiveFound",
    "Figures",
    "FixedConst",
    "Found",
    "Group",
    "Instance",
    "Layer",
    "Life",
    "Limits",
    "Linear",
    "LinearSpace",
    "Link",
    "MostAccurate",
    "Only",
    "OpItem",
    "Operand",
    "OutOfTimeError",
    "Outcome",
    "Overlapped",
    "Packets",
    "Pair",
    "Problem",
    "Relaxation",
    "Relaxed",
    "Seeker",
    "Sequential",
    "Solution",
    "Space",
    "Value",
    "Var",
    "Weight",
    "WhatIf",
    "Wire",
    "all_error",
    "all_ram_bits",
    "all_storage_bits",
    "all_values",
    "ascended",
    "assignment",
    "assignment_count",
    "assignments",
    "at_levels",
    "best_effort",
    "bounded",
    "branched",
    "buffers",
    "build",
    "closed_sets",
    "cut_of",
    "dumped_problem",
    "error_rows",
    "error_scale",
    "evaluate",
    "excess",
    "exhaustive",
    "fixed_ns",
    "formulate",
    "front",
    "least_amount",
    "lifetimes",
    "link_at",
    "link_of",
    "live_sets",
    "live_values",
    "meeting_bound",
    "message_bits",
    "minimise_error",
    "minimise_latency",
    "most_accurate",
    "out_of_reach",
    "payload_bytes",
    "plan_at_mean_bits",
    "plan_layers",
    "plan_of",
    "prefix",
    "prefix_bounds",
    "problem_from_json",
    "problem_text",
    "problem_to_json",
    "ram_bytes",
    "read_problem",
    "reduced",
    "search",
    "size_text",
    "solve",
    "tolerant",
    "undominated",
    "undominated_figures",
    "undominated_plans",
    "wire_choices",
    "wire_rows",
]
