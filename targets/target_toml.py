"""A target from TOML text: checked against the schema, everything that is wrong said at once, with line and column."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

from .checks import check_target
from .curve import Curve
from .target import Target
from .target_curves import column_holes
from .target_schema import KEYS, MODELS, SOURCES, Key, homes_of, keys_of
from .target_values import MISSING_KEY, TEXT, UNKNOWN_KEY, WRONG_VALUE, BadValueError, Problem, as_table, shown
from .toml_places import Path, Places, find_places

NO_TOML = "AS431"
REFUSED = "AS436"

_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_BARE_TEXT = re.compile(r"\s*([\w.-]+)\s*=\s*([\w.+-][\w.+/ -]*[\w/])\s*(?:#.*)?")

_HEAD = ("schema", "model")
"""Keys that say how the rest is to be read."""

_Values = dict[str, Any]


def read_toml_target(text: str, file: str) -> Target:
    """Return the target that a TOML text describes; `file` names it in diagnostics.

    Raises CompileError, each diagnostic with line and column: AS431 no TOML, AS432 an unknown key, AS433 a missing one, AS434 a value of
    another form, AS435 a quantity without or with a wrong unit or not above zero, AS436 values that do not go together, AS437 a table
    with holes.
    """
    document, places = _parse(text, file)
    model, problems = _model(document)
    if model is not None:
        values, found = _read(document, model)
        problems = (*problems, *found)
        if not problems:
            target, problems = _build(model, values, document)
            if target is not None:
                return target
    located = sorted(((_place(places, problem), problem) for problem in problems), key=lambda pair: pair[0])
    raise CompileError(Diagnostic(p.code, p.message, f"{file}:{line}:{column}", hint=p.hint) for (line, column), p in located)


def _parse(text: str, file: str) -> tuple[Mapping[str, object], Places]:
    """Return a document and where its keys and values stand. Raises CompileError (AS431)."""
    try:
        return tomllib.loads(text), find_places(text)
    except RecursionError:
        raise CompileError(Diagnostic(NO_TOML, "nested too deeply for TOML", f"{file}:1:1")) from None
    except ValueError as error:
        place = _PLACE.fullmatch(str(error))
        lines = text.split("\n")
        line, column = (int(place[2]), int(place[3])) if place and place[2] else (len(lines), len(lines[-1]) + 1)
        bare = _BARE_TEXT.fullmatch(lines[line - 1]) if line <= len(lines) else None
        hint = f'texts stand in quotes: {bare[1]} = "{bare[2]}"' if bare else ""
        message = f"no TOML: {place[1] if place else error}"
        raise CompileError(Diagnostic(NO_TOML, message, f"{file}:{line}:{column}", hint=hint)) from None


def _place(places: Places, problem: Problem) -> tuple[int, int]:
    """Return where a problem is shown: at the key that is unknown, at the table that lacks one, else at the value."""
    return places.of_key(problem.within) if problem.code in (UNKNOWN_KEY, MISSING_KEY) else places.of_value(problem.within)


def _model(document: Mapping[str, object]) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the model, None where that or the version of the format is not known, and what is wrong with the two."""
    values: _Values = {}
    problems: list[Problem] = []
    for key in (key for key in KEYS if key.path in _HEAD):
        if key.path in document:
            problems += _take(values, key, document[key.path])
        else:
            problems.append(_missing(key))
    return values.get("model") if "schema" in values or "schema" not in document else None, tuple(problems)


def _read(document: Mapping[str, object], model: str) -> tuple[_Values, tuple[Problem, ...]]:
    """Return the values by the path of their key, and all that is wrong with them."""
    keys: dict[Path, Key] = {key.parts: key for key in keys_of(model)}
    values: _Values = {}
    problems: list[Problem] = []
    given: set[Path] = set()
    for path, value in _leaves(document, (), keys):
        given.add(path)
        key = keys.get(path)
        if key is not None:
            problems += _take(values, key, value) if key.path not in _HEAD else ()
        else:
            meant, problem = _unknown(path, value, keys, model)
            given.add(meant)
            problems.append(problem)
    for key in (key for key in keys.values() if key.path not in _HEAD):
        if key.defaults(model) is None and not _is_given(key.parts, given) and not (key.instead and _parts(key.instead) in given):
            problems.append(_missing(key))
        if key.instead and {key.path, key.instead} <= values.keys():
            message = f"{key.path} and {key.instead} are both given"
            problems.append(Problem(WRONG_VALUE, message, f"leave {key.instead} out", _parts(key.instead)))
    problems += _wrong_sources(document.get(SOURCES, {}), (SOURCES,), keys)
    if "compute.ops" in values:
        problems += _holes(values, model, given)
    return values, tuple(problems)


def _leaves(table: Mapping[str, object], at: Path, keys: Iterable[Path]) -> Iterator[tuple[Path, object]]:
    """Yield path and value of every key, and of every table that the schema does not have."""
    for name, value in table.items():
        path = (*at, name)
        inner = as_table(value)
        if path not in keys and inner is not None and _is_table(path, keys):
            yield from _leaves(inner, path, keys)
        elif path != (SOURCES,):
            yield path, value


def _is_table(path: Path, keys: Iterable[Path]) -> bool:
    return any(parts[: len(path)] == path and parts != path for parts in keys)


def _is_given(parts: Path, given: set[Path]) -> bool:
    return any(parts[:n] in given for n in range(1, len(parts) + 1))


def _parts(path: str) -> Path:
    return tuple(path.split("."))


def _take(values: _Values, key: Key, value: object) -> tuple[Problem, ...]:
    """Put a value among those that were read, and return what is wrong with it."""
    try:
        values[key.path] = key.form.read(value, key.path)
    except BadValueError as error:
        return tuple(
            Problem(p.code, p.message, p.hint or f"{key.parts[-1]} = {key.example}", (*key.parts, *p.within)) for p in error.problems
        )
    return ()


def _missing(key: Key) -> Problem:
    table, _, last = key.path.rpartition(".")
    place = f" in {f'[{table}]' if '.' not in table else table}" if table else ""
    message = f"{key.path} is missing" + (f", and so is {key.instead}" if key.instead else "")
    hint = key.example if key.example.startswith("[[") else f"{last} = {key.example}{place}"
    return Problem(MISSING_KEY, message, hint, key.parts)


def _unknown(path: Path, value: object, keys: Mapping[Path, Key], model: str) -> tuple[Path, Problem]:
    """Return what was probably meant by a path that the schema does not have, and the problem."""
    last, table = str(path[-1]), ".".join(map(str, path[:-1]))
    if _is_table(path, keys):
        dotted = f"{table}.{last}" if table else last
        return path, Problem(WRONG_VALUE, f"{dotted} is {shown(value)}, not a table", f"[{dotted}]", path)
    siblings = {str(parts[len(path) - 1]) for parts in keys if parts[: len(path) - 1] == path[:-1] and len(parts) >= len(path)}
    message = f"unknown key {last!r} {f'in [{table}]' if table else 'at the top'} of a {model} target"
    near = difflib.get_close_matches(last, siblings, n=1)
    homes = homes_of(last, model)
    if near or not homes:
        others = [other for other in MODELS if _is_in(path, other)]
        hint = f'it is a key of model = "{others[0]}"' if others and not near else did_you_mean(last, siblings)
        return (*path[:-1], near[0]) if near else path, Problem(UNKNOWN_KEY, message, hint, path)
    place = f"it stands in [{homes[0]}]" if homes[0] else "it stands at the top, before any table"
    return (*_parts(homes[0]), last) if homes[0] else (last,), Problem(UNKNOWN_KEY, message, place, path)


def _is_in(path: Path, model: str) -> bool:
    parts = [key.parts for key in keys_of(model)]
    return path in parts or _is_table(path, parts)


def _wrong_sources(sources: object, path: Path, keys: Mapping[Path, Key]) -> Iterator[Problem]:
    """Yield what is wrong with the sources of single figures: keys that are not there, texts that are none."""
    table = as_table(sources)
    if table is None:
        yield Problem(WRONG_VALUE, f"{SOURCES} is {shown(sources)}, not a table", f"[{SOURCES}]", path)
        return
    for name, text in table.items():
        parts = (*path[1:], *_parts(name))
        if as_table(text) is not None and _is_table(parts, keys):
            yield from _wrong_sources(text, (*path, name), keys)
            continue
        dotted = ".".join(map(str, parts))
        if parts not in keys and not _is_table(parts, keys):
            hint = did_you_mean(dotted, (key.path for key in keys.values()))
            yield Problem(UNKNOWN_KEY, f"a source is given for {dotted!r}, which is no key of this target", hint, (*path, name))
        try:
            TEXT.read(text, f"{SOURCES}.{dotted}")
        except BadValueError as error:
            hint = f'"{dotted}" = "ACME datasheet, p. 12"'
            yield from (Problem(p.code, p.message, hint, (*path, name)) for p in error.problems)


def _sources(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield pairs of a dotted key and where its figure comes from."""
    for name, text in table.items():
        inner = as_table(text)
        if inner is not None:
            yield from _sources(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", cast("str", text)


def _holes(values: _Values, model: str, given: set[Path]) -> tuple[Problem, ...]:
    """Return the curves that lack a width of the target; none where a list of widths is itself wrong."""
    widths: set[int] = set()
    for key in (key for key in keys_of(model) if key.path in ("weight_bits", "act_bits")):
        if key.path not in values and key.parts in given:
            return ()
        widths.update(values.get(key.path, (key.defaults(model) or ((),))[0]))
    curves = cast("tuple[Curve, ...]", values["compute.ops"])
    found = column_holes(curves, "compute.ops", widths)
    return tuple(Problem(p.code, p.message, p.hint, ("compute", "ops", *p.within)) for p in found)


def _build(model: str, values: _Values, document: Mapping[str, object]) -> tuple[Target | None, tuple[Problem, ...]]:
    """Return the target, or what its class refuses."""
    make = cast("Callable[..., Any]", MODELS[model])
    fields: dict[str, Any] = {}
    for key in keys_of(model):
        if key.path in values and key.fields:
            several = values[key.path] if len(key.fields) > 1 else (values[key.path],)
            fields.update(zip(key.fields, several, strict=True))
    fields["sources"] = tuple(_sources(as_table(document.get(SOURCES)) or {}))
    try:
        if "compute.peak" in values:
            fields["clock_hz"] = values["compute.peak"] / make(**fields, clock_hz=1.0).peak_ops_per_s
        return check_target(make(**fields), "the target"), ()
    except ValueError as error:
        return None, (_refusal(str(error), model, values),)


def _refusal(message: str, model: str, values: _Values) -> Problem:
    """Return the problem for a field that the class refuses: the message begins with its name."""
    by_field = {field: key for key in keys_of(model) for field in key.fields}
    paths = {field: key.instead if key.instead in values else key.path for field, key in by_field.items()}
    message_by_key = re.sub(r"\w+", lambda word: paths.get(word[0], word[0]), message)
    key = by_field.get(message.partition(" ")[0])
    if key is None:
        return Problem(REFUSED, message_by_key)
    path = paths[key.fields[0]]
    return Problem(REFUSED, message_by_key, f"{path.rpartition('.')[2]} = {key.example}", _parts(path))
