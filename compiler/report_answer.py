"""The answers that a report begins with: whether splitting is worth it, against what, how sure that is, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence

from .drop import limit_text, points
from .report_data import Bundle, Json, PlanRow, drop_of
from .report_html import Html, bytes_text, joined, ms_text, rate_text, tag, times_text
from .report_rates import SPAN, Rates
from .report_rivals import Rival

PREDICTED, MEASURED = tag("span", "predicted", class_="basis"), tag("span", "measured", class_="basis measured")


def answer(bundle: Bundle, rates: Rates | None, rivals: Sequence[Rival]) -> Html:
    """Return the headline, the main figures, and the three questions with their answers."""
    questions = (
        ("Is it worth it?", _worth(bundle, rivals)),
        ("How sure is that?", _sure(bundle)),
        ("What would change the answer?", _changes(bundle, rates)),
    )
    parts = [tag("section", tag("h2", head), tag("ul", *(tag("li", item) for item in items))) for head, items in questions]
    return joined((tag("p", _headline(bundle), class_="headline"), _tiles(bundle), tag("div", *parts, class_="questions")))


def _headline(bundle: Bundle) -> str:
    decision, plan = bundle.manifest["decision"], bundle.chosen
    broken = "" if decision["feasible"] else " No plan meets every limit: this one comes closest."
    if plan is None:
        return f"The answer is {decision['kind']}.{broken}"
    if plan.kind == "cloud-only":
        form = f" as {plan.codec}" if plan.codec else ""
        return f"No, do not split: send the input{form} and run everything in the cloud, {ms_text(plan.latency_ms)} a sample.{broken}"
    if plan.kind == "edge-only":
        return f"No need to split: everything runs on the edge, {ms_text(plan.latency_ms)} a sample.{broken}"
    return f"Yes, split after {plan.after}: {ms_text(plan.latency_ms)} a sample.{broken}"


def _tiles(bundle: Bundle) -> Html:
    manifest, plan = bundle.manifest, bundle.chosen
    limits, predicted = manifest["limits"], manifest["predicted"]
    found: list[Html] = []
    if plan is not None:
        basis = PREDICTED if not plan.measured_ms else tag("span", "partly measured", class_="basis measured")
        parts = f"edge {ms_text(plan.edge_ms)} + link {ms_text(plan.link_ms)} + cloud {ms_text(plan.cloud_ms)}"
        found.append(_tile("Latency a sample", ms_text(plan.latency_ms), basis, parts))
        cloud = bundle.first("cloud-only")
        if cloud is not None and cloud is not plan and plan.latency_ms:
            ratio = cloud.latency_ms / plan.latency_ms
            text = times_text(ratio) if ratio >= 1 else f"{ratio:.2f} times"
            found.append(_tile("Against Cloud-Only", f"{text} as fast", PREDICTED, f"which takes {ms_text(cloud.latency_ms)}"))
    if plan is not None and plan.codec:
        found.append(_tile("Sent over the link", bytes_text(plan.sent_bytes), MEASURED, f"a sample as {plan.codec}, mean of the data"))
    else:
        found.append(_tile("Sent over the link", bytes_text(manifest["wire"]["bytes_per_sample"]), MEASURED, "a sample, exactly"))
    ram = predicted["edge_ram_bytes"]
    found.append(_tile("Memory on the edge", bytes_text(ram), PREDICTED, f"of {bytes_text(limits['edge_ram_bytes'])}"))
    return tag("div", *found, *_quality_tile(bundle), class_="tiles")


def _quality_tile(bundle: Bundle) -> list[Html]:
    accuracy, measured = bundle.accuracy, bundle.measurements
    if accuracy is not None and accuracy["drop"] is not None:
        noise = accuracy["metric"] == "sqnr"
        value = f"{points(accuracy['drop'])} % noise" if noise else f"{-100 * accuracy['drop']:+.2f} points".replace("-", "\N{MINUS SIGN}")
        return [
            _tile(
                f"Accuracy, {accuracy['metric']}",
                value,
                MEASURED,
                f"limit {limit_text(accuracy['metric'], accuracy['threshold'])}, n = {accuracy['n']:,}",
            )
        ]
    if measured is None:
        return []
    quality, data = measured["quality"], measured["data"]
    about = f"on {data['source']}, n = {data['samples']:,}"
    if quality["sqnr_db"] is not None:
        return [_tile("Signal to noise at the output", f"{quality['sqnr_db']:.1f} dB", MEASURED, about)]
    return [_tile("Output", "as the original", MEASURED, about)] if all(o["exact"] for o in quality["outputs"]) else []


def _tile(head: str, value: str, basis: Html, note: str) -> Html:
    return tag("div", tag("span", head, class_="head"), tag("strong", value), tag("span", basis, " ", note, class_="note"), class_="tile")


def _worth(bundle: Bundle, rivals: Sequence[Rival]) -> list[str]:
    plan = bundle.chosen
    if plan is None:
        return ["solutions.csv is missing: compile again to compare the plans."]
    items: list[str] = []
    for kind, what in (
        ("cloud-only", "Cloud-Only (send the input itself, run all in the cloud)"),
        ("edge-only", "Edge-Only (run all on the device)"),
    ):
        other = bundle.first(kind)
        if other is None:
            items.append(
                f"{what} is not possible here: the device cannot run every op." if kind == "edge-only" else f"{what} is not on the list."
            )
        elif other is not plan:
            items.append(f"{what} {_against(plan, other)}")
    coded = next((p for p in bundle.plans if p.kind == "cloud-only" and p.codec and p is not plan), None)
    if coded is not None:
        items.append(f"Cloud-Only with the input as {coded.codec} (sizes measured on the calibration data) {_against(plan, coded)}")
    if plan.kind != "split":
        splits = [p for p in bundle.plans if p.kind == "split" and p.feasible]
        items.append(f"The best split, after {splits[0].after}, {_against(plan, splits[0])}" if splits else "No split keeps all limits.")
    keeping = [r for r in rivals if not r.why]
    if rivals:
        slower = sum(r.latency_ms > plan.latency_ms for r in keeping)
        text = f"Of {len(rivals)} other methods under the same cost model {len(keeping)} keep all limits, of which {slower} take longer"
        items.append(f"{text} (predicted). Those in floating point have no error that could be compared.")
    else:
        items.append("Other methods were not compared: see below how to add them.")
    return items


def _against(plan: PlanRow, other: PlanRow) -> str:
    """Return how another plan fares against the chosen one."""
    ratio = other.latency_ms / plan.latency_ms if plan.latency_ms else 0.0
    pace = f"{times_text(ratio)} as long" if ratio >= 1 else f"{ratio:.2g} times as long"
    text = f"takes {ms_text(other.latency_ms)}, {pace} (predicted)"
    return f"{text}, but breaks a limit: {other.violations}." if not other.feasible else f"{text}."


def _sure(bundle: Bundle) -> list[str]:
    decision, items = bundle.manifest["decision"], list[str]()
    if decision["proof"] == "optimal":
        items.append("Proven: no cut and no choice of bits is faster under the cost model and within the limits.")
    else:
        items.append(f"Not proven: the search ended early; the answer is at most {decision['gap']:.1%} slower than the best.")
    items += _accuracy_items(bundle.accuracy, bundle.measurements)
    if not bundle.manifest["calibrated"]:
        items.append("No calibration data was given: the ranges of values come from random noise, so the true accuracy is unknown.")
    check: Json = (bundle.measurements or {}).get("check", {})
    if check.get("halves_equal_whole"):
        items.append("Measured: the two files together give bit for bit what the undivided quantised model gives.")
    plan = bundle.chosen
    if plan is not None and not plan.measured_ms:
        items.append("Latencies are predicted from the devices' descriptions; autosplitc profile measures them on the device.")
    return items


def _accuracy_items(accuracy: Json | None, measured: Json | None) -> list[str]:
    if measured is None:
        return ["measurements.json is missing: nothing was measured."]
    if accuracy is None:
        return ["Accuracy was not measured against labels: --eval DATA does so."]
    drop = drop_of(accuracy)
    if drop is None:
        return ["Measured: the outputs are no numbers, so no accuracy can be told."]
    lost = f"{100 * drop.drop:.2f} {'% of the signal' if accuracy['metric'] == 'sqnr' else 'points'} lost"
    interval = "" if drop.low is None or drop.high is None else f", 95 % interval {100 * drop.low:+.2f} to {100 * drop.high:+.2f}"
    verdict = "within" if accuracy["holds"] else "over"
    limit = limit_text(accuracy["metric"], accuracy["threshold"])
    items = [f"Measured on {drop.n:,} samples ({accuracy['metric']}): {lost}{interval}; {verdict} the limit of {limit}."]
    if drop.high is not None and accuracy["holds"] and drop.high > accuracy["threshold"]:
        items.append("The interval reaches beyond the limit: more samples would make this surer.")
    return items


def _changes(bundle: Bundle, rates: Rates | None) -> list[str]:
    plan = bundle.chosen
    items: list[str] = []
    if plan is not None:
        quicker = [p for p in bundle.plans if not p.feasible and p.latency_ms < plan.latency_ms]
        firsts = {p.kind: p for p in reversed(quicker) if not p.violations.startswith("accuracy")}
        items += [_broken(p) for p in sorted(firsts.values(), key=lambda p: p.latency_ms)]
        if plan.feasible and not quicker:
            items.append("No limit stands in the way of a faster plan on the list.")
    items += _miss(bundle)
    items += _rate_items(rates)
    limit, ram = bundle.manifest["limits"]["edge_ram_bytes"], bundle.manifest["predicted"]["edge_ram_bytes"]
    if limit and ram:
        share = f"{ram / limit:.0%}" if ram / limit >= 0.005 else "less than 1%"
        items.append(f"Memory: the plan takes {share} of the edge's RAM (predicted).")
    return items


def _miss(bundle: Bundle) -> list[str]:
    """Return the faster plan that missed the limit on the accuracy lost by least, if one did."""
    accuracy: Json = bundle.accuracy or {}
    miss: Json | None = accuracy.get("nearest_miss")
    drop = None if miss is None else drop_of(miss)
    plan = None if miss is None else next((p for p in bundle.plans if p.number == miss["solution"]), None)
    if drop is None or plan is None:
        return []
    lost = f"{100 * drop.drop:.2f} {'% of the signal' if accuracy['metric'] == 'sqnr' else 'points'}"
    return [
        f"Accuracy: plan {plan.number} ({plan.name}, {ms_text(plan.latency_ms)}) comes closest to the limit; it loses {lost} (measured)."
    ]


def _broken(plan: PlanRow) -> str:
    """Return which limit a faster plan breaks."""
    name = f"{plan.name[:1].upper()}{plan.name[1:]}"
    return f"{name} would be faster, {ms_text(plan.latency_ms)} (predicted), but breaks a limit: {plan.violations}."


def _rate_items(rates: Rates | None) -> list[str]:
    if rates is None:
        return ["Which rate would change the answer is told by problem.json, which is missing here: compile again with this version."]
    ends = rates.range_of_chosen()
    if ends is None:
        return [
            f"At the planned {rate_text(rates.rate_bps)} another listed plan is faster: this one was asked for, or alone measured to hold."
        ]
    below, above = ends
    items: list[str] = []
    if above is not None:
        items.append(f"Above {rate_text(above[0])} {_named(above[1].plan)} wins (planned: {rate_text(rates.rate_bps)}; predicted).")
    if below is not None:
        items.append(f"Below {rate_text(below[0])} {_named(below[1].plan)} wins (planned: {rate_text(rates.rate_bps)}; predicted).")
    if not items:
        ends_text = f"{rate_text(rates.rate_bps / SPAN)} to {rate_text(rates.rate_bps * SPAN)}"
        items.append(f"The rate of the link does not: no listed plan is faster from {ends_text}.")
    return items


def _named(plan: PlanRow) -> str:
    return f"plan {plan.number} ({plan.name}, {bytes_text(plan.sent_bytes)} sent)"
