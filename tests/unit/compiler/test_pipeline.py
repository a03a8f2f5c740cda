"""Pipeline text: reading, building, checking before anything runs."""

from __future__ import annotations

import pytest

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.passes import Costs, Liveness, Ranges, Request, Splits, expand, pass_names
from autosplitc.pipeline import build_pipeline, check_needs, parse_pipeline, parse_set, print_pipeline


def names_of(text: str, drop: tuple[str, ...] = (), stop_after: str | None = None) -> list[str]:
    return [p.name for p in build_pipeline(parse_pipeline(text), drop, stop_after=stop_after)]


def problems(text: str, drop: tuple[str, ...] = (), settings: tuple[str, ...] = (), stop_after: str | None = None) -> list[Diagnostic]:
    with pytest.raises(CompileError) as caught:
        build_pipeline(parse_pipeline(text), drop, [parse_set(s) for s in settings], stop_after)
    return list(caught.value.diagnostics)


def test_all_runs_every_pass_in_order() -> None:
    assert names_of("all") == list(pass_names())


def test_passes_and_aliases_mix() -> None:
    assert names_of("liveness , plan") == ["liveness", *expand("plan")]


def test_drop_takes_passes_and_aliases() -> None:
    assert names_of("all", drop=("simplify", "liveness")) == [n for n in pass_names() if n not in (*expand("simplify"), "liveness")]


def test_stop_after_ends_the_pipeline() -> None:
    assert names_of("all", stop_after="liveness")[-1] == "liveness"
    assert names_of("all", stop_after="analyze")[-1] == expand("analyze")[-1]


def test_a_printed_pipeline_builds_the_same_passes() -> None:
    passes = build_pipeline(parse_pipeline("all"))
    assert build_pipeline(parse_pipeline(print_pipeline(passes))) == passes


@pytest.mark.parametrize(
    ("text", "column"),
    [("", 1), ("liveness,", 10), ("liveness{", 10), ("liveness{x}", 11), ("liveness{x=1", 13), ("a b", 3), ("a,{x=1}", 3)],
)
def test_a_text_that_cannot_be_read_says_where(text: str, column: int) -> None:
    with pytest.raises(CompileError) as caught:
        parse_pipeline(text)
    (found,) = caught.value.diagnostics
    assert found.code == "AS111"
    assert found.location.endswith(f"column {column}")


def test_options_hold_quoted_text() -> None:
    (item,) = parse_pipeline('p{a=1 b="x, {y}\\"" c=2,3}')
    assert [(o.name, o.text) for o in item.options] == [("a", "1"), ("b", 'x, {y}"'), ("c", "2,3")]


def test_every_unknown_name_is_reported_with_the_nearest() -> None:
    found = problems("livenes,simplfy", drop=("calibrat",), settings=("assign-bit.x=1",), stop_after="partitio")
    assert [d.code for d in found] == ["AS110"] * 5
    assert [d.hint for d in found] == [
        f'did you mean "{name}"?' for name in ("calibrate", "liveness", "simplify", "assign-bits", "partition")
    ]


def test_unknown_options_are_reported() -> None:
    (found,) = problems("liveness{x=1}")
    assert found.code == "AS113"
    assert found.location == "-p liveness{x=1}: column 10"


def test_an_alias_takes_no_options() -> None:
    (found,) = problems("plan{x=1}")
    assert found.code == "AS115"
    assert found.hint == "--set assign-bits.x=1"


def test_settings_and_stop_after_need_a_pass_that_runs() -> None:
    assert [d.code for d in problems("liveness", settings=("calibrate.x=1",))] == ["AS116"]
    assert [d.code for d in problems("liveness", stop_after="calibrate")] == ["AS116"]
    with pytest.raises(CompileError, match="AS116"):
        build_pipeline(parse_pipeline("liveness"), dump_after=("calibrate",))
    with pytest.raises(CompileError, match="AS110"):
        build_pipeline(parse_pipeline("liveness"), dump_after=("livenes",))


@pytest.mark.parametrize("text", ["calibrate", "calibrate.x", "=1", ".x=1", "calibrate.=1"])
def test_a_bad_setting_is_a_usage_error(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_set(text)
    assert caught.value.diagnostics[0].code == "AS112"


def missing(text: str, *given: type) -> list[str]:
    try:
        check_needs(build_pipeline(parse_pipeline(text)), (Request, *given))
    except CompileError as error:
        return [f"{d.message} {d.notes}" for d in error.diagnostics]
    return []


def test_the_full_pipeline_has_all_it_needs() -> None:
    assert missing("all") == []


def test_a_need_that_nothing_gives_is_named_with_who_would_give_it() -> None:
    with pytest.raises(CompileError) as caught:
        check_needs(build_pipeline(parse_pipeline("enumerate-splits")))
    assert [d.code for d in caught.value.diagnostics] == ["AS117", "AS117"]
    assert caught.value.diagnostics[0].message == "pass 'enumerate-splits' needs fact 'liveness', which nothing gives before it"
    assert caught.value.diagnostics[0].hint == "-p liveness,enumerate-splits"


def test_facts_that_the_module_holds_count() -> None:
    assert missing("enumerate-splits", Liveness, Costs) == []


def test_a_rewrite_drops_the_facts_that_it_does_not_preserve() -> None:
    (first, *_) = missing("drop-identities,enumerate-splits", Ranges, Liveness, Costs, Splits)
    assert "dropped by 'drop-identities'" in first
