"""Diagnostics: what is wrong, where, and what to type next.

A user's mistake is a `CompileError` that carries one or many `Diagnostic`s; it never ends in a traceback. Codes are documented in
docs/diagnostics.md; the first digit tells the area, the area gives the exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning", "note"]

EXIT_BAD_INPUT = 1
EXIT_USAGE = 2
EXIT_INFEASIBLE = 3
EXIT_VERIFICATION = 4
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

_EXIT_BY_AREA = {
    "1": EXIT_USAGE,
    "2": EXIT_BAD_INPUT,
    "3": EXIT_BAD_INPUT,
    "4": EXIT_BAD_INPUT,
    "5": EXIT_INFEASIBLE,
    "6": EXIT_BAD_INPUT,
    "7": EXIT_VERIFICATION,
    "9": EXIT_INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `code` is `AS` and three digits; `location` is free text such as `resnet.onnx: input "images"` or `dump.air:12:7`;
    `hint` is something that can be pasted into the next command.
    """

    code: str
    message: str
    location: str = ""
    notes: tuple[str, ...] = ()
    hint: str = ""
    severity: Severity = "error"

    def render(self) -> str:
        """Return the text that is shown on stderr, without a final newline."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.location:
            lines.append(f"  --> {self.location}")
        lines.extend(f"  note: {note}" for note in self.notes)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class CompileError(Exception):
    """Stops the compile with diagnostics for the user.

    `exit_code` follows the area of the first error's code unless it is given: 1 bad model or input, 2 usage, 3 no plan meets the
    constraints, 4 verification failed, 70 internal fault.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], *, exit_code: int | None = None) -> None:
        """Keep the diagnostics; at least one is needed."""
        self.diagnostics: tuple[Diagnostic, ...] = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        first = self.diagnostics[0]
        self.exit_code: int = exit_code if exit_code is not None else _EXIT_BY_AREA[first.code[2]]
        super().__init__("\n".join(d.render() for d in self.diagnostics))

    def at(self, location: str) -> CompileError:
        """Return the same error with `location` put in where a diagnostic has none."""
        located = (d if d.location else replace(d, location=location) for d in self.diagnostics)
        return CompileError(located, exit_code=self.exit_code)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint such as `did you mean "eyeriss"?`, or the list of what is known where nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return "known: " + ", ".join(names)
