"""`autosplitc MODEL` and `autosplitc opt DUMP`: a thin layer over the driver."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from .cli_errors import missing_flag
from .cli_flags import PATH, common, data_flags, device_flags, input_shape_flag, like_flag, output_flags, pass_flags, plan_flags
from .cli_output import finish, watch_of
from .driver import compile_model, continue_dump, lowers, passes_of
from .like import options_like
from .options import Options


@click.command("compile", short_help="Split a model; the word may be left out.")
@click.argument("model")
@device_flags
@output_flags
@input_shape_flag
@data_flags
@plan_flags
@like_flag
@pass_flags
@common
@click.pass_context
def compile_command(ctx: click.Context, model: str, quiet: bool, verbose: bool, as_json: bool, time_passes: bool, **flags: Any) -> int:
    """Split MODEL, an ONNX file or zoo:NAME, between an edge device and a cloud, and write both graphs into a folder."""
    flags |= options_like(flags["like"], _given(ctx, flags))
    for name, flag in (("edge", "--edge"), ("net", "--net")):
        if not flags[name]:
            raise missing_flag(flag)
    options = _options(flags)
    result = compile_model(model, options, watch_of(quiet=quiet))
    return finish(result, quiet=quiet, as_json=as_json, times=verbose or time_passes)


@click.command("opt", short_help="Go on from a dump.")
@click.argument("dump", type=PATH)
@device_flags
@output_flags
@data_flags
@plan_flags
@pass_flags
@common
@click.pass_context
def opt_command(ctx: click.Context, dump: Path, quiet: bool, verbose: bool, as_json: bool, time_passes: bool, **flags: Any) -> int:
    """Run passes on DUMP, a module that --dump-ir wrote. Flags override the dump's request."""
    result = continue_dump(dump, _options(flags), _given(ctx, flags), watch_of(quiet=quiet))
    return finish(result, quiet=quiet, as_json=as_json, times=verbose or time_passes)


def _given(ctx: click.Context, flags: dict[str, Any]) -> set[str]:
    """Return the names of the flags that stand on the command line."""
    return {name for name in flags if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}


def _options(flags: dict[str, Any]) -> Options:
    """Return the options that the flags mean. Raises CompileError: AS101 where a bundle would be made and there is no `-o`."""
    known = {f.name for f in fields(Options)}
    values: dict[str, Any] = {"edge": "", "net": ""}
    values.update((name, value) for name, value in flags.items() if name in known and value is not None)
    values["passes"] = ",".join(flags["passes"]) or "all"
    options = Options(**values)
    if options.output is None and lowers(passes_of(options)):
        raise missing_flag("--output")
    return options
