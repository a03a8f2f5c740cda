"""Quantities with units: `200MHz`, `4MiB`, `1GB/s`, `5us`, `96GOPS`, `3mbps`. A unit is always needed.

kB, MB ... are powers of 1000, KiB, MiB ... of 1024 (KB is kB). Bits are lower case (`mbps` or `Mbps`), bytes upper case (`MB/s`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic

_SIZES: dict[str, Fraction] = {
    "B": Fraction(1),
    "kB": Fraction(10**3),
    "KB": Fraction(10**3),
    "MB": Fraction(10**6),
    "GB": Fraction(10**9),
    "TB": Fraction(10**12),
    "KiB": Fraction(2**10),
    "MiB": Fraction(2**20),
    "GiB": Fraction(2**30),
    "TiB": Fraction(2**40),
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of quantity: what it is called, its units with their factors, the unit to suggest, and whether zero makes sense."""

    name: str
    units: Mapping[str, Fraction]
    suggested: str
    zero: bool = False


SIZE = Quantity("size", _SIZES, "MB")
SMALL_SIZE = Quantity("size", _SIZES, "B", zero=True)
BANDWIDTH = Quantity("bandwidth", {f"{unit}/s": factor for unit, factor in _SIZES.items()}, "GB/s")
FREQUENCY = Quantity("frequency", {"Hz": Fraction(1), "kHz": Fraction(10**3), "MHz": Fraction(10**6), "GHz": Fraction(10**9)}, "MHz")
OPS = Quantity(
    "rate of operations",
    {
        f"{prefix}{word}": Fraction(factor)
        for word in ("OPS", "FLOPS")
        for prefix, factor in {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}.items()
    },
    "GOPS",
)
RATE = Quantity(
    "rate",
    {
        "bps": Fraction(1),
        **{unit: Fraction(10**3) for unit in ("kbps", "Kbps")},
        **{unit: Fraction(10**6) for unit in ("mbps", "Mbps")},
        **{unit: Fraction(10**9) for unit in ("gbps", "Gbps")},
    },
    "mbps",
)
TIME = Quantity(
    "time",
    {
        "s": Fraction(1),
        "ms": Fraction(1, 10**3),
        "us": Fraction(1, 10**6),
        "\N{MICRO SIGN}s": Fraction(1, 10**6),
        "\N{GREEK SMALL LETTER MU}s": Fraction(1, 10**6),
        "ns": Fraction(1, 10**9),
    },
    "ms",
    zero=True,
)

_FORM = re.compile(r"\s*([+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([^\s0-9.]\S*)?\s*")
_BYTE_RATE = re.compile(r"([kKmMgG]?)i?(?:B|[bB]ytes?)(?:ps|/s|/sec)")
_BIT_RATE = re.compile(r"([kKmMgG]?)b(?:it)?s?(?:ps|/s|/sec)?")


class QuantityError(ValueError):
    """What is wrong with a quantity: a message, a hint, and what was probably meant ("" where that cannot be guessed)."""

    def __init__(self, message: str, hint: str, meant: str = "") -> None:
        """Keep the three."""
        self.message, self.hint, self.meant = message, hint, meant
        super().__init__(message)


class UnitError(QuantityError):
    """A quantity whose unit is missing or of another kind."""


def read_quantity(text: str, quantity: Quantity, what: str) -> Fraction:
    """Return an exact value in the quantity's base unit (bytes, bytes or bits or operations per second, Hz, seconds).

    `what` names the value in the message. At most 20 digits stand before and after the point.
    Raises QuantityError for anything that is not a number with a unit of this quantity, and for values below zero.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise QuantityError(f"{what} {text!r} is not a number with a unit", f"write it as 3{quantity.suggested}")
    number, unit = match.group(1), match.group(2) or ""
    if unit not in quantity.units:
        raise _wrong_unit(what, text, number, unit, quantity)
    value = Fraction(number) * quantity.units[unit]
    if value < 0 or (value == 0 and not quantity.zero):
        least = "must not be negative" if quantity.zero else "must be above zero"
        raise QuantityError(f"{what} {text!r} {least}", f"for example 3{quantity.suggested}")
    return value


def parse_quantity(text: str, quantity: Quantity, *, what: str = "") -> Fraction:
    """Return what `read_quantity` does, for a text on the command line. Raises CompileError (AS402, exit 2) in its place."""
    try:
        return read_quantity(text, quantity, what or quantity.name)
    except QuantityError as error:
        raise CompileError(Diagnostic("AS402", error.message, hint=error.hint), exit_code=EXIT_USAGE) from None


def _wrong_unit(what: str, text: str, number: str, unit: str, quantity: Quantity) -> UnitError:
    """Return the error for a unit that is missing or of another kind."""
    if not unit:
        meant = f"{number}{quantity.suggested}"
        return UnitError(f"{what} {text!r} has no unit", f"did you mean {meant}?", meant)
    byte_rate = _BYTE_RATE.fullmatch(unit)
    if quantity is RATE and byte_rate is not None:
        prefix = byte_rate.group(1).lower()
        word = {"": "bytes", "k": "kilobytes", "m": "megabytes", "g": "gigabytes"}[prefix]
        bits = _plain(Fraction(number) * 8)
        return UnitError(
            f"{what} {text!r} is in bytes, a rate is in bits",
            f"{word}? {bits}{prefix}bps is {_plain(Fraction(number))} {word} a second; for bits write {number}{prefix}bps",
        )
    bit_rate = _BIT_RATE.fullmatch(unit)
    near = [u for spelled in (unit, f"{unit}/s", unit.removesuffix("/s")) for u in quantity.units if u.lower() == spelled.lower()]
    if quantity is RATE and bit_rate is not None:
        near = [f"{bit_rate.group(1).lower()}bps"]
    known = ", ".join({u.lower() if quantity is RATE else u: None for u in quantity.units if u.isascii()})
    meant = f"{number}{near[0]}" if near else ""
    hint = f"did you mean {meant}?" if near else f"units: {known}"
    return UnitError(f"{what} {text!r} has an unknown unit {unit!r}", hint, meant)


def parse_size_bytes(text: str, what: str = "size", *, zero: bool = False) -> int:
    """Return whole bytes of a size such as `4MiB` or `8MB`, rounded down. Raises CompileError (AS402, exit 2)."""
    return int(parse_quantity(text, SMALL_SIZE if zero else SIZE, what=what))


def parse_rate_bps(text: str, what: str = "rate") -> float:
    """Return bits per second of a rate such as `3mbps`. Raises CompileError (AS402, exit 2)."""
    return float(parse_quantity(text, RATE, what=what))


def parse_time_s(text: str, what: str = "time") -> float:
    """Return seconds of a time such as `20ms`; 0 is allowed. Raises CompileError (AS402, exit 2)."""
    return float(parse_quantity(text, TIME, what=what))


def format_quantity(value: float, quantity: Quantity) -> str:
    """Return the shortest text that parses back to exactly `value` (in base units).

    Of equally short ones it is that of the largest unit in which the number is not below one.
    """
    exact = Fraction(Decimal(repr(value)))
    spelled = [(f"{_plain(exact / factor)}{unit}", factor) for unit, factor in quantity.units.items() if unit.isascii()]
    return min(spelled, key=lambda pair: (len(pair[0]), exact < pair[1], -pair[1]))[0]


def _plain(value: Fraction) -> str:
    """Return a decimal without exponent; exact for values whose decimals end, as all here do."""
    with localcontext() as context:
        context.prec = 80
        text = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
