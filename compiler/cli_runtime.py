"""`autosplitc serve`, `run` and `export`: the runtime's own command line, which defines the flags."""

from __future__ import annotations

from collections.abc import Callable

import click

from autosplitc.ir import CompileError, Diagnostic

_PASS_ON: dict[str, object] = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


def _handed_on(name: str, short_help: str) -> Callable[[tuple[str, ...]], int]:
    """Return a command that hands its arguments on as they are."""

    @click.command(name, short_help=short_help, context_settings=_PASS_ON, add_help_option=False)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def command(words: tuple[str, ...]) -> int:
        return run_runtime((name, *words))

    return command


def run_runtime(words: tuple[str, ...]) -> int:
    """Run a command of the runtime and return its exit code. Raises CompileError for what the runtime raises (AS8xx)."""
    from autosplitc.runtime.cli import run
    from autosplitc.runtime.errors import LinkError

    try:
        return run(words, "autosplitc")
    except LinkError as error:
        found = Diagnostic(error.code, error.message, error.where, hint=error.hint)
        raise CompileError(found, exit_code=error.exit_code) from error


serve_command = _handed_on("serve", "Serve the cloud half of a bundle.")
run_command = _handed_on("run", "Run inputs through the edge half and a server.")
export_command = _handed_on("export", "Write a bundle for Triton, or a kit for the device.")
