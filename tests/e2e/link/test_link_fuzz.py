"""The fuzzer of `autosplitc bench link fuzz`, for some seconds."""

from __future__ import annotations

import random

from autosplitc.bench.link_fuzz import against_readers, against_server
from autosplitc.bench.link_fuzz_client import Seen, against_client
from autosplitc.bench.link_mutate import good_frames, mutated, seal
from autosplitc.runtime.bundle import Bundle


def test_readers_refuse_or_read_whatever_comes(bundle: Bundle) -> None:
    seen = against_readers(random.Random(1), bundle, 20_000)
    assert not seen.wrong
    assert seen.read > 1000
    assert set(seen.refused) == {"AS810", "AS811", "AS812", "AS813", "AS814", "AS815", "AS816", "AS817"}


def test_a_server_under_fuzz_answers_others_rightly(bundle: Bundle) -> None:
    seen = against_server(random.Random(2), bundle, 1500)
    _assert_right(seen)
    assert seen.right > 100


def test_a_client_of_a_liar_ends_every_request() -> None:
    seen = against_client(random.Random(3), 80)
    _assert_right(seen)
    assert seen.refused


def test_sealing_a_good_frame_changes_nothing() -> None:
    rng = random.Random(4)
    good = good_frames(rng, 98, "m" * 64, "l" * 64)
    assert [seal(data) for data in good] == good
    assert {mutated(rng, good).sealed for _ in range(50)} == {False, True}


def _assert_right(seen: Seen) -> None:
    assert not seen.wrong
    assert seen.frames
    assert seen.right
