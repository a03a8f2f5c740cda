"""The codec of a plan between the halves: it works on the payload, outside the graphs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Module
from autosplitc.passes import Choice, Codec, Plan, Raster, Solutions, WireLayout, codec_of, decode, encode, payload_raster

Json = dict[str, Any]


@dataclass
class CodecLink:
    """Sends payloads as the chosen plan's codec has them; without one they pass as they are."""

    payload: str
    codec: Codec | None
    raster: Raster | None = None
    sizes: list[int] = field(default_factory=list[int])
    encode_s: list[float] = field(default_factory=list[float])
    decode_s: list[float] = field(default_factory=list[float])

    @staticmethod
    def of(module: Module) -> CodecLink:
        """Return the link of a lowered module's plan; one without a codec where there is no plan."""
        if module.get(Choice) is None:
            return CodecLink(module.fact(WireLayout).payload, None)
        plan = chosen_plan(module)
        codec = codec_of(plan.codec) if plan.codec else None
        return CodecLink(module.fact(WireLayout).payload, codec, payload_raster(module, plan))

    @property
    def loses(self) -> str:
        """What changes the payload on the way; "" where nothing does."""
        return str(self.codec) if self.codec is not None and self.codec.is_lossy else ""

    def sent(self, from_edge: Mapping[str, NDArray[Any]], *, timed: bool = False) -> dict[str, NDArray[Any]]:
        """Return what the edge gives as it reaches the cloud. timed: sizes and times are kept, also of codecs that lose nothing.

        Raises CompileError AS650, AS651 where the codec cannot be used.
        """
        if self.codec is None or not (self.loses or timed):
            return dict(from_edge)
        rows = from_edge[self.payload]
        return {**from_edge, self.payload: np.stack([self._row(self.codec, row) for row in rows]) if len(rows) else rows}

    def _row(self, codec: Codec, row: NDArray[Any]) -> NDArray[np.uint8]:
        payload = row.tobytes()
        started_s = time.perf_counter()
        data = encode(codec, payload, self.raster)
        between_s = time.perf_counter()
        back = decode(codec, data, len(payload), self.raster)
        self.encode_s.append(between_s - started_s)
        self.decode_s.append(time.perf_counter() - between_s)
        self.sizes.append(len(data))
        return np.frombuffer(back, np.uint8).reshape(row.shape)

    def measured(self, module: Module) -> Json | None:
        """Return what measurements.json says of the codec, beside what was predicted; None without one."""
        if self.codec is None or not self.sizes:
            return None
        plan = chosen_plan(module)
        return {
            "codec": str(self.codec),
            "samples": len(self.sizes),
            "sent_bytes": {
                "mean": float(np.mean(self.sizes)),
                "p95": float(np.quantile(self.sizes, 0.95, method="higher")),
                "predicted_mean": plan.sent_bytes,
                "predicted_p95": plan.sent_p95_bytes,
            },
            "encode_s": float(np.median(self.encode_s)),
            "decode_s": float(np.median(self.decode_s)),
        }


def chosen_plan(module: Module) -> Plan:
    """Return the chosen plan of a module."""
    return module.fact(Solutions).plans[module.fact(Choice).index]


def codec_record(module: Module) -> Json | None:
    """Return what the manifest says of the codec: how the raw payload, which the edge graph gives, is sent; None where as it is."""
    plan = chosen_plan(module)
    if not plan.codec:
        return None
    raster = payload_raster(module, plan)
    return {
        "name": plan.codec,
        "sent_bytes": plan.sent_bytes,
        "sent_p95_bytes": plan.sent_p95_bytes,
        "picture": None if raster is None else asdict(raster),
    }
