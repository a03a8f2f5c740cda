"""A systolic target from a configuration of SCALE-Sim: v1 (`IfmapSramSz`) or v2 and v3 (`IfmapSramSzkB`).

A configuration has the array, the dataflow and the buffers (kB of 1024 words, a word is one byte), and with `InterfaceBandwidth: USER` the
off-chip rate in words a cycle. It has no clock and no size of the memory, and no rate otherwise: those have to be given as options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic

from .options import FROM_OPTION, build, read_options
from .systolic import SystolicTarget
from .target import Target

_SECTION = re.compile(r"\s*\[([^\]]*)\]\s*")
_PAIR = re.compile(r"\s*([^\s:=\[][^:=]*?)\s*[:=]\s*(.*?)\s*")
_COUNT = re.compile(r"[0-9]{1,9}")
_BUFFERS = {"IfmapSramSz": "input", "FilterSramSz": "weight", "OfmapSramSz": "output"}
_HARDWARE, _RUN = "architecture_presets", "run_presets"
_BYTES_A_KB = 1024
_REFUSED = {"SparsitySupport": "sparse products", "UseRamulatorTrace": "traces of Ramulator"}
"""Switches for what the systolic model does not have."""


@dataclass(frozen=True, slots=True)
class _Entry:
    value: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class _Config:
    """What a file says: entries by section and key, keys in lower case, and the lines of the sections' headers."""

    file: str
    entries: Mapping[tuple[str, str], _Entry]
    headers: Mapping[str, int]

    def find(self, section: str, key: str) -> _Entry | None:
        """Return the entry of a key; case does not matter in keys."""
        return self.entries.get((section, key.lower()))

    def missing(self, section: str, key: str, example: str) -> Diagnostic:
        """Return the diagnostic for a key that is not there."""
        place = f"{self.file}:{self.headers.get(section, 1)}:1"
        return Diagnostic("AS433", f"{key} is missing", place, hint=f"{key} : {example} in [{section}]")

    def wrong(self, entry: _Entry, key: str, wanted: str, example: str) -> Diagnostic:
        """Return the diagnostic for a value that is none of those wanted."""
        place = f"{self.file}:{entry.line}:{entry.column}"
        return Diagnostic("AS434", f"{key} is {entry.value!r}, not {wanted}", place, hint=f"{key} : {example}")


def read_cfg_target(text: str, file: str, options: str = "", spelled: str = "") -> Target:
    """Return the target of a configuration and the options given with it, `spelled` so on the command line; `file` is its path.

    Raises CompileError: AS431, AS433, AS434 with line and column for what is wrong in the file, AS414 or AS402 (exit 2) for a bad option,
    AS438 (exit 2) where options lack what the file does not say.
    """
    config = _parse(text, file)
    found, problems = _fields(config)
    if problems:
        raise CompileError(problems)
    given = read_options(SystolicTarget, options, spelled, found["name"]) if options else {}
    words = found.pop("words")
    lacking = [
        example
        for field, example in (("clock_hz", "clock=700MHz"), ("bandwidth_bytes_per_s", "bandwidth=13GB/s"), ("ram_bytes", "ram=16GiB"))
        if field not in given and not (field == "bandwidth_bytes_per_s" and words)
    ]
    if lacking:
        raise CompileError(_too_little(config, lacking, options), exit_code=EXIT_USAGE)
    fields: dict[str, Any] = {**found, **given, "name": f"{found['name']}:{options}" if options else found["name"]}
    if words:
        fields.setdefault("bandwidth_bytes_per_s", words * fields["clock_hz"])
    fields.setdefault("vector_bytes_per_s", fields["cols"] * fields["clock_hz"])
    fields |= _described(config, fields, given, words)
    return build(lambda: SystolicTarget(**fields), spelled or file, fields["name"])


def _too_little(config: _Config, lacking: list[str], options: str) -> Diagnostic:
    """Return the diagnostic for what neither file nor options say; `lacking` are options with figures as examples."""
    names = [f"no {example.partition('=')[0]}" for example in lacking]
    message = f"a configuration of SCALE-Sim has {', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]}: give it as an option"
    notes = ["the figures in the hint are examples"]
    if "no bandwidth" in names and config.find(_HARDWARE, "Bandwidth"):
        notes.insert(0, "InterfaceBandwidth is not USER, so its Bandwidth does not count")
    hint = f"-t {config.file}:{','.join([*([options] if options else []), *lacking])}"
    return Diagnostic("AS438", message, config.file, tuple(notes), hint)


def _parse(text: str, file: str) -> _Config:
    """Return the entries of a file. Raises CompileError (AS431) with every line that is neither header, entry nor comment."""
    entries: dict[tuple[str, str], _Entry] = {}
    headers: dict[str, int] = {}
    problems: list[Diagnostic] = []
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        header, pair = _SECTION.fullmatch(line), _PAIR.fullmatch(line)
        place = f"{file}:{number}:{len(line) - len(line.lstrip()) + 1}"
        if header:
            section = header[1].strip()
            headers.setdefault(section, number)
        elif pair is None or not section:
            hint = "ArrayHeight : 12, in [architecture_presets]"
            problems.append(Diagnostic("AS431", "no configuration of SCALE-Sim: neither [section] nor key : value", place, hint=hint))
        elif (section, pair[1].lower()) in entries:
            problems.append(Diagnostic("AS431", f"{pair[1]} is given twice", place, hint="give it once"))
        else:
            entries[section, pair[1].lower()] = _Entry(pair[2], number, pair.start(2) + 1)
    if problems:
        raise CompileError(problems)
    return _Config(file, entries, headers)


def _fields(config: _Config) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return what the file says as fields of the target, with `words` a cycle (None where it does not say), and what is wrong."""
    name = config.find("general", "run_name")
    spelled_in_kb = any(config.find(_HARDWARE, f"{key}kB") for key in _BUFFERS) or not any(config.find(_HARDWARE, key) for key in _BUFFERS)
    found: dict[str, Any] = {
        "name": (name.value.strip("\"' ") if name else "") or "scalesim",
        "cycles": "scalesim-v3" if spelled_in_kb else "scalesim-v1",
    }
    problems: list[Diagnostic] = []
    sizes = [(f"{key}kB" if spelled_in_kb else key, f"{buffer}_buffer_bytes", _BYTES_A_KB, "108") for key, buffer in _BUFFERS.items()]
    for key, field, factor, example in [("ArrayHeight", "rows", 1, "12"), ("ArrayWidth", "cols", 1, "14"), *sizes]:
        entry = config.find(_HARDWARE, key)
        if entry is None:
            problems.append(config.missing(_HARDWARE, key, example))
        elif not _is_count(entry.value):
            problems.append(config.wrong(entry, key, "a whole number above zero", example))
        else:
            found[field] = int(entry.value) * factor
    dataflow = config.find(_HARDWARE, "Dataflow")
    if dataflow is None:
        problems.append(config.missing(_HARDWARE, "Dataflow", "ws"))
    elif dataflow.value not in ("os", "ws", "is"):
        problems.append(config.wrong(dataflow, "Dataflow", "os, ws or is", "ws"))
    else:
        found["dataflow"] = dataflow.value
    found["words"], wrong = _words(config)
    return found, [*problems, *wrong, *_refused(config)]


def _words(config: _Config) -> tuple[int | None, list[Diagnostic]]:
    """Return the words a cycle that the file gives, None where they are calculated."""
    mode = config.find(_RUN, "InterfaceBandwidth")
    if mode is None or mode.value == "CALC":
        return None, []
    if mode.value != "USER":
        return None, [config.wrong(mode, "InterfaceBandwidth", "USER or CALC", "USER")]
    entry = config.find(_HARDWARE, "Bandwidth")
    if entry is None:
        return None, [config.missing(_HARDWARE, "Bandwidth", "10")]
    several = {word.strip() for word in entry.value.split(",")}
    if len(several) != 1 or not all(_is_count(word) for word in several):
        return None, [config.wrong(entry, "Bandwidth", "one whole number above zero", "10")]
    return int(several.pop()), []


def _refused(config: _Config) -> Iterator[Diagnostic]:
    for (_, key), entry in config.entries.items():
        name = next((name for name in _REFUSED if name.lower() == key), "")
        if name and entry.value.lower() == "true":
            place = f"{config.file}:{entry.line}:{entry.column}"
            yield Diagnostic("AS434", f"{name} is true, but the systolic model has no {_REFUSED[name]}", place, hint=f"{name} : False")


def _is_count(text: str) -> bool:
    return bool(_COUNT.fullmatch(text)) and int(text) > 0


def _described(config: _Config, fields: Mapping[str, Any], given: Iterable[str], words: int | None) -> dict[str, Any]:
    """Return source and sources: what the file says, what options say, and what is derived or assumed."""
    file = re.split(r"[\\/]", config.file)[-1]
    kb = "kB" if fields["cycles"] == "scalesim-v3" else ""
    said = {
        "compute.array": (("rows", "cols"), f"{file}: ArrayHeight, ArrayWidth"),
        "compute.dataflow": (("dataflow",), f"{file}: Dataflow"),
        "compute.cycles": (("cycles",), f"{file}: a configuration of SCALE-Sim {'v2 or v3' if kb else 'v1'}"),
        "compute.clock": (("clock_hz",), ""),
        "compute.vector": (("vector_bytes_per_s",), "derived: one byte a column and cycle, what the array puts out"),
        "memory.ram": (("ram_bytes",), ""),
        "memory.bandwidth": (("bandwidth_bytes_per_s",), f"{file}: Bandwidth {words} words a cycle; a word is one byte" if words else ""),
        **{
            f"memory.buffers.{buffer}": ((f"{buffer}_buffer_bytes",), f"{file}: {key}{kb}, of 1024 words; a word is one byte")
            for key, buffer in _BUFFERS.items()
        },
    }
    optional = set(given)
    sources = tuple((key, FROM_OPTION if optional & set(names) else source) for key, (names, source) in said.items())
    vector = "" if "vector_bytes_per_s" in optional else "vector rate derived: one byte a column and cycle; "
    return {
        "source": f"SCALE-Sim configuration {file}; a word is one byte; {vector}all else as the systolic model has it without a figure",
        "sources": sources,
    }
