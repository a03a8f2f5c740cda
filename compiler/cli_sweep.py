"""`autosplitc sweep MODEL --net 1..20mbps`: a thin layer over the sweep, and what it prints."""

from __future__ import annotations

import json
from dataclasses import fields
from fractions import Fraction
from typing import Any

import click

from autosplitc.ir import EXIT_INFEASIBLE, CompileError, Diagnostic
from autosplitc.passes import Plan
from autosplitc.targets import parse_rate_range

from .cli_errors import missing_flag
from .cli_flags import common, data_flags, device_flags, input_shape_flag, plan_flags
from .cli_output import watch_of
from .line import Line
from .options import Options
from .sweep import Piece, Sweep, sweep_model
from .table_text import columns
from .tables import bits_in_use, csv_text, milliseconds

_LEFT_OUT = ("evaluation", "max_drop", "max_evals", "max_opset", "metric", "pick", "strategy")
"""Flags of `compile` that say something of a bundle or of one list of plans."""

_COLUMNS = (
    "from_bps",
    "to_bps",
    "kind",
    "after",
    "payload_bytes",
    "latency_from_ms",
    "latency_to_ms",
    "cloud_only_from_ms",
    "cloud_only_to_ms",
    "edge_only_from_ms",
    "edge_only_to_ms",
    "weight_bits",
    "act_bits",
    "wire_bits",
    "proof",
    "feasible",
    "codec",
)


@click.command("sweep", short_help="Show where the best plan changes with the rate of the link.")
@click.argument("model")
@device_flags
@input_shape_flag
@data_flags
@plan_flags
@click.option("--csv", "as_csv", is_flag=True, help="Results as CSV on stdout.")
@common
def sweep_command(model: str, quiet: bool, verbose: bool, as_json: bool, as_csv: bool, **flags: Any) -> int:
    """Show for MODEL, an ONNX file or zoo:NAME, the ranges of the link's rate over which one plan is the best, and their exact ends.

    --net takes a range of rates, such as 1..20mbps,rtt=20ms. All figures are predicted.
    """
    del verbose
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: one of them")
    if not flags["edge"]:
        raise missing_flag("--edge")
    if not flags["net"]:
        raise CompileError(Diagnostic("AS101", "missing --net", "command line", hint="--net 1..20mbps"))
    links = parse_rate_range(flags["net"])
    known = {f.name for f in fields(Options)}
    options = Options(**{name: value for name, value in flags.items() if name in known and value is not None})
    found = sweep_model(model, options, links, watch_of(quiet=quiet))
    click.echo(
        json.dumps(sweep_json(found), indent=2, ensure_ascii=False) if as_json else sweep_csv(found) if as_csv else sweep_text(found)
    )
    if not found.feasible or (found.limit_s is not None and found.kept_from_bps is None):
        raise _infeasible(found)
    return 0


sweep_command.params = [param for param in sweep_command.params if param.name not in _LEFT_OUT]
for _param in sweep_command.params:
    if isinstance(_param, click.Option) and _param.name == "net":
        _param.metavar, _param.help = "RATES", "Uplinks: 1..20mbps, or 500kbps..20mbps,rtt=20ms,overhead=40B,packet=1500B."


def sweep_text(found: Sweep) -> str:
    """Return a sweep for people."""
    request = found.request
    head = f"{request.source}   edge {request.edge}   cloud {request.cloud}   {found.links.text}"
    rows = [("FROM", "TO", "PLAN", "SENT B", "LATENCY MS", "CLOUD ONLY MS", "EDGE ONLY MS", "BITS")]
    rows += [_row(piece) for piece in found.pieces]
    lines = [
        head,
        columns(rows, right=frozenset({0, 1, 3, 4, 5, 6})),
        f" latencies at the two ends of each range, predicted; {_proof(found)}",
    ]
    lines += [f" {text}" for text in (_limit(found), _edge_only(found)) if text]
    return "\n".join(lines)


def sweep_json(found: Sweep) -> dict[str, object]:
    """Return what `--json` prints: times in seconds, rates in bits per second."""
    return {
        "source": found.request.source,
        "edge": found.request.edge,
        "cloud": found.request.cloud,
        "net": found.links.text,
        "ranges": [_piece_json(piece) for piece in found.pieces],
        "solves": found.solves,
        "proven": found.proven,
        "within_s": found.doubt_ns * 1e-9,
        "max_latency_s": found.limit_s,
        "max_latency_kept_from_bps": None if found.kept_from_bps is None else float(found.kept_from_bps),
    }


def sweep_csv(found: Sweep) -> str:
    """Return a sweep as CSV; what does not apply is left empty."""
    return csv_text(_COLUMNS, (_cells(piece) for piece in found.pieces)).rstrip("\n")


def _row(piece: Piece) -> tuple[str, ...]:
    plan, line, cloud, edge = piece.answer.plan, piece.answer.line, piece.answer.cloud, piece.answer.edge
    bits = (("W", plan.weight_bits), ("A", plan.act_bits), ("wire", plan.wire_bits))
    return (
        _rate(piece.low_bps),
        _rate(piece.high_bps),
        plan.title,
        f"{plan.wire_bytes:,}",
        _ends(piece, line),
        _ends(piece, cloud[1]) if cloud else "-",
        _ends(piece, edge[1]) if edge else "-",
        "  ".join(f"{letter} {bits_in_use(named)}" for letter, named in bits if named),
    )


def _cells(piece: Piece) -> tuple[object, ...]:
    plan, line, cloud, edge = piece.answer.plan, piece.answer.line, piece.answer.cloud, piece.answer.edge
    ends = (line, cloud[1] if cloud else None, edge[1] if edge else None)
    latencies = [milliseconds(s) if e else None for e in ends for s in (piece.ends_s(e) if e else (0.0, 0.0))]
    bits = (bits_in_use(named) for named in (plan.weight_bits, plan.act_bits, plan.wire_bits))
    rates = (f"{float(rate):.6f}".rstrip("0").rstrip(".") for rate in (piece.low_bps, piece.high_bps))
    return (*rates, plan.kind, plan.after, plan.wire_bytes, *latencies, *bits, plan.proof, int(plan.feasible), plan.codec)


def _piece_json(piece: Piece) -> dict[str, object]:
    plan = piece.answer.plan

    def ends(side: tuple[Plan, Line] | None) -> list[float] | None:
        return list(piece.ends_s(side[1])) if side else None

    return {
        "from_bps": float(piece.low_bps),
        "to_bps": float(piece.high_bps),
        "kind": plan.kind,
        "after": plan.after,
        "codec": plan.codec,
        "payload_bytes": plan.wire_bytes,
        "latency_s": list(piece.ends_s(piece.answer.line)),
        "cloud_only_latency_s": ends(piece.answer.cloud),
        "edge_only_latency_s": ends(piece.answer.edge),
        "edge_only_feasible": piece.answer.edge[0].feasible if piece.answer.edge else None,
        "bits": {
            name: {item.name: item.bits for item in named}
            for name, named in (("weights", plan.weight_bits), ("activations", plan.act_bits), ("wire", plan.wire_bits))
        },
        "proof": plan.proof,
        "feasible": plan.feasible,
        "violations": list(plan.violations),
    }


def _proof(found: Sweep) -> str:
    solves = f"{found.solves} solve{'s' if found.solves > 1 else ''}"
    if not found.feasible:
        return f"{solves}, not exact: no plan keeps every limit"
    if not found.proven:
        return f"{solves}, not exact: the time limit ended some of them before a proof"
    return f"{solves}, exact: at no rate is any plan faster by more than {found.doubt_ns} ns"


def _limit(found: Sweep) -> str:
    if found.limit_s is None:
        return ""
    limit, kept = f"{found.limit_s * 1e3:g} ms", found.kept_from_bps
    if kept is None:
        return f"--max-latency {limit} is kept at no rate"
    return f"--max-latency {limit} is kept " + ("at all rates" if kept == found.pieces[0].low_bps else f"from {_rate(kept)} on")


def _edge_only(found: Sweep) -> str:
    edge = found.pieces[0].answer.edge
    return f"edge only breaks a limit: {', '.join(edge[0].violations)}" if edge and edge[0].violations else ""


def _infeasible(found: Sweep) -> CompileError:
    """Return the error for a range over which limits are broken all the way."""
    broken = found.pieces[-1].answer.plan.violations
    if not broken:
        best_s = found.pieces[-1].ends_s(found.pieces[-1].answer.line)[1]
        limit_s = found.limit_s or 0.0
        broken = (f"latency {best_s * 1e3:.4g} ms at {_rate(found.pieces[-1].high_bps)}, {(best_s - limit_s) * 1e3:.4g} ms over the limit",)
    message = "no plan meets all constraints at any of these rates"
    return CompileError(Diagnostic("AS501", message, found.links.text, broken), exit_code=EXIT_INFEASIBLE)


def _rate(rate_bps: Fraction) -> str:
    """Return a rate to the bit per second: `2.413741mbps`."""
    whole = round(rate_bps)
    unit, factor = next(((u, f) for u, f in (("gbps", 10**9), ("mbps", 10**6), ("kbps", 10**3)) if whole >= f), ("bps", 1))
    return (f"{whole / factor:.9f}".rstrip("0").rstrip(".") if factor > 1 else str(whole)) + unit


def _ends(piece: Piece, line: Line) -> str:
    first, last = (f"{ms:,.0f}" if ms >= 1000 else f"{ms:.4g}" for ms in (seconds * 1e3 for seconds in piece.ends_s(line)))
    return first if first == last else f"{first}..{last}"
