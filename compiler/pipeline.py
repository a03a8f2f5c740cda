"""Pipelines as text: `simplify,assign-bits{time-limit-s=30 bits=2,4}`, checked before anything runs.

Commas separate passes and aliases, options stand in braces with white space between, a value with blanks or braces in double quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from autosplitc.ir import CompileError, Diagnostic, Fact, did_you_mean
from autosplitc.passes import ALIASES, Pass, Request, all_pass_names, expand, pass_class, pass_names

from .pass_options import option_fields, parse_value, print_pass

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}]*')
_BLANK = re.compile(r"\s*")

SEARCH, FRONT = "assign-bits", "find-front"


@dataclass(frozen=True, slots=True)
class Option:
    """An option as written. `where` says where, for diagnostics."""

    name: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Item:
    """A pass or alias as written, with its options."""

    name: str
    options: tuple[Option, ...]
    where: str


def parse_pipeline(text: str, flag: str = "-p") -> tuple[Item, ...]:
    """Return the passes and aliases that a pipeline text writes. Raises CompileError (AS111) where it cannot be read."""
    items: list[Item] = []
    scanner = _Scanner(text, flag)
    while True:
        where = scanner.where()
        name = scanner.take(_NAME, "the name of a pass")
        options: list[Option] = []
        if scanner.skip("{"):
            while not scanner.skip("}"):
                option_where = scanner.where()
                key = scanner.take(_NAME, "an option or `}`")
                scanner.expect("=")
                value = scanner.take(_VALUE, "a value")
                options.append(Option(key, json.loads(value) if value.startswith('"') else value, option_where))
        items.append(Item(name, tuple(options), where))
        if scanner.at_end():
            return tuple(items)
        scanner.expect(",")


def parse_set(text: str) -> Item:
    """Return what `--set PASS.FIELD=V` writes. Raises CompileError (AS112) where it cannot be read."""
    head, equals, value = text.partition("=")
    name, dot, field = head.partition(".")
    where = f"--set {text}"
    if not (equals and dot and name and field):
        raise CompileError(Diagnostic("AS112", f"cannot read {text!r}", where, hint="--set assign-bits.time-limit-s=30"))
    return Item(name, (Option(field, value, where),), where)


def with_front(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return a pipeline that seeks the front behind every search for plans.

    Raises CompileError (AS116) where it seeks none. Names that nothing is called stay as they are.
    """
    whole = [replace(item, name=name) for item in items for name in ([item.name] if item.options else expand(item.name))]
    if FRONT in (item.name for item in whole):
        return tuple(whole)
    if SEARCH not in (item.name for item in whole):
        raise CompileError(Diagnostic("AS116", f"pass {SEARCH!r} does not run, behind which the front is sought", "--front"))
    behind = ((item, Item(FRONT, (), "--front")) if item.name == SEARCH else (item,) for item in whole)
    return tuple(item for group in behind for item in group)


def build_pipeline(
    items: Sequence[Item],
    drop: Iterable[str] = (),
    settings: Sequence[Item] = (),
    stop_after: str | None = None,
    dump_after: Iterable[str] = (),
) -> tuple[Pass, ...]:
    """Return the passes to run: `items` with aliases expanded, without `drop`, with `settings` applied, up to the first `stop_after`.

    `dump_after` is only checked: each must run.

    Raises CompileError with all that is wrong: AS110 unknown pass, AS113 unknown option, AS114 bad value, AS115 an alias with options,
    AS116 a setting, `stop_after` or `dump_after` for a pass that does not run.
    """
    found: list[Diagnostic] = []
    dropped: set[str] = set()
    for name in drop:
        found.extend(_unknown(name, f"-d {name}"))
        dropped.update(expand(name))
    wanted: list[Item] = []
    for item in items:
        problems = _unknown(item.name, item.where) or _options_of_alias(item)
        found.extend(problems)
        if not problems:
            wanted.extend(replace(item, name=name) for name in expand(item.name) if name not in dropped)
    names = [item.name for item in wanted]
    for setting in settings:
        found.extend(_absent(setting.name, setting.where, names))
        wanted = [replace(i, options=(*i.options, *setting.options)) if i.name == setting.name else i for i in wanted]
    for name in dump_after:
        found.extend(_absent(name, f"--dump-after {name}", names))
    if stop_after is not None:
        last = expand(stop_after)[-1]
        found.extend(_absent(last, f"--stop-after {stop_after}", names))
        wanted = wanted[: names.index(last) + 1] if last in names else wanted
    if any(d.code == "AS110" for d in found):
        raise CompileError(found)
    passes = [_instance(item, found) for item in wanted]
    if found:
        raise CompileError(found)
    return tuple(p for p in passes if p is not None)


def check_needs(passes: Sequence[Pass], given: Iterable[type[Fact]] = (Request,)) -> None:
    """Check that every fact a pass needs is there when its turn comes: `given` (what the module holds already) or made by an earlier pass.

    A pass that gives nothing rewrites the graph, which drops every fact but the request and those that it preserves.
    Raises CompileError (AS117) with everything that is missing.
    """
    known = set(given)
    dropped_by: dict[type[Fact], str] = {}
    found: list[Diagnostic] = []
    for index, pass_ in enumerate(passes):
        for need in pass_.needs:
            if need not in known:
                found.append(_missing(pass_, need, passes[:index], dropped_by.get(need)))
                known.add(need)
        if not pass_.gives:
            lost = known - {Request, *pass_.preserves}
            dropped_by.update(dict.fromkeys(lost, pass_.name))
            known -= lost
        known.update(pass_.gives)
    if found:
        raise CompileError(found)


def print_pipeline(passes: Sequence[Pass]) -> str:
    """Return the pipeline text that gives the same passes again."""
    return ",".join(print_pass(p) for p in passes)


def giver_of(fact: type[Fact]) -> str | None:
    """Return the first pass that gives a fact, or None."""
    return next((name for name in pass_names() if fact in pass_class(name).gives), None)


@dataclass(slots=True)
class _Scanner:
    """A place in a pipeline text."""

    text: str
    flag: str
    at: int = 0

    def where(self) -> str:
        self.at = self._next()
        return f"{self.flag} {self.text}: column {self.at + 1}"

    def take(self, pattern: re.Pattern[str], what: str) -> str:
        self.at = self._next()
        match = pattern.match(self.text, self.at)
        if match is None:
            raise self._error(what)
        self.at = match.end()
        return match.group()

    def skip(self, char: str) -> bool:
        start = self._next()
        if not self.text.startswith(char, start):
            return False
        self.at = start + 1
        return True

    def expect(self, char: str) -> None:
        if not self.skip(char):
            raise self._error(f"`{char}`")

    def at_end(self) -> bool:
        return self._next() == len(self.text)

    def _next(self) -> int:
        match = _BLANK.match(self.text, self.at)
        return match.end() if match else self.at

    def _error(self, what: str) -> CompileError:
        where = self.where()
        found = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
        message = f"cannot read the pipeline: expected {what}, found {found}"
        return CompileError(Diagnostic("AS111", message, where, hint="-p 'simplify,assign-bits{time-limit-s=30}'"))


def _unknown(name: str, where: str) -> list[Diagnostic]:
    if name in ALIASES or name in all_pass_names():
        return []
    return [Diagnostic("AS110", f"unknown pass {name!r}", where, hint=did_you_mean(name, (*all_pass_names(), *ALIASES)))]


def _options_of_alias(item: Item) -> list[Diagnostic]:
    if item.name not in ALIASES or not item.options:
        return []
    members = expand(item.name)
    hint = f"--set {members[0]}.{item.options[0].name}={item.options[0].text}"
    return [Diagnostic("AS115", f"alias {item.name!r} takes no options", item.where, (f"it stands for {', '.join(members)}",), hint)]


def _absent(name: str, where: str, names: Sequence[str]) -> list[Diagnostic]:
    """Return what is wrong with the name of a pass that must be among those that run."""
    if name in names:
        return []
    notes = (f"it runs {', '.join(names) or 'nothing'}",)
    return _unknown(name, where) or [Diagnostic("AS116", f"pass {name!r} is not in this pipeline", where, notes)]


def _instance(item: Item, found: list[Diagnostic]) -> Pass | None:
    """Return the pass with its options set; what is wrong with them goes to `found`."""
    cls = pass_class(item.name)
    fields = option_fields(cls)
    values: dict[str, object] = {}
    before = len(found)
    for option in item.options:
        field = fields.get(option.name)
        if field is None:
            hint = did_you_mean(option.name, fields) if fields else "it has no options"
            found.append(Diagnostic("AS113", f"pass {item.name!r} has no option {option.name!r}", option.where, hint=hint))
            continue
        try:
            values[field.field] = parse_value(option.text, field.annotation)
        except ValueError as error:
            message = f"bad value {option.text!r} for option {option.name!r} of pass {item.name!r}: {error}"
            found.append(Diagnostic("AS114", message, option.where))
    return cls(**values) if len(found) == before else None


def _missing(pass_: Pass, need: type[Fact], before: Sequence[Pass], dropped_by: str | None) -> Diagnostic:
    message = f"pass {pass_.name!r} needs fact {need.name!r}, which nothing gives before it"
    notes = (f"the module's own is dropped by {dropped_by!r}, which rewrites the graph",) if dropped_by else ()
    giver = giver_of(need)
    names = [p.name for p in before]
    hint = f"-p {','.join([*names, giver, pass_.name])}" if giver else ""
    return Diagnostic("AS117", message, hint=hint, notes=notes)

