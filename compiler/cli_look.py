"""Commands that only look: `inspect`, and what `--list-passes` prints."""

from __future__ import annotations

import json

import click

from autosplitc.passes import ALIASES, all_pass_names, pass_class

from .cli_flags import common, input_shape_flag
from .cli_output import watch_of
from .inspect_model import inspect_model, inspection_text
from .pass_options import describe, option_fields, print_value


@click.command("inspect", short_help="Show what a model holds and what crosses at every cut.")
@click.argument("model")
@input_shape_flag
@common
def inspect_command(model: str, input_shapes: tuple[tuple[str, tuple[int, ...]], ...], quiet: bool, verbose: bool, as_json: bool) -> int:
    """Show MODEL's inputs and outputs, the ops that are not understood, and the bytes that cross at every cut."""
    del verbose
    found = inspect_model(model, dict(input_shapes), watch_of(quiet=quiet))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else inspection_text(found))
    return 0


def passes_text() -> str:
    """Return the list of passes, each with its options, and of aliases."""
    lines: list[str] = []
    for name in all_pass_names():
        cls = pass_class(name)
        lines.append(f"{name:<20} {cls.summary}")
        needs, gives = (", ".join(f.name for f in facts) or "nothing" for facts in (cls.needs, cls.gives))
        lines.append(f"{'':<20}   needs {needs}; gives {gives}")
        for option, field in option_fields(cls).items():
            lines.append(f"{'':<20}   {option}={print_value(field.default)}  {describe(field.annotation)}")
    lines.append("")
    lines.extend(f"{alias:<20} = {','.join(parts)}" for alias, parts in ALIASES.items())
    return "\n".join(lines)

