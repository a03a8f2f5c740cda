"""Options of passes: text to value and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.ir import Module
from autosplitc.pass_options import describe, option_fields, parse_value, print_pass
from autosplitc.passes import Env, Pass
from autosplitc.pipeline import build_pipeline, parse_pipeline


@dataclass(frozen=True)
class Sample(Pass):
    """A pass with an option of every kind."""

    name: ClassVar[str] = "sample"
    limit_s: float = 60.0
    count: int = 3
    exact: bool = True
    title: str = "a"
    bits: tuple[int, ...] = (4, 8)
    names: tuple[str, ...] = ()
    most: int | None = None

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module as it is."""
        del env
        return module


def test_option_names_are_the_fields_in_kebab_case() -> None:
    assert list(option_fields(Sample)) == ["limit-s", "count", "exact", "title", "bits", "names", "most"]


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("30", float, 30.0),
        ("-2", int, -2),
        ("true", bool, True),
        ("false", bool, False),
        ("2,4", tuple[int, ...], (2, 4)),
        ("", tuple[int, ...], ()),
        ("none", int | None, None),
        ("7", int | None, 7),
        ("none", str, "none"),
    ],
)
def test_values_are_read_as_their_field_says(text: str, annotation: Any, value: object) -> None:
    found = parse_value(text, annotation)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "annotation"), [("x", float), ("1.5", int), ("yes", bool), ("2,x", tuple[int, ...]), ("x", int | None), ("None", int | None)]
)
def test_what_cannot_be_read_says_what_was_expected(text: str, annotation: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_value(text, annotation)


def test_descriptions_name_every_alternative() -> None:
    assert describe(int | None) == "an integer or none"
    assert describe(tuple[int, ...]) == "a list such as 1,2"


@given(
    st.floats(allow_nan=False),
    st.integers(),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.lists(st.integers(1, 8)),
    st.none() | st.integers(),
)
def test_a_printed_pass_reads_back_equal(limit_s: float, count: int, exact: bool, title: str, bits: list[int], most: int | None) -> None:
    made = Sample(limit_s=limit_s, count=count, exact=exact, title=title, bits=tuple(bits), most=most)
    (item,) = parse_pipeline(print_pass(made))
    fields = option_fields(Sample)
    values: dict[str, Any] = {fields[o.name].field: parse_value(o.text, fields[o.name].annotation) for o in item.options}
    assert Sample(**values) == made


def test_defaults_are_not_printed() -> None:
    assert print_pass(Sample()) == "sample"
    assert print_pass(Sample(count=4, bits=())) == 'sample{count=4 bits=""}'
    assert [p.name for p in build_pipeline(parse_pipeline("liveness"))] == ["liveness"]
