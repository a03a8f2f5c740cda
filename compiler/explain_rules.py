"""The rules of thumb of Auto-Split's users' guide (its appendix), checked against a case.

The guide names them in words; the figures that "many", "large", "deep" and "thin" are measured by here are ours, and are told.
"""

from __future__ import annotations

from dataclasses import dataclass

from autosplitc.passes import Problem, payload_bytes

from .explain_case import Case

SMALL_BYTES = 50_000_000
LARGE_INPUT = 416
EARLY = 1 / 3
"""Share of the ops that counts as early."""
DEEP_LAYERS = 50
THIN_WEIGHTS = 1_000_000
"""Weights a layer, in the mean, up to which a network counts as thin."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of thumb.

    suggests: the decision it speaks for. measured: what was looked at, with the figures. agrees: None where it does not apply.
    """

    rule: str
    suggests: str
    measured: str
    applies: bool
    agrees: bool | None


def rules_of(case: Case) -> tuple[Rule, ...]:
    """Return the rules with what they say of a case."""
    problem = case.problem
    nbytes = float_bytes(problem)
    large, early = large_early_cuts(problem)
    sides = [size for shape in case.input_shapes.values() if len(shape) == 4 for size in shape[1:] if isinstance(size, int)]
    side = max(sides, default=0)
    layers, mean = depth_of(problem)
    found = (
        ("float models under 50 MB are likely Edge-Only", "edge-only", f"{nbytes / 1e6:.1f} MB as float32", nbytes < SMALL_BYTES),
        (
            "many large early activations suggest Cloud-Only",
            "cloud-only",
            f"{large} of the {early} cuts in the first third send more than the raw input, even at the fewest bits",
            early > 0 and 2 * large > early,
        ),
        (
            "deep thin networks suggest a split",
            "split",
            f"{layers} layers with weights (deep: {DEEP_LAYERS} or more), {mean:,.0f} weights each (thin: up to {THIN_WEIGHTS:,})",
            layers >= DEEP_LAYERS and mean <= THIN_WEIGHTS,
        ),
        (
            "inputs of 416 and more suggest a split",
            "split",
            f"the longest side of a picture put in is {side}" if side else "no input is a picture",
            side >= LARGE_INPUT,
        ),
    )
    return tuple(Rule(rule, kind, seen, applies, case.kind == kind if applies else None) for rule, kind, seen, applies in found)


def float_bytes(problem: Problem) -> int:
    """Return the size of the model's constants, weights as float32."""
    return sum(4 * w.elements for w in problem.weights) + sum(c.memory_bits for c in problem.constants) // 8


def depth_of(problem: Problem) -> tuple[int, float]:
    """Return how many ops have weights, and how many weights each has in the mean."""
    layers = sum(bool(op.weights) for op in problem.ops)
    return layers, sum(w.elements for w in problem.weights) / max(layers, 1)


def large_early_cuts(problem: Problem) -> tuple[int, int]:
    """Return how many of the cuts in the first third of the ops send more at the fewest bits than Cloud-Only, and how many there are."""
    sizes = fewest_bytes(problem)
    early = range(1, int(len(problem.ops) * EARLY) + 1)
    return sum(sizes[p] > sizes[0] for p in early), len(early)


def fewest_bytes(problem: Problem) -> list[int]:
    """Return for every position what a cut there sends at the fewest bits."""
    count = len(problem.ops)
    change = [0] * (count + 2)
    for v, value in enumerate(problem.values):
        made, readers = problem.producer.get(v), problem.readers[v]
        if value.constant or not readers or (made is None and not value.is_input):
            continue
        size = payload_bytes(value.elements or 0, min(value.wire_bits, default=value.width_bits))
        change[0 if made is None else made + 1] += size
        change[readers[-1] + 1] -= size
    sizes = [0] * (count + 1)
    total = 0
    for position in range(count + 1):
        total += change[position]
        sizes[position] = total
    return sizes
