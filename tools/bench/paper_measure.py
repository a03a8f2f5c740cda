"""What this compiler makes of the paper's networks, as plain records that a page is written from."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import autosplitc
from autosplitc.compare import Row, compare_model
from autosplitc.hooks import Watch
from autosplitc.ir import Module
from autosplitc.options import Options
from autosplitc.passes import Choice, Env, Front, Plan, Request, Solutions, Splits, pass_class
from autosplitc.passes.find_front import FindFront
from autosplitc.targets import load_target, parse_network

Json = dict[str, Any]

EDGE, NET = "eyeriss", "3mbps"
RATES_MBPS = (1, 3, 10, 20)
ERROR_LEVELS = 16
ANY_DROP = (1.0,)
"""With accuracy as the constraint no tensor has a limit of its own: any bits may be taken."""

BANDWIDTH_LIMIT = 0.4
"""Limit on the error at which rates are compared."""

BITS = (8, 4, 2, 1)
"""On the wire, at 8-bit weights and activations: Fig. 7."""


def network(name: str) -> Json:
    """Return the record of a network of the zoo."""
    started_s = time.perf_counter()
    module = autosplitc.compile(f"zoo:{name}", edge=EDGE, network=NET, passes="simplify,analyze").module
    chosen, found = planned(module)
    cloud_only_s = next(p.latency_s for p in found if p.kind == "cloud-only" and not p.codec)
    planned_s = time.perf_counter() - started_s
    record: Json = {
        "network": name,
        "ops": len(module.main.ops),
        "cloud_only_s": cloud_only_s,
        "plan_s": planned_s,
        "chosen": of_plan(chosen, cloud_only_s),
        "rates": [of_rate(module, rate) for rate in RATES_MBPS],
        "front": [of_plan(plan, cloud_only_s) for plan in front(module)],
    }
    edges = [p for p in found if p.kind == "edge-only"]
    if edges:
        half = min(p.ram_bytes for p in edges) // 2
        record["half_ram_bytes"] = half
        record["half"] = of_plan(planned(module, edge_ram_bytes=half)[0], cloud_only_s)
    record["rows"] = [of_row(row, cloud_only_s) for row in compare_model(f"zoo:{name}", Options(edge=EDGE, net=NET), Watch()).rows]
    record["seconds"] = time.perf_counter() - started_s
    record["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return record


def planned(module: Module, net: str = NET, **asked: Any) -> tuple[Plan, tuple[Plan, ...]]:
    """Return the chosen plan and all solutions of a module that was analysed, at another link or with other wishes."""
    request = replace(module.fact(Request), net=net, **asked)
    env = Env(load_target(request.edge), load_target(request.cloud), parse_network(net), seed=request.seed)
    again = module.with_fact(request)
    for name in ("enumerate-splits", "assign-bits", "choose-plan"):
        again = pass_class(name)().apply(again, env)
    plans = again.fact(Solutions).plans
    return plans[again.fact(Choice).index], plans


def front(module: Module) -> Sequence[Plan]:
    """Return the fastest plans over limits on the error, at the target's whole memory and any bits; the fastest first."""
    request = replace(module.fact(Request), max_drop=ANY_DROP)
    env = Env(load_target(request.edge), load_target(request.cloud), parse_network(request.net), seed=request.seed)
    again = module.with_fact(request)
    for name in ("enumerate-splits", "assign-bits"):
        again = pass_class(name)().apply(again, env)
    found = FindFront(error_levels=ERROR_LEVELS, memory_levels=1).apply(again, env).fact(Front)
    points = sorted(found.points, key=lambda plan: plan.latency_s)
    return [p for i, p in enumerate(points) if all(p.error < q.error for q in points[:i])]


def of_rate(module: Module, mbps: int) -> Json:
    """Return the decision at a rate: by default, and with any bits at `BANDWIDTH_LIMIT`."""
    net = f"{mbps}mbps"
    chosen, found = planned(module, net)
    cloud_only_s = next(p.latency_s for p in found if p.kind == "cloud-only" and not p.codec)
    loose, _ = planned(module, net, max_drop=ANY_DROP, max_error=BANDWIDTH_LIMIT)
    return {"mbps": mbps, "chosen": of_plan(chosen, cloud_only_s), "loose": of_plan(loose, cloud_only_s)}


def early_and_late() -> list[Json]:
    """Return Fig. 7: ResNet-50 at 8-bit weights and activations, cut early and late, with few bits on the wire."""
    module = autosplitc.compile("zoo:resnet50", edge=EDGE, network=NET, passes="simplify,analyze").module
    records: list[Json] = []
    for bits in BITS:
        widths: Json = {"weight_bits": (8,), "act_bits": (8,), "wire_bits": (bits,)}
        _, free = planned(module, **widths)
        cloud_only_s = next(p.latency_s for p in free if p.kind == "cloud-only" and not p.codec)
        for what, name in (("early", "layer2.1.relu"), ("late", "layer4.2.relu")):
            splits = [p for p in planned(module, cut=(name,), **widths)[1] if p.kind == "split"]
            records += [{"what": what, "bits": bits, **of_plan(plan, cloud_only_s)} for plan in splits[:1]]
    return records


def crossings(name: str) -> Json:
    """Return the elements of every tensor that crosses behind each op of a network: Tables 9 and 10."""
    module = autosplitc.compile(f"zoo:{name}", edge=EDGE, network=NET, passes="simplify,analyze").module
    splits, type_of = module.fact(Splits).splits, module.main.type_of
    crossing = {name for split in splits for name in split.crossing}
    sizes = {name: prod(size for size in type_of(name).shape or () if isinstance(size, int)) for name in crossing}
    cuts = [{"position": s.position, "after": s.after, "elements": [sizes[name] for name in s.crossing]} for s in splits]
    return {"network": name, "ops": len(module.main.ops), "cuts": cuts}


def of_plan(plan: Plan, cloud_only_s: float) -> Json:
    """Return a plan as a record."""
    return {
        "kind": plan.kind,
        "after": plan.after,
        "position": plan.position,
        "ratio": plan.latency_s / cloud_only_s,
        "edge_s": plan.edge_s,
        "link_s": plan.link_s,
        "cloud_s": plan.cloud_s,
        "payload_bytes": plan.payload_bytes,
        "storage_bytes": plan.storage_bytes,
        "ram_bytes": plan.ram_bytes,
        "error": plan.error,
        "proof": plan.proof,
        "feasible": plan.feasible,
    }


def of_row(row: Row, cloud_only_s: float) -> Json:
    """Return a strategy's row as a record."""
    return {
        "strategy": row.strategy,
        "kind": row.kind,
        "after": row.after,
        "ops": row.ops,
        "ratio": row.latency_s / cloud_only_s,
        "storage_bytes": row.storage_bytes,
        "ram_bytes": row.ram_bytes,
        "error": row.error,
        "why": row.why,
        "ours_ratio": None if row.ours_s is None else row.ours_s / cloud_only_s,
        "ours_proven": row.ours_proven,
    }
