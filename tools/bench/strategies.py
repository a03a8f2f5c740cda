"""Ours beside every baseline under one cost model, over models, rates and memories: never slower at the same error, and by how much faster.

Run with `autosplitc bench strategies [MODEL ...]`. All figures are predicted; ranges come from seeded noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import click

from autosplitc.compare import Comparison, Row, compare_model
from autosplitc.hooks import Watch
from autosplitc.options import Options

from .table import table

MODELS = ("zoo:fashion", "zoo:resnet18", "zoo:googlenet", "zoo:mnasnet", "zoo:resnet50", "zoo:light-squeezenet")
NETS = ("1mbps", "3mbps", "10mbps")
MEMORIES = (None, 2_000_000)


@click.command()
@click.argument("models", nargs=-1)
def strategies(models: Sequence[str]) -> None:
    """Print in how many cases ours is at least as fast as each baseline with no more error, and how much faster."""
    cases = [(name, net, memory) for name in models or MODELS for net in NETS for memory in MEMORIES]
    found: list[Comparison] = []
    for name, net, memory in cases:
        options = Options(edge="eyeriss", net=net, edge_ram_bytes=memory)
        comparison = compare_model(name, options, Watch())
        found.append(comparison)
        best = comparison.rows[-1]
        click.echo(f"{name}, {net}, RAM {memory or 'of the target'}: ours {best.kind}, {best.latency_s * 1e3:.4g} ms", err=True)
    names = dict.fromkeys(row.strategy for comparison in found for row in comparison.rows[:-1])
    heading = ("against", "cases", "within limits", "ours <=", "ours <", "median ratio", "best ratio")
    click.echo(table(heading, list(_summaries(found, names))))


def _summaries(found: Sequence[Comparison], names: Sequence[str] | dict[str, None]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each baseline; a float one is compared with our plan as it is, since ours has no float edge."""
    for name in names:
        pairs = [(row, _ours(row, comparison)) for comparison in found for row in comparison.rows if row.strategy == name]
        fitting = [(row.latency_s, ours_s) for row, ours_s in pairs if not row.why and ours_s is not None]
        ratios = sorted(ours_s / theirs_s for theirs_s, ours_s in fitting if theirs_s)
        no_slower = sum(ours_s <= theirs_s + 0.5e-9 for theirs_s, ours_s in fitting)
        faster = sum(ours_s < theirs_s - 0.5e-9 for theirs_s, ours_s in fitting)
        figures = (f"{median(ratios):.3f}", f"{ratios[0]:.3f}") if ratios else ("-", "-")
        yield name, str(len(pairs)), str(len(fitting)), str(no_slower), str(faster), *figures


def _ours(row: Row, comparison: Comparison) -> float | None:
    return comparison.rows[-1].latency_s if row.error is None else row.ours_s
