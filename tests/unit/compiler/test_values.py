"""What users write for options."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autosplitc.ir import EXIT_USAGE, CompileError
from autosplitc.values import parse_bits, parse_decibels, parse_error_bound, parse_input_shape, parse_names, parse_regex


def test_good_texts() -> None:
    assert parse_bits("8,2, 4,2") == (2, 4, 8)
    assert parse_decibels("30dB") == 30.0
    assert parse_decibels("27.5") == 27.5
    assert parse_error_bound("0.01") == 0.01
    assert parse_error_bound("2%") == 0.02
    assert parse_input_shape("a:b:1x3x8") == ("a:b", (1, 3, 8))
    assert parse_names("a, b/c ,,d") == ("a", "b/c", "d")
    assert parse_regex("conv[12]") == "conv[12]"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_bits, "0"),
        (parse_bits, "9"),
        (parse_bits, "4;8"),
        (parse_bits, ""),
        (parse_decibels, "-3dB"),
        (parse_decibels, "30W"),
        (parse_error_bound, "0"),
        (parse_error_bound, "nan"),
        (parse_error_bound, "x"),
        (parse_input_shape, "1x3x8"),
        (parse_input_shape, "x:1x0x8"),
        (parse_input_shape, "x:1x?x8"),
        (parse_regex, "["),
    ],
)
def test_bad_texts_are_usage_errors_with_an_example(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse(text)
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.diagnostics[0].code == "AS103"
    assert caught.value.diagnostics[0].hint.startswith("for example ")
