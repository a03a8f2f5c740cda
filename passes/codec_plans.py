"""Cloud-Only in its compressed forms: which models they are for, and the plans that come of the sizes measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autosplitc.ir import DType, Module, at_batch_one

from .base import Env
from .codecs import Asked, asked_codecs, codec_of
from .facts import Plan, Ranges, Request, Solutions, WireSize, WireSizes
from .over_trace import over_trace
from .pictures import Order, Raster, picture_of
from .reorder import crossing_of

PICTURE_BITS = 8


def sent_picture(module: Module) -> tuple[str, Raster] | str:
    """Return the input that Cloud-Only sends and how its payload is a picture; else why it is none."""
    request, graph = module.fact(Request), module.main
    crossing = crossing_of(graph, ())
    if len(crossing) != 1 or crossing[0] not in graph.input:
        return "Cloud-Only sends more than one input" if crossing else "Cloud-Only sends nothing"
    name = crossing[0]
    type_ = at_batch_one(graph.type_of(name))
    words = request.preprocess.split(",")
    layout = next((w.removeprefix("layout=") for w in words if w.startswith("layout=")), "")
    picture = picture_of(type_.shape, layout)
    if picture is None or picture.channels not in (1, 3) or picture.height is None or picture.width is None or type_.dims[0] != 1:
        return f"input {name!r} : {type_} is no picture of 1 or 3 channels"
    if type_.dtype is not DType.U8 and not _holds_bytes(module, name):
        return f"input {name!r} : {type_} holds no bytes"
    order: Order = "grey" if picture.channels == 1 else "bgr" if "channels=bgr" in words else "rgb"
    return name, Raster(picture.layout, picture.channels, picture.height, picture.width, order)


def _holds_bytes(module: Module, name: str) -> bool:
    """Whether a f32 input was seen to hold no more than 256 levels, which 8 bits hold exactly, and is sent so."""
    ranges = module.get(Ranges)
    exact = ranges is not None and ranges.calibrated and any(r.value == name and r.exact for r in ranges.values)
    return exact and module.main.type_of(name).dtype is DType.F32 and module.fact(Request).input_bits == PICTURE_BITS


def payload_raster(module: Module, plan: Plan) -> Raster | None:
    """Return how a plan's payload is a picture; None where its codec takes none."""
    found = sent_picture(module) if plan.codec and codec_of(plan.codec).is_of_pictures else ""
    return None if isinstance(found, str) else found[1]


def asked_of(module: Module) -> Asked:
    """Return the codecs that the request admits."""
    return asked_codecs(module.fact(Request).codec)


def with_codecs(module: Module, env: Env, plans: Sequence[Plan]) -> tuple[Plan, ...]:
    """Return the plans, the fastest first, with Cloud-Only in every form whose size was measured.

    Nothing but latency and bytes changes: the edge graph makes the same payload.
    """
    plans = _with_p95(plans, module.get(WireSizes))
    raw = next((plan for plan in plans if plan.kind == "cloud-only" and not plan.codec), None)
    sizes = module.get(WireSizes)
    picture = sent_picture(module)
    if raw is None or sizes is None or isinstance(picture, str):
        return tuple(plans)
    forms = [size for size in sizes.sizes if size.value == picture[0]]
    made = [_through(raw, size, env, module.fact(Request)) for size in forms]
    return tuple(sorted((*plans, *made), key=lambda p: (p.typical_s, p.latency_p95_s or 0.0, p.error, p.position)))


def _with_p95(plans: Sequence[Plan], sizes: WireSizes | None) -> tuple[Plan, ...]:
    """Return plans with the 95 % of what zstd leaves of their payloads: of several tensors the sum, which is rather too much."""
    p95 = {(s.value, s.bits): s.p95_bytes for s in (sizes.sizes if sizes is not None else ()) if s.codec == "zstd"}

    def of(plan: Plan) -> Plan:
        if plan.codec != "zstd":
            return plan
        known = [p95[wire.name, wire.bits] for wire in plan.wire_bits if (wire.name, wire.bits) in p95]
        return replace(plan, sent_p95_bytes=sum(known) if len(known) == len(plan.wire_bits) else None)

    return tuple(map(of, plans))


def _through(raw: Plan, size: WireSize, env: Env, request: Request) -> Plan:
    """Return Cloud-Only with its payload sent through a codec."""
    plan = replace(
        raw,
        codec=size.codec,
        sent_bytes=size.mean_bytes,
        sent_p95_bytes=size.p95_bytes,
        edge_s=raw.edge_s + size.encode_s,
        cloud_s=raw.cloud_s + size.decode_s,
        error=raw.error + size.nsr,
    )
    plan = replace(plan, link_s=env.network.transfer_s(plan.wire_bytes))
    kept = tuple(text for text in raw.violations if not text.startswith("latency "))
    limit_s = request.max_latency_s if env.network.trace is None else None
    if limit_s is not None and plan.latency_s > limit_s:
        over = f"{(plan.latency_s - limit_s) * 1e3:.4g} ms over the limit of {limit_s * 1e3:.4g} ms"
        kept = (*kept, f"latency {plan.latency_s * 1e3:.4g} ms, {over}")
    return over_trace(replace(plan, violations=kept, feasible=not kept), env.network, request.max_latency_s)


def open_plans(module: Module) -> list[int]:
    """Return indices of the plans that may be chosen without a measurement: all but those whose codec loses, unless it is asked for."""
    plans, lossy_too = module.fact(Solutions).plans, asked_of(module).lossy_by_name
    return [i for i, plan in enumerate(plans) if lossy_too or not plan.is_lossy]
