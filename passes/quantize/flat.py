"""Where activations are constant: what the quantiser before a fused activation need not tell apart."""

from __future__ import annotations

import math

from .affine import LARGEST

_HALF_CODE = 0.5 / 255
"""Half a code of 8 bits, as a share of a result's range."""

_INNER_CODES = 254
"""Steps of the quantiser before an activation, less the one that reaches beyond an end."""


def curved_range(act: str, alpha: float, beta: float, low: float, high: float) -> tuple[float, float]:
    """Return the part of [low, high] in which an activation changes by more than half a code of its 8-bit result.

    alpha, beta: of hard_sigmoid. Where an end moved the range reaches one code beyond, so that the code there is safely in the flat part.
    Activations that are nowhere flat, and ranges that lie in a flat part, give the range itself.
    """
    left, right = _ends(act, alpha, beta, high)
    step = (min(high, right) - max(low, left)) / _INNER_CODES
    if step <= 0:
        return low, high
    return max(low, left - step), min(high, right + step)


def _ends(act: str, alpha: float, beta: float, high: float) -> tuple[float, float]:
    """Return the ends of the part that is not flat."""
    match act:
        case "hard_swish":
            return -3.0, LARGEST
        case "hard_sigmoid" if alpha > 0:
            return -beta / alpha, (1 - beta) / alpha
        case "sigmoid":
            reach = math.log(1 / _HALF_CODE - 1)
            return -reach, reach
        case "tanh":
            reach = math.atanh(1 - 2 * _HALF_CODE)
            return -reach, reach
        case "silu":
            return _silu_end(high), LARGEST
        case _:
            return -LARGEST, LARGEST


def _silu_end(high: float) -> float:
    """Return the place left of silu's minimum (-0.278 at -1.278) where it comes within half a code of 0."""
    half = _HALF_CODE * (0.2785 + _silu(max(high, 0.0)))
    left, right = -100.0, -1.2785
    if -_silu(right) <= half:
        return right
    for _ in range(60):
        middle = (left + right) / 2
        left, right = (middle, right) if -_silu(middle) < half else (left, middle)
    return left


def _silu(x: float) -> float:
    return x / (1 + math.exp(-x)) if x > -700 else 0.0
