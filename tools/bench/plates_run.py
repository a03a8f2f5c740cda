"""The plate pipeline at the edge: find the plate in a scene, cut it out, read it; each network by the bundle that it is given.

`python -m autosplitc.bench.plates_run` reads its orders as JSON from stdin: scenes (npz: pixels, labels), first and last of them, and for
the detector and the recogniser a bundle's folder with host and port of its server, or an ONNX file that runs here as it is. It prints JSON:
for each scene whether all of its plate was read, the seconds, and the bytes sent for it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client import Client
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.zoo.plate_detector import best_corners
from autosplitc.zoo.plate_scenes import cut_out
from autosplitc.zoo.plates_metric import BLANK, decode

Arrays: TypeAlias = dict[str, NDArray[Any]]
Network: TypeAlias = Callable[[NDArray[np.uint8]], tuple[Arrays, int]]
"""Takes a picture u8[3, rows, columns], RGB; gives outputs, and the bytes that were sent for it."""

WARM_UP = 2
DEADLINE_S = 120.0


def main(orders: dict[str, Any]) -> dict[str, list[float]]:
    """Run the pipeline over scenes."""
    detect, read = _network(orders["detector"], _detector_input), _network(orders["recogniser"], _recogniser_input)
    with np.load(orders["scenes"]) as stored:
        pixels, labels = stored["pixels"][orders["first"] : orders["last"]], stored["labels"][orders["first"] : orders["last"]]
    found: dict[str, list[float]] = {"right": [], "seconds": [], "sent_bytes": []}
    for i in (*[0] * WARM_UP, *range(len(pixels))):
        started_s = time.perf_counter()
        seen, sent = detect(pixels[i].transpose(2, 0, 1))
        outputs, more = read(cut_out(pixels[i], best_corners(seen)[1]))
        (scores,) = outputs.values()
        text = decode(scores)[0]
        taken_s = time.perf_counter() - started_s
        found["right"].append(float(text == tuple(int(code) for code in labels[i] if code != BLANK)))
        found["seconds"].append(taken_s)
        found["sent_bytes"].append(float(sent + more))
    return {name: values[WARM_UP:] for name, values in found.items()}


def _network(order: dict[str, Any], prepared: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Network:
    if "onnx" in order:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(order["onnx"], options, providers=["CPUExecutionProvider"])
        name, outputs = session.get_inputs()[0].name, [output.name for output in session.get_outputs()]

        def here(picture: NDArray[np.uint8]) -> tuple[Arrays, int]:
            return dict(zip(outputs, session.run(outputs, {name: prepared(picture)[np.newaxis]}), strict=True)), 0

        return here
    bundle = Bundle.load(Path(order["folder"]))
    address = (order["host"], order["port"]) if order.get("port") else None
    client = Client(bundle, address, ClientSettings(deadline_s=DEADLINE_S, dead_s=DEADLINE_S), threads=1)
    name = client.edge.inputs[0].name

    def across(picture: NDArray[np.uint8]) -> tuple[Arrays, int]:
        answer = client.infer({name: np.ascontiguousarray(picture)[np.newaxis]})
        return answer.outputs, answer.sent_bytes

    return across


def _detector_input(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return picture[::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)[:, np.newaxis, np.newaxis]


def _recogniser_input(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (picture[::-1].astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
