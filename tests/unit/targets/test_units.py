"""Quantities: read, refused, and written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.ir import EXIT_USAGE, CompileError
from autosplitc.targets import (
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


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("40B", 40), ("4MiB", 4 * 2**20), ("4MB", 4_000_000), ("192KB", 192_000), ("192KiB", 196_608), ("1.5 kB", 1500), (" 4GiB ", 2**32)],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert parse_size_bytes(text) == bytes_


def test_other_quantities() -> None:
    assert parse_quantity("200MHz", FREQUENCY) == 200 * 10**6
    assert parse_quantity("1GB/s", BANDWIDTH) == 10**9
    assert parse_rate_bps("3mbps") == parse_rate_bps("3Mbps") == 3e6
    assert parse_time_s("5us") == parse_time_s("5\N{MICRO SIGN}s") == 5e-6
    assert parse_time_s("0ms") == 0
    assert parse_quantity("96GOPS", OPS) == parse_quantity("0.096TFLOPS", OPS) == 96 * 10**9
    assert parse_size_bytes("0B", zero=True) == 0


@pytest.mark.parametrize(
    ("text", "quantity", "hint"),
    [
        ("8", SIZE, "did you mean 8MB?"),
        ("8mib", SIZE, "did you mean 8MiB?"),
        ("8 8MB", SIZE, "write it as 3MB"),
        ("0MB", SIZE, "for example 3MB"),
        ("-1MB", SIZE, "for example 3MB"),
        ("1e3MB", SIZE, "units: B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB"),
        ("200mhz", FREQUENCY, "did you mean 200MHz?"),
        ("1GB", BANDWIDTH, "did you mean 1GB/s?"),
        ("1mb/s", SIZE, "did you mean 1MB?"),
        ("1GHz", BANDWIDTH, "units: B/s, kB/s, KB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s, TiB/s"),
        ("96", OPS, "did you mean 96GOPS?"),
        ("96Gops", OPS, "did you mean 96GOPS?"),
        ("0GOPS", OPS, "for example 3GOPS"),
        ("3mbit/s", RATE, "did you mean 3mbps?"),
        ("2.5GB/s", RATE, "gigabytes? 20gbps is 2.5 gigabytes a second; for bits write 2.5gbps"),
        ("-1ms", TIME, "for example 3ms"),
        ("inf", TIME, "write it as 3ms"),
        ("9" * 400 + "ms", TIME, "write it as 3ms"),
    ],
)
def test_what_cannot_be_read_gets_a_hint(text: str, quantity: Quantity, hint: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_quantity(text, quantity)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.hint, caught.value.exit_code) == ("AS402", hint, EXIT_USAGE)


@pytest.mark.parametrize(
    ("value", "quantity", "text"),
    [
        (4 * 2**20, SIZE, "4MiB"),
        (200e6, FREQUENCY, "200MHz"),
        (1e9, BANDWIDTH, "1GB/s"),
        (0.02, TIME, "20ms"),
        (0, TIME, "0s"),
        (3e6, RATE, "3mbps"),
        (115.2e9, OPS, "115.2GOPS"),
    ],
)
def test_written_as_a_person_would(value: float, quantity: Quantity, text: str) -> None:
    assert format_quantity(value, quantity) == text


@given(value=st.floats(1e-9, 1e15), quantity=st.sampled_from([BANDWIDTH, FREQUENCY, OPS, RATE, TIME]))
def test_written_and_read_back_is_the_same(value: float, quantity: Quantity) -> None:
    text = format_quantity(value, quantity)
    digits = text.rstrip("".join({c for unit in quantity.units for c in unit}))
    if all(len(part) <= 20 for part in digits.split(".")):
        assert float(parse_quantity(text, quantity)) == value


@given(value=st.integers(1, 2**50))
def test_sizes_written_and_read_back_are_the_same(value: int) -> None:
    assert parse_size_bytes(format_quantity(value, SIZE)) == value
