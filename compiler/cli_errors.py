"""Whatever stops a command, shown as diagnostics on stderr, with the exit code that belongs to it."""

from __future__ import annotations

import traceback

import click

from autosplitc.ir import EXIT_INTERNAL, EXIT_INTERRUPTED, CompileError, Diagnostic, did_you_mean

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_EXAMPLES = {
    "MODEL": "autosplitc model.onnx -t eyeriss --net 3mbps -o out",
    "DUMP": "autosplitc opt out/ir/09-enumerate-splits.air -p plan,lower -o again",
    "--edge": "-t eyeriss",
    "--net": "--net 3mbps",
    "--output": "-o out",
    "--kit": "--kit kit",
}


def show(diagnostic: Diagnostic) -> None:
    """Write a diagnostic to stderr; its severity is coloured on a terminal."""
    head, line, rest = diagnostic.render().partition("\n")
    severity, colon, message = head.partition(":")
    click.echo(click.style(severity, fg=_COLOURS[diagnostic.severity], bold=True) + colon + message + line + rest, err=True)


def report(error: CompileError, *, verbose: bool) -> int:
    """Show all diagnostics of an error, and where an internal fault happened if that is wanted; return the exit code."""
    if verbose and error.exit_code == EXIT_INTERNAL and error.__cause__ is not None:
        click.echo("".join(traceback.format_exception(error.__cause__)), err=True, nl=False)
    for diagnostic in error.diagnostics:
        show(diagnostic)
    return error.exit_code


def missing_flag(flag: str) -> CompileError:
    """Return the error for a flag or argument that the command cannot do without."""
    return CompileError(Diagnostic("AS101", f"missing {flag}", "command line", hint=_EXAMPLES.get(flag, "")))


def from_click(error: click.UsageError) -> CompileError:
    """Return our error for what click found wrong with the command line."""
    where = "command line"
    if isinstance(error, click.NoSuchOption):
        known = [name for p in (error.ctx.command.params if error.ctx else ()) for name in p.opts if name.startswith("--")]
        hint = did_you_mean(error.option_name, error.possibilities or known)
        return CompileError(Diagnostic("AS100", f"no such option: {error.option_name}", where, hint=hint if "did you" in hint else ""))
    if isinstance(error, click.MissingParameter):
        name = error.param.human_readable_name if isinstance(error.param, click.Argument) else error.param.opts[-1] if error.param else "?"
        return missing_flag(name)
    if isinstance(error, click.BadParameter):
        return CompileError(Diagnostic("AS103", error.message.rstrip("."), error.param.opts[-1] if error.param else where))
    return CompileError(Diagnostic("AS102", error.message.rstrip("."), where, hint=_help_of(error)))


def interrupted() -> CompileError:
    """Return the error for Ctrl-C."""
    return CompileError(Diagnostic("AS190", "interrupted; no bundle was written"), exit_code=EXIT_INTERRUPTED)


def unexpected(error: Exception) -> CompileError:
    """Return the error for a fault of ours outside any pass."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    note = f"{place.filename}:{place.lineno} in {place.name}"
    found = CompileError(Diagnostic("AS900", f"internal fault: {type(error).__name__}: {error}", notes=(note,), hint="-v shows where"))
    found.__cause__ = error
    return found


def _help_of(error: click.UsageError) -> str:
    return f"{error.ctx.command_path} --help" if error.ctx else "autosplitc --help"
