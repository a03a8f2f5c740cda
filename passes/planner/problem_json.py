"""Planning problems as JSON, so that anybody can check the answer with a solver of their own. docs/problem.md explains every field.

Records are written as they are in `problem.py`, without fields that have their default; tuples are lists. All numbers are integers but
`error_unit`. What is read back equals what was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from autosplitc.ir import CompileError, Diagnostic, Module

from ..base import Env
from ..facts import Request, Sensitivity
from .build import build
from .problem import NONE, Problem

Json = dict[str, Any]

PROBLEM_SCHEMA = "autosplitc-problem/1"

_RECORDS = ("values", "groups", "weights", "constants", "ops")
"""Fields of a problem that are written one record a line."""


def problem_to_json(problem: Problem) -> Json:
    """Return a problem as JSON values."""
    return {"schema": PROBLEM_SCHEMA, **_encoded(problem)}


def problem_from_json(found: Json, location: str = "problem.json") -> Problem:
    """Return the problem that `problem_to_json` gave; what else a dump tells of the model is left out.

    Raises CompileError: AS641 for another schema, AS642 where the values do not fit it, AS643 where they contradict each other.
    """
    if found.get("schema") != PROBLEM_SCHEMA:
        message = f"not a planning problem of ours: its schema is {found.get('schema')!r}, not {PROBLEM_SCHEMA!r}"
        raise CompileError(Diagnostic("AS641", message, location, hint="--dump-problem FILE writes one, and every bundle holds one"))
    problems = sorted(_validator().iter_errors(found), key=lambda e: (len(e.absolute_path), e.json_path))
    if problems:
        more = (f"{len(problems) - 1} more do not fit either",) if len(problems) > 1 else ()
        message = f"{problems[0].json_path}: {_shortened(problems[0].message)}"
        raise CompileError(Diagnostic("AS642", message, location, more, hint="docs/problem.md has every field"))
    problem = _decoded({name: value for name, value in found.items() if name not in ("schema", "about")}, Problem)
    wrong = next(_contradictions(problem), "")
    if wrong:
        raise CompileError(Diagnostic("AS643", wrong, location, hint="docs/problem.md says what must hold"))
    return problem


def dumped_problem(module: Module, env: Env) -> Json:
    """Return the planning problem of `main` with what readers want to know of the model: its source, and the kind of every op.

    `barred` names the values that cross no cut for what they are. Raises CompileError (AS151) as `build` does.
    """
    from ..enumerate_splits import unsendable  # it imports this package

    request = module.fact(Request)
    about: Json = {name: getattr(request, name) for name in ("source", "source_sha256", "edge", "cloud", "net", "space")}
    problem = build(module, env)
    found = problem_to_json(problem)
    barred = unsendable(module.main)
    about["barred"] = [value.name for value in problem.values if value.name in barred]
    for record, op in zip(found["ops"], module.main.ops, strict=True):
        record["kind"] = op.kind
    return {"schema": PROBLEM_SCHEMA, "about": {**about, "measure": module.fact(Sensitivity).measure}, **found}


def problem_text(found: Json) -> str:
    """Return a dumped problem as JSON text, a line for each record; the same for the same problem."""
    lines = [f"{json.dumps(name)}: {_listed(value) if name in _RECORDS else _compact(value)}" for name, value in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_problem(path: Path) -> tuple[Problem, Json]:
    """Return the problem in a file, and all that stands there.

    Raises CompileError: AS641 where it cannot be read or is no problem of ours, and as `problem_from_json` does.
    """
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = "--dump-problem FILE writes one, and every bundle holds one"
        raise CompileError(Diagnostic("AS641", f"cannot read the planning problem: {reason}", str(path), hint=hint)) from error
    known: Json = cast("Json", found) if isinstance(found, dict) else {}
    return problem_from_json(known, str(path)), known


def _listed(records: Sequence[Json]) -> str:
    return "[\n" + ",\n".join(map(_compact, records)) + "\n]" if records else "[]"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _shortened(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:200]} ..."


def _encoded(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _encoded(getattr(value, f.name)) for f in fields(value) if not _is_default(f, getattr(value, f.name))}
    return [_encoded(v) for v in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


def _is_default(field: Field[Any], value: object) -> bool:
    return field.default is not MISSING and field.default == value


def _decoded(value: Any, annotation: Any) -> Any:
    """Return a JSON value, which fits the schema, as a value of the annotated type."""
    if isinstance(value, dict):
        hints = _hints(annotation)
        return annotation(**{name: _decoded(v, hints[name]) for name, v in cast("Json", value).items() if name in hints})
    if isinstance(value, list):
        items = cast("list[Any]", value)
        inner = get_args(annotation) if get_origin(annotation) is tuple else (Any,)
        return tuple(_decoded(v, inner[0]) for v in items)
    return float(value) if annotation is float else value


@cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind)


@cache
def _validator() -> Any:
    import jsonschema

    schema = json.loads(files("autosplitc.passes.planner").joinpath("problem.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _contradictions(problem: Problem) -> Iterator[str]:
    """Yield what is wrong with records that refer to each other."""
    for i, value in enumerate(problem.values):
        where = f"$.values[{i}]"
        yield from _beyond(f"{where}.group", (value.group,), len(problem.groups))
        yield from _beyond(f"{where}.alias_of", (value.alias_of,), len(problem.values))
    known = {i for i, value in enumerate(problem.values) if value.is_input}
    for i, op in enumerate(problem.ops):
        where = f"$.ops[{i}]"
        operands = (*op.inputs, *op.results)
        yield from _beyond(where, (o.value for o in operands), len(problem.values))
        yield from _beyond(where, (o.weight for o in operands), len(problem.weights))
        yield from _beyond(f"{where}.constants", op.constants, len(problem.constants), none=False)
        yield from _beyond(f"{where}.mac", op.mac, len(op.inputs))
        if len(op.traffic_ns) != len(operands):
            yield f"{where}.traffic_ns has {len(op.traffic_ns)} rows for {len(operands)} operands"
        early = next((v for v in op.reads if v not in known), None)
        if early is not None:
            yield f"{where} reads value {early} before it is made: ops stand in topological order"
        again = next((v for v in op.makes if v in known), None)
        if again is not None:
            yield f"{where} makes value {again}, which there is already"
        known.update(op.makes)


def _beyond(where: str, indices: Iterable[int], count: int, *, none: bool = True) -> Iterator[str]:
    yield from (f"{where}: there is no index {i}: there are {count}" for i in indices if not (0 <= i < count or (none and i == NONE)))
