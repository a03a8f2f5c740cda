"""`autosplitc bench link`: the link's own figures; alone it prints packing, round trips and load, which take some minutes."""

from __future__ import annotations

from importlib import import_module

import click

_PARTS = ("fuzz", "load", "packing", "roundtrip", "soak")
"""Each is the command of that name in `link_NAME.py`."""

_SHORT = ("packing", "roundtrip", "load")


class Parts(click.Group):
    """The parts, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        del ctx
        return list(_PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one, imported now."""
        del ctx
        return _part(cmd_name) if cmd_name in _PARTS else None


def _part(name: str) -> click.Command:
    return getattr(import_module(f"autosplitc.bench.link_{name}"), name)


@click.group(cls=Parts, invoke_without_command=True)
@click.pass_context
def link(context: click.Context) -> None:
    """Measure the link: packing, round trips, load, faults."""
    if context.invoked_subcommand is not None:
        return
    for name in _SHORT:
        click.echo(f"== {name}")
        context.invoke(_part(name))


if __name__ == "__main__":
    link()
