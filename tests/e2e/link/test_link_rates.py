"""A link whose rate changes while frames are on their way over it."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from autosplitc.bench.link_shape import Relay
from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.server import Server

FRAMES = 40
FRAME_S = 0.02


def test_a_link_that_halves_its_rate_again_and_again_loses_nothing(plain: Server, bundle: Bundle, half: CloudHalf) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (FRAMES, bundle.bytes_per_sample), np.uint8)
    right = half.infer(samples)["logits"]
    rate_bps = bundle.bytes_per_sample * 8 / FRAME_S
    with closing(Relay(("127.0.0.1", plain.port), rate_bps * 8)) as relay:
        link = Link(("127.0.0.1", relay.port), Hello(bundle.model, bundle.layout), ClientSettings(deadline_s=20.0, window=3))
        with closing(link):
            futures = [link.submit([samples[0].tobytes()])]
            for number in range(1, FRAMES):
                if number % 10 == 0:
                    relay.rate_bps /= 2
                futures.append(link.submit([samples[number].tobytes()]))
            trips_s: list[float] = []
            for number, future in enumerate(futures):
                reply = future.result(20)
                assert np.allclose(reply.outputs["logits"], right[number : number + 1], atol=1e-5)
                trips_s.append(reply.round_trip_s)
            counts = link.requests.counts
    assert (counts.connections, counts.resent, counts.failed, counts.answered) == (1, 0, 0, FRAMES)
    assert min(trips_s[-5:]) >= FRAME_S
    assert relay.rate_bps == rate_bps
