"""Table 7 on YOLOv3-tiny with its trained weights and real pictures: what is sent, how large it is, and what the detections come to.

Sizes are measured on the evaluation pictures, AP50 is against the float model's own detections on them.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import autosplitc
from autosplitc.engine import Arrays, Engine
from autosplitc.passes import Codec, Raster, decode, encode
from autosplitc.targets import parse_network
from autosplitc.zoo import data, resolve

from .accuracy_subject import Figures, Subject, numbers, run

Json = dict[str, Any]

MODEL = "yolov3-tiny"
QUALITIES = (80, 60, 40, 20)
EDGE, CLOUD, NET = "eyeriss", "tpu", "3mbps"
MEMORY = "4MB"
"""Of the edge, for the split: the whole network takes more at 8 bits."""


def compression() -> list[Json]:
    """Return a record for the raw picture, for PNG and JPEG, for the split, and for the split through zstd."""
    subject = Subject.of(MODEL, quick=False)
    pixels = subject.pixels
    raster = Raster("nchw", 3, int(pixels.shape[2]), int(pixels.shape[3]), "rgb")
    raw_bytes = raster.nbytes
    cloud_s = cloud_only_cloud_s()
    records = [_record("raw", raw_bytes, raw_bytes, cloud_s, subject.float_figures())]
    for codec in (Codec("png"), *(Codec("jpeg", quality) for quality in QUALITIES)):
        sent = [encode(codec, picture.tobytes(), raster) for picture in pixels]
        figures = subject.float_figures()
        if codec.is_lossy:
            back = np.stack([_pixels(decode(codec, one, raw_bytes, raster), pixels.shape[1:]) for one in sent])
            engine = Engine.load(resolve(MODEL).path, MODEL)
            figures = subject.judge_detections(run(engine, subject.input, numbers(back, subject.samples.preprocess)))
        records.append(_record(codec.title, float(np.mean([len(one) for one in sent])), raw_bytes, cloud_s, figures))
    return records + [_split(subject, codec, records[0]["latency_s"], raw_bytes) for codec in ("none", "zstd")]


def cloud_only_cloud_s() -> float:
    """Return the cloud's part of Cloud-Only, predicted."""
    result = autosplitc.compile(f"zoo:{MODEL}", edge=EDGE, cloud=CLOUD, network=NET, passes="simplify,analyze,plan")
    return next(plan.cloud_s for plan in result.solutions if plan.kind == "cloud-only" and not plan.codec)


def _split(subject: Subject, codec: str, raw_s: float, raw_bytes: int) -> Json:
    """Compile the split, run both halves on all pictures, and send the payloads through the codec."""
    samples = data(MODEL)
    result = autosplitc.compile(
        f"zoo:{MODEL}",
        edge=EDGE,
        cloud=CLOUD,
        network=NET,
        edge_memory=MEMORY,
        calib=str(samples.calib),
        preprocess=samples.preprocess,
        codec=codec,
    )
    plan = result.best
    with TemporaryDirectory() as scratch:
        folder = result.save(Path(scratch) / "out")
        edge = Engine.load(folder / "edge.onnx", "edge.onnx")
        cloud = Engine.load(folder / "cloud.onnx", "cloud.onnx")
        sizes: list[int] = []
        made: list[Arrays] = []
        for picture in subject.pixels:
            from_edge = edge.run({subject.input: picture[None]})
            payload = from_edge[cloud.inputs[0]]
            sizes.append(len(encode(Codec("zstd"), payload.tobytes(), None)) if codec == "zstd" else payload.size)
            made.append({**from_edge, **cloud.run({cloud.inputs[0]: payload})})
    outputs = {name: np.concatenate([one[name] for one in made]) for name in subject.outputs}
    sent = float(np.mean(sizes))
    link_s = parse_network(NET).transfer_s(round(sent))
    figures = subject.judge_detections(outputs)
    title = f"split after {plan.after}" + (", zstd" if codec == "zstd" else "")
    latency_s = plan.edge_s + link_s + plan.cloud_s
    return {
        "what": title,
        "sent_bytes": sent,
        "times": raw_bytes / sent,
        "latency_s": latency_s,
        "ratio": latency_s / raw_s,
        **_accuracy(figures),
    }


def _record(what: str, sent: float, raw_bytes: int, cloud_s: float, figures: Figures) -> Json:
    network = parse_network(NET)
    latency_s, raw_s = network.transfer_s(round(sent)) + cloud_s, network.transfer_s(raw_bytes) + cloud_s
    times = raw_bytes / sent
    return {"what": what, "sent_bytes": sent, "times": times, "latency_s": latency_s, "ratio": latency_s / raw_s, **_accuracy(figures)}


def _accuracy(figures: Figures) -> Json:
    return {"ap50": figures.accuracy, "low": 1 - figures.high, "high": 1 - figures.low, "n": figures.n}


def _pixels(payload: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.frombuffer(payload, np.uint8).reshape(shape)
