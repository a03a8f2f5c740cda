"""The command line. `main` is the console script; every command is a thin layer over the driver."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from autosplitc.ir import CompileError, Diagnostic

from . import __version__
from .cli_errors import from_click, interrupted, report, unexpected
from .interrupts import remembered_interrupts

_COMMANDS = {
    "compile": "autosplitc.cli_compile:compile_command",
    "opt": "autosplitc.cli_compile:opt_command",
    "inspect": "autosplitc.cli_look:inspect_command",
    "sweep": "autosplitc.cli_sweep:sweep_command",
    "compare": "autosplitc.cli_compare:compare_command",
    "profile": "autosplitc.cli_profile:profile_command",
    "explain": "autosplitc.cli_explain:explain_command",
    "diff": "autosplitc.cli_explain:diff_command",
    "report": "autosplitc.cli_report:report_command",
    "verify": "autosplitc.cli_verify:verify_command",
    "serve": "autosplitc.cli_runtime:serve_command",
    "run": "autosplitc.cli_runtime:run_command",
    "export": "autosplitc.cli_runtime:export_command",
    "targets": "autosplitc.cli_targets:targets_command",
    "zoo": "autosplitc.zoo.cli:zoo",
    "bench": "autosplitc.bench.cli:bench",
}
"""Where the commands live; each is imported when it is called."""

_OWN_FLAGS = ("--help", "-h", "--version", "--list-passes", "--list-targets")


class Commands(click.Group):
    """All commands. A first word that is none of them is a model, and `compile` is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        return getattr(import_module(module), name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command's name in front where it was left out."""
        return super().parse_args(ctx, with_command(args))


def with_command(args: list[str]) -> list[str]:
    """Return the arguments with the command first. Raises CompileError (AS104) for a word that looks like a mistyped command."""
    first = next((i for i, arg in enumerate(args) if not arg.startswith("-")), None)
    if not args:
        return ["--help"]
    if args[0] in _OWN_FLAGS:
        return args
    if first is None or any(arg not in ("-q", "-v", "--quiet", "--verbose", "--json") for arg in args[:first]):
        return ["compile", *args]
    word = args[first]
    if word in _COMMANDS:
        return [word, *args[:first], *args[first + 1 :]]
    near = difflib.get_close_matches(word, _COMMANDS, n=1, cutoff=0.75)
    if near and not Path(word).exists():
        raise CompileError(Diagnostic("AS104", f"no such command or model: {word}", "command line", hint=f'did you mean "{near[0]}"?'))
    return ["compile", *args]


def _list_and_exit(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from . import cli_look, cli_targets

        click.echo(cli_look.passes_text() if param.name == "list_passes" else cli_targets.targets_text())
        ctx.exit()


_HELP = """Split a trained ONNX model between an edge device and a cloud, and pick the bits of every edge layer, jointly.

\b
autosplitc model.onnx -t eyeriss --net 3mbps -o out
autosplitc compile --help     all flags
"""


@click.group(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="autosplitc")
@click.option("--list-passes", is_flag=True, is_eager=True, expose_value=False, callback=_list_and_exit, help="List the passes.")
@click.option("--list-targets", is_flag=True, is_eager=True, expose_value=False, callback=_list_and_exit, help="List the targets.")
def app() -> None:
    """Hold the commands."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; whatever stops it is shown as diagnostics, never as a traceback."""
    args = list(sys.argv[1:] if argv is None else argv)
    verbose = any(arg in ("-v", "--verbose") for arg in args)
    with remembered_interrupts() as interrupts:
        try:
            return app.main(args, prog_name="autosplitc", standalone_mode=False, obj=interrupts) or 0
        except (click.Abort, KeyboardInterrupt):
            return report(interrupted(), verbose=verbose)
        except Exception as error:
            return report(interrupted() if interrupts.seen else _as_diagnostics(error), verbose=verbose)


def _as_diagnostics(error: Exception) -> CompileError:
    if isinstance(error, CompileError):
        return error
    return from_click(error) if isinstance(error, click.UsageError) else unexpected(error)
