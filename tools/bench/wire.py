"""ResNet-50 at 8-bit weights and activations, with 8, 4, 2 and 1 bits on the wire, beside the paper's figures 5 and 7.

Run with `python -m autosplitc.bench.wire`. The paper is A. Banitalebi-Dehkordi et al., "Auto-Split: A General Framework of Collaborative
Edge-Cloud AI", KDD 2021. Its early split is "index 12" with an edge model of 0.9 MB, its late one "index 53" with 50 MB at 16 bits. An edge
part of as many weights ends at the second block of the second stage, and the late one at the last block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import click

import autosplitc
from autosplitc.ir import Module
from autosplitc.passes import Choice, Env, Plan, Request, Solutions, pass_class
from autosplitc.targets import load_target, parse_network

from .table import table

MODEL = "zoo:light-resnet50"
NETWORK = "3mbps"
WIRE_BITS = (8, 4, 2, 1)
EARLY_BLOCK, LATE_BLOCK = 4, 15
"""Residual blocks, counted from 0, after which the paper's splits lie: 3 + 2 of 3, 4, 6, 3, and the last."""
PAPER = (
    "Fig. 5, ResNet-50, latency against Cloud-Only at accuracy drops of 0 / 1 / 5 / 10 %: 100 / 57 / 43 / 43 %",
    "Fig. 7, W8A8-T1: the early split is 7 % faster than the late one, and its edge model 20 times smaller",
    "Fig. 7, W16A16-T16 and W8A8-T8: the late split is the faster one; it sends about a third",
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A plan with its latency as a part of Cloud-Only's."""

    what: str
    plan: Plan
    ratio: float


@click.command()
def wire() -> None:
    """Plan zoo:light-resnet50 at W8A8 with 8, 4, 2 and 1 bits on the wire; latencies are predicted, against Cloud-Only."""
    module = autosplitc.compile(MODEL, network=NETWORK, passes="simplify,analyze").module
    blocks = [op.name for op in module.main.ops if op.kind == "add"]
    rows: list[tuple[str, ...]] = []
    for bits in WIRE_BITS:
        free = plans(module, bits, ())
        cloud_only_s = min(plan.latency_s for plan in free if plan.kind == "cloud-only")
        splits = [plan for plan in free if plan.kind == "split"]
        found = [Cut("chosen", free[0], free[0].latency_s / cloud_only_s)]
        if splits:
            found.append(Cut("best split", splits[0], splits[0].latency_s / cloud_only_s))
        for what, block in (("early", EARLY_BLOCK), ("late", LATE_BLOCK)):
            forced = [plan for plan in plans(module, bits, (blocks[block],)) if plan.kind == "split"]
            found += [Cut(what, plan, plan.latency_s / cloud_only_s) for plan in forced[:1]]
        rows += [(f"W8A8-T{bits} {cut.what}", *_cells(cut)) for cut in found]
    heading = ("", "decision", "sent B", "edge MB", "edge ms", "link ms", "cloud ms", "sum ms", "x cloud-only")
    click.echo(table(heading, rows))
    click.echo()
    for line in PAPER:
        click.echo(f"paper: {line}")


def plans(module: Module, wire_bits: int, cut: tuple[str, ...]) -> tuple[Plan, ...]:
    """Return the solutions, the fastest first, at 8-bit weights and activations and `wire_bits` on the wire; `cut`: what must cross."""
    request = replace(module.fact(Request), weight_bits=(8,), act_bits=(8,), wire_bits=(wire_bits,), cut=cut)
    env = Env(load_target(request.edge), load_target(request.cloud), parse_network(request.net), seed=request.seed)
    planned = module.with_fact(request)
    for name in ("assign-bits", "choose-plan"):
        planned = pass_class(name)().apply(planned, env)
    found = planned.fact(Solutions).plans
    chosen = found[planned.fact(Choice).index]
    return (chosen, *(plan for plan in found if plan is not chosen))


def _cells(cut: Cut) -> tuple[str, ...]:
    plan = cut.plan
    name = f"split {plan.after}{plan.extent}" if plan.kind == "split" else plan.kind
    times = (plan.edge_s, plan.link_s, plan.cloud_s, plan.latency_s)
    return (name, f"{plan.payload_bytes:,}", f"{plan.storage_bytes / 1e6:.2f}", *(f"{s * 1e3:.1f}" for s in times), f"{cut.ratio:.3f}")


if __name__ == "__main__":
    wire()
