"""The tables of a bundle: solutions.csv and layers.csv."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from autosplitc.ir import Graph, Module
from autosplitc.passes import Choice, Env, Layer, NamedBits, Plan, Solutions, crossing_of, edge_names, plan_layers

SOLUTION_COLUMNS = (
    "number",
    "chosen",
    "kind",
    "after",
    "position",
    "crossing",
    "latency_ms",
    "latency_p50_ms",
    "latency_p95_ms",
    "edge_ms",
    "link_ms",
    "cloud_ms",
    "edge_measured_ms",
    "cloud_measured_ms",
    "payload_bytes",
    "ram_bytes",
    "storage_bytes",
    "error",
    "weight_bits",
    "act_bits",
    "wire_bits",
    "proof",
    "gap",
    "feasible",
    "violations",
    "codec",
    "sent_bytes",
    "sent_p95_bytes",
)

LAYER_COLUMNS = (
    "node",
    "kind",
    "side",
    "weight_bits",
    "act_bits",
    "sqnr_db",
    "output_change",
    "latency_ms",
    "basis",
    "bound_by",
    "ram_bytes",
    "crossing_bytes",
)


def solutions_csv(module: Module) -> str:
    """Return every solution, numbered from 1 as `--pick` takes them. `error` is the sum over all tensors in the measure of `--sensitivity`.

    `position` is the number of ops on the edge, `after` the last of them, `crossing` the tensors that cross. Latencies are in ms, and
    predicted but for the parts that `edge_measured_ms` and `cloud_measured_ms` name (see docs/profile.md).
    """
    chosen = module.fact(Choice).index
    plans = module.fact(Solutions).plans
    return csv_text(SOLUTION_COLUMNS, (_solution(i, plan, i == chosen, module.main) for i, plan in enumerate(plans)))


def layers_csv(module: Module, env: Env) -> str:
    """Return every op of the simplified graph under the chosen plan; see `Layer` for the columns."""
    return csv_text(LAYER_COLUMNS, (_layer(layer) for layer in plan_layers(module, env)))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV with a heading and line feeds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def milliseconds(seconds: float) -> str:
    """Return seconds as ms, to the nanosecond."""
    return f"{seconds * 1e3:.6f}"


def bits_in_use(named: Iterable[NamedBits]) -> str:
    """Return how many tensors have how many bits, such as `3x4 2x6`."""
    counts = Counter(item.bits for item in named)
    return " ".join(f"{count}x{bits}" for bits, count in sorted(counts.items()))


def _solution(index: int, plan: Plan, chosen: bool, graph: Graph) -> tuple[object, ...]:
    return (
        index + 1,
        int(chosen),
        plan.kind,
        plan.after,
        plan.position,
        " ".join(crossing_of(graph, edge_names(graph, plan))),
        milliseconds(plan.latency_s),
        *(None if s is None else milliseconds(s) for s in (plan.latency_p50_s, plan.latency_p95_s)),
        *(milliseconds(s) for s in (plan.edge_s, plan.link_s, plan.cloud_s)),
        *(milliseconds(s) for s in (plan.edge_measured_s, plan.cloud_measured_s)),
        plan.payload_bytes,
        plan.ram_bytes,
        plan.storage_bytes,
        repr(plan.error),
        *(bits_in_use(bits) for bits in (plan.weight_bits, plan.act_bits, plan.wire_bits)),
        plan.proof,
        repr(plan.gap),
        int(plan.feasible),
        "; ".join(plan.violations),
        plan.codec,
        plan.payload_bytes if plan.sent_bytes is None else f"{plan.sent_bytes:.1f}",
        None if plan.sent_p95_bytes is None else f"{plan.sent_p95_bytes:.0f}",
    )


def _layer(layer: Layer) -> tuple[object, ...]:
    """Return a row; what does not apply is left empty."""
    return (
        layer.name,
        layer.kind,
        layer.side,
        layer.weight_bits,
        layer.act_bits,
        None if layer.sqnr_db is None else f"{layer.sqnr_db:.2f}",
        None if layer.output_change is None else f"{layer.output_change:.3g}",
        milliseconds(layer.latency_s),
        layer.basis,
        layer.bound_by,
        layer.ram_bytes,
        layer.crossing_bytes,
    )
