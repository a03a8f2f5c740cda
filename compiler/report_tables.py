"""Tables of a report: the decision, all plans, all layers, the options."""

from __future__ import annotations

from .report_data import Bundle, LayerRow, PlanRow
from .report_html import Html, bytes_text, error_text, joined, ms_text, rate_text, table, tag
from .report_options import command_line, option_text
from .report_rates import link_of


def decision_table(bundle: Bundle) -> Html:
    """Return the facts of the decision, each with what it rests on."""
    manifest, plan = bundle.manifest, bundle.chosen
    decision, predicted, limits, graphs = manifest["decision"], manifest["predicted"], manifest["limits"], manifest["graphs"]
    link = link_of(bundle.problem)
    tensors = ", ".join(
        f"{t['name']}: {str(t['bits']) + ' bits' if t['bits'] else t['dtype']} [{', '.join(map(str, t['shape']))}]"
        for t in manifest["wire"]["tensors"]
    )
    rows = [
        ("Decision", f"{decision['kind']}{', after ' + decision['after'] if decision['kind'] == 'split' else ''}", "decided"),
        (
            "Proof",
            "optimal" if decision["proof"] == "optimal" else f"feasible, gap {decision['gap']:.1%}",
            "proven" if decision["proof"] == "optimal" else "bounded",
        ),
        ("Link", manifest["options"]["net"] + (f", {rate_text(link.rate_bps)}" if link else ""), "given"),
        ("Crossing tensors", tensors or "none", "decided"),
        ("Bytes a sample", f"{manifest['wire']['bytes_per_sample']:,} B", "exact"),
        *(
            [
                (
                    "Latency",
                    _parts(plan),
                    _basis(plan),
                )
            ]
            if plan
            else []
        ),
        *([("95 % of messages within", ms_text(plan.p95_ms), "predicted")] if plan and plan.p95_ms is not None else []),
        ("RAM on the edge", _of(predicted["edge_ram_bytes"], limits["edge_ram_bytes"]), "predicted"),
        (
            "Storage on the edge",
            _of(predicted["edge_storage_bytes"], limits["edge_storage_bytes"]),
            "predicted",
        ),
        *((f"File {record['file']}", bytes_text(sum(f["bytes"] for f in record["files"])), "measured") for record in graphs.values()),
        ("Error summed over tensors", error_text(predicted["error"]) if predicted["error"] is not None else "not finite", "predicted"),
        *_quality_rows(bundle),
    ]
    return joined((table(("fact", "figure", "which is"), rows), tag("p", "Why: ", decision["why"], ".")))


def solutions_table(bundle: Bundle) -> Html:
    """Return every plan that was found."""
    marked = next((i for i, plan in enumerate(bundle.plans) if plan.chosen), -1)
    measured = any(plan.drop is not None for plan in bundle.plans)
    heads = (
        "#",
        "plan",
        "latency",
        "edge",
        "link",
        "cloud",
        "sent",
        "RAM",
        "file",
        "error",
        *(("lost (measured)",) if measured else ()),
        "bits: weights | results | wire",
        "note",
    )
    return table(
        heads,
        (_plan_cells(plan, measured) for plan in bundle.plans),
        right=frozenset(range(2, 11 if measured else 10)) | {0},
        marked=marked,
    )


def layers_table(bundle: Bundle) -> Html:
    """Return every layer under the chosen plan."""
    heads = ("layer", "kind", "side", "weight bits", "result bits", "SNR, dB", "changes output by", "ms", "basis", "bound by", "RAM")
    return table(heads, map(_layer_cells, bundle.layers), right=frozenset({3, 4, 5, 6, 7, 10}))


def options_table(bundle: Bundle) -> Html:
    """Return the command that makes the bundle again, and every option."""
    manifest = bundle.manifest
    rows = [(name, option_text(value)) for name, value in manifest["options"].items()]
    source = f"{manifest['source']['name']}, sha256 {manifest['source']['sha256']}"
    folded = tag("details", tag("summary", "All options"), table(("option", "value"), rows))
    return joined((tag("pre", command_line(manifest), tabindex="0"), tag("p", f"Model: {source}"), folded))


def _of(used: int, limit: int | None) -> str:
    return f"{bytes_text(used)}{', no limit' if limit is None else f' of {bytes_text(limit)}'}"


def _basis(plan: PlanRow) -> str:
    return "partly measured" if plan.measured_ms else "predicted"


def _quality_rows(bundle: Bundle) -> list[tuple[str, str, str]]:
    if bundle.measurements is None:
        return []
    quality, data = bundle.measurements["quality"], bundle.measurements["data"]
    label = f"measured on {data['source']}, n = {data['samples']:,}"
    rows: list[tuple[str, str, str]] = []
    if quality["top1"] is not None:
        top1 = quality["top1"]
        low, high = top1["interval95"]
        rows.append(("Top-1 accuracy", f"{top1['value']:.2%} ({low:.1%} to {high:.1%}); original {top1['float']['value']:.2%}", label))
    if quality["agreement"] is not None:
        rows.append(("Same class as the original", f"{quality['agreement']['value']:.2%}", label))
    if quality["sqnr_db"] is not None:
        rows.append(("Signal to noise at the output", f"{quality['sqnr_db']:.1f} dB", label))
    return rows


def _plan_cells(plan: PlanRow, measured: bool) -> tuple[str, ...]:
    drop = plan.drop
    lost = "" if drop is None else f"{100 * drop.drop:.2f} %{'' if drop.complete else ' (ended early)'}"
    return (
        str(plan.number),
        plan.name,
        *(ms_text(ms) for ms in (plan.latency_ms, plan.edge_ms, plan.link_ms, plan.cloud_ms)),
        f"{plan.sent_bytes:,.0f} B",
        bytes_text(plan.ram_bytes),
        bytes_text(plan.storage_bytes),
        error_text(plan.error),
        *((lost,) if measured else ()),
        " | ".join(bits or "-" for bits in plan.bits),
        "chosen" if plan.chosen and plan.feasible else plan.violations,
    )


def _layer_cells(layer: LayerRow) -> tuple[str, ...]:
    return (
        layer.name,
        layer.kind,
        layer.side,
        *("" if bits is None else str(bits) for bits in (layer.weight_bits, layer.act_bits)),
        "" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}",
        "" if layer.output_change is None else f"{layer.output_change:.2g}",
        f"{layer.latency_ms:.4g}",
        layer.basis,
        layer.bound_by,
        "" if layer.ram_bytes is None else bytes_text(layer.ram_bytes),
    )


def _parts(plan: PlanRow) -> str:
    parts = ", ".join(f"{name} {ms_text(ms)}" for name, ms in (("edge", plan.edge_ms), ("link", plan.link_ms), ("cloud", plan.cloud_ms)))
    return f"{ms_text(plan.latency_ms)}: {parts}"
