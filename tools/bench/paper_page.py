"""The page docs/paper.md: this compiler's figures beside the paper's, written from records alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import mean
from typing import Any

from . import paper_theirs as theirs
from .paper_measure import BANDWIDTH_LIMIT

Json = dict[str, Any]

NOT_RUN = "not run"
BASELINES = ("neurosurgeon", "dads", "qdmp", "qdmp-e", "u8", "auto-split-paper")
MEANS = ("cloud-only", "neurosurgeon", "qdmp", "u8", "auto-split-paper")
LIMITS = (0.01, 0.1, 0.4)
"""Limits on the error, the noise-to-signal power ratio summed over all tensors, that stand in for the paper's accuracy drops."""

SIZE_LIMIT = 0.4
"""The one of them at which sizes are compared."""


def page(template: str, records: Json) -> str:
    """Return the page: the template with a table in place of each comment that names one.

    records: `networks` (name -> record, None where it was not run), `early_late`, `compression`, `crossings` (name -> record).
    """
    networks: Json = records.get("networks") or {}
    tables = {
        "decisions": decisions(networks),
        "baselines": chain(baselines(networks), means(networks)),
        "trade_off": trade_off(networks),
        "early_and_late": early_and_late(records.get("early_late")),
        "sizes": sizes(networks),
        "compression": compression(records.get("compression")),
        "bandwidth": bandwidth(networks),
        "crossings": crossings(records.get("crossings") or {}),
        "took": took(networks),
    }
    for name, parts in tables.items():
        template = template.replace(f"<!-- {name} -->", "\n\n".join(parts))
    return template


def decisions(networks: Json) -> Iterator[str]:
    """Yield the table of figure 6's decisions: ours by default, at limits on the error alone, and with half the memory of Edge-Only."""
    rows: list[Sequence[str]] = []
    for name, paper in theirs.DECISIONS.items():
        record = networks.get(name)
        figure = theirs.RATIOS.get(name, "")
        if record is None:
            rows.append((name, paper, figure, NOT_RUN, *("" for _ in LIMITS), ""))
            continue
        half = record.get("half")
        memory = f"{told(half)} ({record['half_ram_bytes'] / 1e6:.1f} MB)" if half else ""
        rows.append((name, paper, figure, told(record["chosen"]), *(told(at_error(record, limit)) for limit in LIMITS), memory))
    limits = (f"error <= {limit:g}" for limit in LIMITS)
    yield markdown(("network", "paper", "ratio", "ours, default", *limits, "default, half the memory"), rows)


def at_error(record: Json, limit: float) -> Json:
    """Return the fastest plan of the front with no more error."""
    return min((plan for plan in record["front"] if plan["error"] <= limit), key=lambda plan: plan["ratio"])


def baselines(networks: Json) -> Iterator[str]:
    """Yield the table of ratios of all baselines; behind each, ours at no more error."""
    rows: list[Sequence[str]] = []
    for name in theirs.DECISIONS:
        record = networks.get(name)
        if record is None:
            rows.append((name, NOT_RUN, *("" for _ in BASELINES)))
            continue
        by_name = {row["strategy"]: row for row in record["rows"]}
        rows.append((name, ratio(record["chosen"]), *(beside(by_name.get(strategy)) for strategy in BASELINES)))
    yield markdown(("network", "ours", *BASELINES), rows)


def means(networks: Json) -> Iterator[str]:
    """Yield how much faster ours is in the mean: the plan at the default limits, and the one with no more error than each baseline has."""
    rows: list[Sequence[str]] = []
    for strategy in MEANS:
        fitting = [
            (record, row)
            for record in networks.values()
            if record
            for row in record["rows"]
            if row["strategy"] == strategy and not row["why"]
        ]
        if not fitting:
            continue
        default = mean(1 - record["chosen"]["ratio"] / row["ratio"] for record, row in fitting)
        pairs = [(row["ratio"], row["ours_ratio"]) for _, row in fitting if row["ours_ratio"] is not None]
        paper = f"{theirs.FASTER_THAN[strategy]:.0%}" if strategy in theirs.FASTER_THAN else ""
        same = f"{mean(1 - own / other for other, own in pairs):.0%}" if pairs else "no error to compare"
        won, lost = (str(sum(sign * (own - other) > 1e-9 * other for other, own in pairs)) if pairs else "" for sign in (-1, 1))
        rows.append((strategy, str(len(fitting)), paper, f"{default:.0%}", same, won, lost))
    yield markdown(("against", "networks", "paper", "ours, default", "ours at no more error", "faster there", "slower there"), rows)


def trade_off(networks: Json) -> Iterator[str]:
    """Yield, for the networks of figure 5, the front and what the paper has."""
    for name, points in theirs.TRADE_OFF.items():
        paper = ", ".join(f"{drop:.0%}: {value:.2f}" for drop, value in points)
        yield f"**{name}**. Paper, ratio at accuracy drops of {paper}."
        record = networks.get(name)
        if record is None:
            yield NOT_RUN
            continue
        rows = [(f"{p['error']:.2g}", title(p), ratio(p), f"{p['payload_bytes']:,}", megabytes(p)) for p in record["front"]]
        yield markdown(("error", "fastest plan", "ratio", "sent B", "edge MB"), rows)


def early_and_late(records: Sequence[Json] | None) -> Iterator[str]:
    """Yield figure 7's table."""
    if not records:
        yield NOT_RUN
        return
    rows = [
        (f"W8A8-T{r['bits']}", f"{r['what']}: after {r['after']}", ratio(r), f"{r['payload_bytes']:,}", megabytes(r), f"{r['error']:.2g}")
        for r in records
    ]
    yield markdown(("bits", "cut", "ratio", "sent B", "edge MB", "error"), rows)


def sizes(networks: Json) -> Iterator[str]:
    """Yield table 2 beside ours: the plan at a limit on the error, and QDMP's edge part."""
    rows: list[Sequence[str]] = []
    for name, (index, auto, qdmp, small) in theirs.EDGE_MODELS.items():
        paper = (name, index, f"{auto:g}", f"{qdmp:g}", f"{small:g}")
        record = networks.get(name)
        if record is None:
            rows.append((*paper, NOT_RUN, "", "", ""))
            continue
        by_name = {row["strategy"]: row for row in record["rows"]}
        plan = at_error(record, SIZE_LIMIT)
        rows.append(
            (*paper, f"{plan['position']}: {title(plan)}", megabytes(plan), *(megabytes(by_name.get(s)) for s in ("qdmp-e", "qdmp-e+u4")))
        )
    heading = ("network", "paper: index", "Auto-Split", "QDMP_E", "+U4", "ours: ops on the edge", "edge MB", "qdmp-e MB", "qdmp-e+u4 MB")
    yield markdown(heading, rows)


def compression(records: Sequence[Json] | None) -> Iterator[str]:
    """Yield table 7 beside ours."""
    paper = [(what, times, f"{value:.2f}", f"{accuracy:.2f}") for what, times, value, accuracy in theirs.COMPRESSION]
    yield markdown(("paper, YOLOv3", "times less", "ratio", "mAP"), paper)
    if not records:
        yield NOT_RUN
        return
    rows = [
        (
            r["what"],
            f"{r['sent_bytes']:,.0f}",
            f"{r['times']:.1f}",
            ratio(r),
            f"{r['ap50']:.3f}",
            f"{r['low']:.3f} .. {r['high']:.3f}",
            str(r["n"]),
        )
        for r in records
    ]
    yield markdown(("ours, YOLOv3-tiny", "sent B (mean)", "times less", "ratio", "AP50", "95 %", "n"), rows)


def bandwidth(networks: Json) -> Iterator[str]:
    """Yield table 8 beside ours."""
    rows: list[Sequence[str]] = []
    for name, lines in theirs.BANDWIDTH.items():
        paper = {mbps: f"{value} (mAP {accuracy})" for mbps, value, accuracy in lines}
        record = networks.get(name)
        rates: list[Json] = record["rates"] if record else []
        rows += [(name, str(r["mbps"]), paper.get(r["mbps"], ""), told(r["chosen"]), told(r["loose"])) for r in rates]
        if record is None:
            rows.append((name, NOT_RUN, "", "", ""))
    yield markdown(("network", "Mbps", "paper", "ours, default", f"ours, error <= {BANDWIDTH_LIMIT:g}"), rows)


def crossings(records: Json) -> Iterator[str]:
    """Yield tables 9 and 10."""
    resnet = records.get("resnet50")
    if resnet:
        volumes = {cut["after"]: sum(cut["elements"]) for cut in resnet["cuts"]}
        ours = {"layer4.0.conv3": "layer4.0.relu", "layer4.1.conv3": "layer4.1.relu", "layer4.2.conv3": "layer4.2.relu"}
        found = {layer: (name, f"{volumes[name]:,}") for layer, name in ours.items()}
        rows = [(layer, f"{volume:,}", *found.get(layer, ("the end", "the result alone"))) for layer, volume in theirs.LATE_VOLUMES]
        yield markdown(("paper: cut after", "elements", "ours: cut after", "elements"), rows)
    lines: list[Sequence[str]] = []
    for name, indices in theirs.HEADS.items():
        record = records.get(name)
        several = [cut for cut in record["cuts"] if len(cut["elements"]) > 1] if record else []
        late = f"{len(several)} of {len(record['cuts'])}" if record else NOT_RUN
        lines.append((name, ", ".join(map(str, indices)), late))
    yield markdown(("network", "paper: layers that heads collect", "cuts crossed by several tensors"), lines)


def took(networks: Json) -> Iterator[str]:
    """Yield seconds and memory."""
    rows = [
        (name, str(r["ops"]), f"{r['plan_s']:.1f}", f"{r['seconds']:.0f}", f"{r['peak_rss_bytes'] / 1e9:.2f}")
        for name in theirs.DECISIONS
        if (r := networks.get(name))
    ]
    yield markdown(("network", "ops", "one plan, s (measured)", "everything on this page, s", "peak RSS GB"), rows)


def title(plan: Json | None) -> str:
    """Return a plan's decision for people."""
    if plan is None:
        return ""
    return f"split after {plan['after']}" if plan["kind"] == "split" else str(plan["kind"])


def told(plan: Json | None) -> str:
    """Return a plan's ratio and decision."""
    return "" if plan is None else f"{plan['ratio']:.2f} {title(plan)}"


def ratio(plan: Json | None) -> str:
    """Return a latency against Cloud-Only's."""
    return "" if plan is None else f"{plan['ratio']:.2f}"


def beside(row: Json | None) -> str:
    """Return a baseline's ratio, and ours at no more error."""
    if row is None:
        return ""
    broken = "!" if row["why"] else ""
    own = "" if row["ours_ratio"] is None else f" ({row['ours_ratio']:.2f})"
    return f"{row['ratio']:.2f}{broken}{own}"


def megabytes(plan: Json | None) -> str:
    """Return the size of a plan's edge model in MB."""
    return "" if plan is None else f"{plan['storage_bytes'] / 1e6:.2f}"


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
