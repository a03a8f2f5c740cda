"""The console summary: the decision, why, the latency in its three parts, what is sent, the memory, the checks, the alternatives.

Every figure says whether it was predicted or measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from autosplitc.passes import Choice, Costs, NamedBits, Plan, Request, Solutions, WireLayout, WireSizes, codec_of, size_text

from .front_table import front_lines
from .manifest import Json
from .result import Result
from .summary_accuracy import accuracy_lines, drop_text, measured_drops, summary_of_several
from .table_text import columns

HALF_NS = 0.5e-9
"""Latencies are whole nanoseconds; a difference of less is none."""

LISTED = 8
"""Solutions that the summary lists; solutions.csv has all."""


def summary(result: Result) -> str:
    """Return the summary of a result with a bundle; of several limits on the drop it is the table of them."""
    if result.by_drop:
        return summary_of_several(result)
    request, plan, manifest = result.module.fact(Request), result.best, result.manifest
    lines = [
        f"{request.source}   edge {request.edge}   cloud {request.cloud}   {request.net}",
        _decision(plan),
        f" latency   {_latency(plan, manifest)}",
        *([f" trace     {_over_trace(result, plan)}"] if plan.latency_p50_s is not None else []),
        *(f" profile   {text}" for text in (_interpolated(result.module.get(Costs)),) if text),
        f" sent      {_sent(result, plan)}",
        f" edge      {_edge(result, plan)}",
        f" quality   {_quality(result.measurements)}",
        *accuracy_lines(result),
        f" check     {_check(result.measurements['check'])}",
    ]
    if not manifest["calibrated"]:
        lines.append(" data      none: ranges come from seeded noise; give --calib before you trust the accuracy")
    lines.append(_solutions(result))
    seconds = next((t.seconds for t in result.timings if t.step == "find-front"), None)
    lines.extend(front_lines(result.module, seconds))
    lines.append(f" why       {result.module.fact(Choice).why}")
    lines.append(f" wrote     {result.folder}")
    return "\n".join(lines)


def _decision(plan: Plan) -> str:
    name = {"split": f'SPLIT after "{plan.after}"{plan.extent}', "cloud-only": "CLOUD-ONLY", "edge-only": "EDGE-ONLY"}[plan.kind]
    name += f" + {codec_of(plan.codec).title}" if plan.codec else ""
    at = "" if plan.latency_p50_s is None else " at a rate of the trace"
    proof = f"optimal{at}, proven" if plan.proof == "optimal" else f"feasible, at most {plan.gap:.1%} from the optimum{at}"
    return f"{name}   [{proof}]" + ("" if plan.feasible else "   [breaks a constraint]")


def _latency(plan: Plan, manifest: Json) -> str:
    cloud_only_s = manifest["predicted"]["cloud_only_latency_s"]
    ratio = f"; {plan.latency_s / cloud_only_s:.2f} x cloud-only" if cloud_only_s and plan.kind != "cloud-only" else ""
    if plan.edge_measured_s or plan.cloud_measured_s:
        edge, cloud = _labelled(plan.edge_s, plan.edge_measured_s), _labelled(plan.cloud_s, plan.cloud_measured_s)
        return f"{_ms(plan.latency_s)} ms = edge {edge} + link {_labelled(plan.link_s, 0)} + cloud {cloud}{ratio}"
    parts = f"edge {_ms(plan.edge_s)} + link {_ms(plan.link_s)} + cloud {_ms(plan.cloud_s)}"
    return f"{_ms(plan.latency_s)} ms = {parts}   predicted{ratio}"


def _labelled(seconds: float, measured_s: float) -> str:
    """Return a part of the latency with what it rests on; nothing takes no label."""
    if not seconds:
        return _ms(seconds)
    if not measured_s:
        return f"{_ms(seconds)} predicted"
    if seconds - measured_s < HALF_NS:
        return f"{_ms(seconds)} measured"
    return f"{_ms(seconds)} ({min(max(round(100 * measured_s / seconds), 1), 99)} % measured, rest predicted)"


def _interpolated(costs: Costs | None) -> str:
    """Return how many ops had to be interpolated on each side that was profiled; "" where none had."""
    ops = costs.ops if costs is not None else ()
    on_edge, in_cloud = [bool(op.edge_measured) for op in ops if op.edge_ok], [op.cloud_measured for op in ops]
    sides = ((on_edge, "on the edge"), (in_cloud, "in the cloud"))
    parts = [f"{held.count(False)} of {len(held)} ops {where}" for held, where in sides if any(held) and not all(held)]
    return f"{', '.join(parts)} are not in the profile: interpolated" if parts else ""


def _over_trace(result: Result, plan: Plan) -> str:
    p50, p95 = (_ms(seconds or 0.0) for seconds in (plan.latency_p50_s, plan.latency_p95_s))
    return f"p50 {p50} ms, p95 {p95} ms predicted over {result.module.fact(Solutions).trace}"


def _sent(result: Result, plan: Plan) -> str:
    tensors = result.module.fact(WireLayout).tensors
    if not tensors:
        return f"{plan.payload_bytes:,} B a sample: the result" if plan.payload_bytes else "nothing"
    types = ", ".join(f"{f'u{t.bits}' if t.bits else t.dtype}[{','.join(map(str, t.shape))}]" for t in tensors)
    if plan.codec:
        codec = codec_of(plan.codec).title
        p95 = f", 95 % no more than {plan.sent_p95_bytes:,.0f}" if plan.sent_p95_bytes is not None else ""
        return f"{plan.wire_bytes:,} B a sample as {codec}{p95}, measured on calibration{_coding(result, plan)}; of {types}"
    return f"{plan.payload_bytes:,} B a sample: {types}"


def _coding(result: Result, plan: Plan) -> str:
    """Return what a picture's codec takes; "" where that stands among packing."""
    sizes = result.module.get(WireSizes)
    found = next((s for s in sizes.sizes if s.codec == plan.codec), None) if sizes is not None and plan.kind == "cloud-only" else None
    return f"; encode {_ms(found.encode_s)} + decode {_ms(found.decode_s)} ms, measured here" if found is not None else ""


def _edge(result: Result, plan: Plan) -> str:
    limits = result.manifest["limits"]
    file_bytes = sum(f["bytes"] for f in result.manifest["graphs"]["edge"]["files"])
    ram = f"RAM {size_text(plan.ram_bytes)} of {size_text(limits['edge_ram_bytes'])} predicted"
    storage = f" of {size_text(limits['edge_storage_bytes'])}" if limits["edge_storage_bytes"] is not None else ""
    bits = ", ".join(part for part in (_bits("W", plan.weight_bits), _bits("A", plan.act_bits)) if part)
    return f"{ram}; file {size_text(file_bytes)}{storage}" + (f"; {bits}" if bits else "")


def _quality(measurements: Json) -> str:
    """Return what the emitted files do to the output: against labels where there are any, else against the float model."""
    quality, data, accuracy = measurements["quality"], measurements["data"], measurements.get("accuracy")
    if accuracy is not None:
        text = drop_text(accuracy)
        if accuracy["metric"] != "sqnr" and quality["sqnr_db"] is not None:
            text += f"; SQNR {quality['sqnr_db']:.1f} dB"
        return f"{text}   measured on the emitted files, {data['source']}, n = {accuracy['n']}"
    parts: list[str] = []
    if quality["top1"] is not None:
        top1, exact = quality["top1"], quality["top1"]["float"]["value"]
        low, high = top1["interval95"]
        parts.append(f"top-1 {top1['value']:.2%} ({100 * (top1['value'] - exact):+.2f} points), 95 % interval {low:.1%}..{high:.1%}")
    elif quality["agreement"] is not None:
        parts.append(f"top-1 agrees with the float model in {quality['agreement']['value']:.1%}")
    if quality["sqnr_db"] is not None:
        parts.append(f"SQNR {quality['sqnr_db']:.1f} dB")
    elif quality["outputs"] and all(output["exact"] for output in quality["outputs"]):
        parts.append("equal to the float model")
    return f"{'; '.join(parts) or 'no float output to compare'}   measured on the emitted files, {data['source']}, n = {data['samples']}"


def _check(check: Json) -> str:
    if not check["halves_equal_whole"]:
        return "the model gives other outputs every time: halves and whole cannot be compared"
    apart = check["max_relative_difference_at_level_all"]
    return "halves = whole, bit for bit" + (f"; at full optimisation {apart:.1e} apart" if apart else "")


def _bits(letter: str, named: Iterable[NamedBits]) -> str:
    counts = Counter(item.bits for item in named)
    return ", ".join(f"{count} x {letter}{bits}" for bits, count in sorted(counts.items()))


def _solutions(result: Result) -> str:
    plans = result.solutions
    chosen = result.module.fact(Choice).index
    drops = measured_drops(result.measurements.get("accuracy"))
    kept = sorted({*range(min(LISTED, len(plans))), chosen, *(plans.index(p) for p in _first_ends(plans))})
    traced = plans[chosen].latency_p50_s is not None
    latencies, measured = ("p50 ms", "p95 ms") if traced else ("ms",), ("drop",) if drops else ()
    rows: list[tuple[str, ...]] = [(" #", "plan", *latencies, "sent B", "RAM", *measured, "")]
    for i in kept:
        plan = plans[i]
        note = "; ".join(("chosen", *plan.violations) if i == chosen else plan.violations)
        latency_s = (plan.latency_p50_s, plan.latency_p95_s) if traced else (plan.latency_s,)
        figures = (*(_ms(s or 0.0) for s in latency_s), f"{plan.wire_bytes:,}", size_text(plan.ram_bytes))
        rows.append((f" {i + 1}", plan.title, *figures, *((drops.get(i + 1, ""),) if drops else ()), note))
    more = f"\n    {len(plans) - len(kept)} more in solutions.csv" if len(kept) < len(plans) else ""
    return columns(rows, right=frozenset({0, *range(2, len(rows[0]) - 1)})) + more


def _first_ends(plans: tuple[Plan, ...]) -> list[Plan]:
    """Return the first Edge-Only and the first Cloud-Only, as it is and compressed without loss."""
    ends = (("edge-only", False), ("cloud-only", False), ("cloud-only", True))
    found = (next((p for p in plans if p.kind == kind and not p.is_lossy and bool(p.codec) == coded), None) for kind, coded in ends)
    return [p for p in found if p is not None]


def _ms(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:,.1f}" if ms >= 10 or ms == 0 else f"{ms:.2f}" if ms >= 1 else f"{ms:.3f}"
