"""Plans over a trace of the link: the rates at which they are sought, and how long each takes at any moment of the trace."""

from __future__ import annotations

from dataclasses import replace

from autosplitc.targets import Network

from .facts import Plan

SHARES = (0.05, 0.95)
"""Quantiles of the trace's rate at which plans are sought besides the median, which is the network's own rate."""


def networks_to_plan(network: Network) -> tuple[Network, ...]:
    """Return the network itself and, with a trace, the same at other rates of it: some plan that is best now and then is found so."""
    if network.trace is None:
        return (network,)
    rates = dict.fromkeys((network.rate_bps, *map(network.trace.rate_quantile_bps, SHARES)))
    return tuple(replace(network, rate_bps=rate) for rate in rates)


def trace_text(network: Network) -> str:
    """Return the network's trace for people, "" without one."""
    return str(network.trace) if network.trace else ""


def over_trace(plan: Plan, network: Network, max_latency_s: float | None) -> Plan:
    """Return a plan with its latency over the network's trace, as it is where there is none.

    The message is thought to begin at any moment of the trace. `max_latency_s` is a limit on the median.
    """
    if network.trace is None:
        return plan
    p50_s, p95_s = (plan.edge_s + plan.cloud_s + sent_s for sent_s in network.quantiles_s(plan.wire_bytes))
    violations = plan.violations
    if max_latency_s is not None and p50_s > max_latency_s:
        over = f"{(p50_s - max_latency_s) * 1e3:.4g} ms over the limit of {max_latency_s * 1e3:.4g} ms"
        violations = (*violations, f"latency {p50_s * 1e3:.4g} ms at the median of the trace, {over}")
    return replace(plan, latency_p50_s=p50_s, latency_p95_s=p95_s, violations=violations, feasible=not violations)
