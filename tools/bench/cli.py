"""`autosplitc bench NAME`: the benchmarks. Each also runs by itself as `python -m autosplitc.bench.NAME`."""

from __future__ import annotations

from importlib import import_module

import click

_BENCHMARKS = {
    "accuracy": "accuracy",
    "costs": "costs",
    "e2e": "e2e",
    "exact": "exact",
    "exhaustive": "exhaustive",
    "front": "front",
    "growth": "growth",
    "link": "link",
    "measured": "measured",
    "models": "models",
    "paper": "paper",
    "plates": "plates",
    "report": "report",
    "resnet50": "resnet50",
    "scalesim": "scalesim",
    "startup": "startup",
    "strategies": "strategies",
    "wire": "wire",
}
"""Module of each; its command has the same name."""


class Benchmarks(click.Group):
    """The benchmarks, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        del ctx
        return sorted(_BENCHMARKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one, imported now."""
        del ctx
        module = _BENCHMARKS.get(cmd_name)
        return getattr(import_module(f"autosplitc.bench.{module}"), cmd_name) if module else None


@click.group("bench", cls=Benchmarks)
def bench() -> None:
    """Measure the compiler itself."""
