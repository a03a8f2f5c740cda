"""What the fields of every target model must keep to."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .checks import target_problems


def check_fields(target: object, above_zero: Iterable[str], not_negative: Iterable[str] = ()) -> None:
    """Raise ValueError that names a member of `Target` that makes no sense, or a number that is not finite and above zero, or negative.

    None passes: the field is not given.
    """
    for problem in target_problems(target):
        raise ValueError(problem)
    for field in above_zero:
        value = getattr(target, field)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{field} must be above zero, not {value}")
    for field in not_negative:
        value = getattr(target, field)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{field} must not be negative, not {value}")


def check_member(target: object, field: str, allowed: Iterable[str | int]) -> None:
    """Raise ValueError where a field holds none of the words or numbers that it may hold."""
    value, members = getattr(target, field), tuple(allowed)
    if value not in members:
        raise ValueError(f"{field} must be one of {', '.join(map(str, members))}, not {value!r}")
