"""Words that SCALE-Sim v3 reads from memory in CALC mode: misses of its two read buffers over what the array asks for.

A buffer collects the words that it has not got, and is emptied at once when it has collected as many as it holds ("flush when full");
each word collected is one read. What the array asks for is a stream in folds: all row folds for one column fold, then for the next.

- Words that fit together are read once.
- A stream that repeats D different words, none twice in a round, misses always if D is at least what the buffer holds.
- Windows of a convolution that overlap ask for words again within a round. That stream is laid out as positions (pixel, tap), each word's
  previous position is found by sorting the few positions that ask for it, and then a word misses exactly if its previous position lies
  before the last flush: one pass of comparisons from flush to flush. Rounds are equal, so flushes that come at the same place of a round
  repeat, and are counted, not walked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gemm import Dataflow

_MOST_ASKED = 2**27

Positions = NDArray[np.int64]
"""Places in a stream."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What a convolution reads: `out` windows of `taps` at `stride` over `size` pixels, (height, width) each, in every channel.

    Taps that lie beyond the picture are not read.
    """

    size: tuple[int, int]
    taps: tuple[int, int]
    out: tuple[int, int]
    stride: int
    channels: int

    @property
    def words(self) -> int:
        """Different words that all windows read together."""
        return _covered(self, 0) * _covered(self, 1) * self.channels

    @property
    def overlap(self) -> bool:
        """Whether a word is read by two windows."""
        return any(self.taps[axis] > self.stride and self.out[axis] > 1 for axis in (0, 1))


def input_reads(windows: Windows, folds: int, dataflow: Dataflow, rows: int, cols: int, capacity: int) -> int:
    """Return the reads of the input: its stream comes once (is), or `folds` times, once a fold of filters (os, ws).

    Raises ValueError where overlapping windows that do not fit ask for too many words to be followed: 2**27 in a round.
    """
    words, rounds = windows.words, 1 if dataflow == "is" else folds
    if words < capacity:
        return words
    if not windows.overlap:
        return words * rounds
    asked = math.prod((*windows.out, *windows.taps, windows.channels))
    if asked > _MOST_ASKED:
        raise ValueError(f"windows ask for {asked} words a round, more than the {_MOST_ASKED} that are followed")
    positions = _positions(windows, dataflow, rows, cols)
    return _flushing(_previous(positions, windows, _same_order(windows, dataflow, rows)), rounds, capacity)


def filter_reads(m: int, n: int, k: int, dataflow: Dataflow, rows: int, cols: int, capacity: int) -> int:
    """Return the reads of the filters.

    ws: each word is asked for once. is: all of them for every fold of pixels. os: those of a column fold for every fold of pixels, then
    those of the next.
    """
    if dataflow == "ws" or n * k < capacity:
        return n * k
    if dataflow == "is":
        return n * k * -(-m // cols)
    rounds, held, reads = -(-m // rows), 0, 0
    for first in range(0, n, cols):
        words = min(cols, n - first) * k
        more, held = _block(words, rounds, held, capacity)
        reads += more
    return reads


def _block(words: int, rounds: int, held: int, capacity: int) -> tuple[int, int]:
    """Reads of `rounds` equal rounds of words, none of them in the buffer, that holds `held` others; and what it holds at the end."""
    if words >= capacity:
        return words * rounds, (held + words * rounds) % capacity
    if held + words < capacity:
        return words, held + words
    before_flush = capacity - held
    return (words, words - before_flush) if rounds == 1 else (words + before_flush, words)


def _covered(windows: Windows, axis: int) -> int:
    """Rows or columns of the picture that a window reads."""
    size, taps, out, stride = windows.size[axis], windows.taps[axis], windows.out[axis], windows.stride
    if taps >= stride:
        return min(size, (out - 1) * stride + taps)
    return (out - 1) * taps + max(0, min(taps, size - (out - 1) * stride))


def _positions(windows: Windows, dataflow: Dataflow, rows: int, cols: int) -> Positions:
    """Return the place of every (pixel, tap) in one round, shape [M, K]."""
    m, k = windows.out[0] * windows.out[1], windows.taps[0] * windows.taps[1] * windows.channels
    if dataflow == "os":
        return _skewed_folds(m, rows, k)
    if dataflow == "ws":
        return _skewed_folds(k, rows, m).T
    pixel, tap = np.arange(m)[:, np.newaxis], np.arange(k)
    row_fold, col_fold = tap // rows * rows, pixel // cols * cols
    bottom_up = 2 * row_fold + np.minimum(rows, k - row_fold) - 1 - tap
    return (col_fold * k + pixel - col_fold) + bottom_up * np.minimum(cols, m - col_fold)


def _skewed_folds(count: int, lanes: int, steps: int) -> Positions:
    """Return the place of every (item, step), items taken a fold of lanes at a time."""
    full, rest = divmod(count, lanes)
    folds = (np.arange(full) * lanes * steps)[:, np.newaxis, np.newaxis] + _skewed(lanes, steps)
    whole = folds.reshape(full * lanes, steps)
    return np.concatenate([whole, full * lanes * steps + _skewed(rest, steps)]) if rest else whole


def _skewed(lanes: int, steps: int) -> Positions:
    """Return the place of every (lane, step) where lane j starts j cycles late; within a cycle, lanes go in order."""
    cycle = np.arange(steps + lanes - 1)
    first_lane = np.maximum(cycle - steps + 1, 0)
    width = np.minimum(cycle, lanes - 1) - first_lane + 1
    lead = np.cumsum(width) - width - first_lane
    lane = np.arange(lanes)[:, np.newaxis]
    return lead[lane + np.arange(steps)] + lane


def _same_order(windows: Windows, dataflow: Dataflow, rows: int) -> bool:
    """Whether the taps that read a pixel come in the same order in every channel.

    They do where no fold holds one channel of two taps, or the only fold holds all.
    """
    taps = windows.taps[0] * windows.taps[1]
    return dataflow == "os" or windows.channels >= rows or taps * windows.channels <= rows


def _previous(positions: Positions, windows: Windows, same_order: bool) -> Positions:
    """Return, for every place of a round, where its word was asked for before: in the round before if negative.

    Places that ask for nothing, taps beyond the picture, count as asked for in the same place. A tap t reads pixel s x o + t; written
    t = s x j + r, it reads row o + j of the pixels that leave r, so that windows that share a pixel differ in j alone.
    """
    (height, width), (taps_y, taps_x), stride = windows.out, windows.taps, windows.stride
    sorted_channels = 1 if same_order else windows.channels
    items = height * width * taps_y * taps_x * sorted_channels
    places = positions.reshape(items, -1)
    # Sorted by place, and the item known afterwards.
    keys = (positions.reshape(height, width, taps_y, taps_x, -1)[..., :sorted_channels] * items).reshape(items) + np.arange(items)
    grid = keys.reshape(height, width, taps_y, taps_x, sorted_channels)
    before, rounds_back = np.arange(items), np.zeros(items, np.int64)
    for r_y in range(min(stride, taps_y)):
        for r_x in range(min(stride, taps_x)):
            _link(_askers(grid[:, :, r_y::stride, r_x::stride], windows, (r_y, r_x)), before, rounds_back)
    previous = np.empty(positions.size, np.int64)
    previous[places] = places[before] - (rounds_back * positions.size)[:, np.newaxis]
    return previous


def _askers(shared: Positions, windows: Windows, remainder: tuple[int, int]) -> Positions:
    """Return the keys of all that asks for each word of the pixels that leave `remainder`, ascending, a row a word, -1 where fewer ask."""
    height, width, steps_y, steps_x, channels = shared.shape
    high = min(height + steps_y - 1, -(-(windows.size[0] - remainder[0]) // windows.stride))
    wide = min(width + steps_x - 1, -(-(windows.size[1] - remainder[1]) // windows.stride))
    asked = np.full((high, wide, channels, steps_y * steps_x), -1)
    for j_y in range(steps_y):
        for j_x in range(steps_x):
            rows, cols = min(height, high - j_y), min(width, wide - j_x)
            asked[j_y : j_y + rows, j_x : j_x + cols, :, j_y * steps_x + j_x] = shared[:rows, :cols, j_y, j_x]
    return np.sort(asked.reshape(-1, steps_y * steps_x))


def _link(asked: Positions, before: Positions, rounds_back: Positions) -> None:
    """Enter which item precedes each item of `asked`; the last one of the round before precedes the first."""
    items = before.size
    asked = asked[asked[:, -1] >= 0]
    earlier = np.concatenate([asked[:, -1:], asked[:, :-1]], axis=1)
    first = (earlier < 0) & (asked >= 0)
    first[:, 0] = asked[:, 0] >= 0
    earlier = np.where(first, asked[:, -1:], earlier)
    there = asked >= 0
    item = asked[there] % items
    before[item] = earlier[there] % items
    rounds_back[item] = first[there]


def _flushing(previous: Positions, rounds: int, capacity: int) -> int:
    """Return the misses of `rounds` rounds in a buffer that is emptied whenever it has collected `capacity` words.

    Needs a round with at least `capacity` different words: then no more than a round lies between two flushes. Where no word comes again
    within `capacity` places, all miss.
    """
    size = previous.size
    if int((np.arange(size) - previous).min()) >= capacity:
        return size * rounds
    end, start, flushes = size * rounds, 0, 0
    seen: dict[int, tuple[int, int]] = {}
    while start < end:
        place = start % size
        if place in seen:
            start_then, flushes_then = seen[place]
            repeats = (end - start) // (start - start_then)
            start += repeats * (start - start_then)
            flushes += repeats * (flushes - flushes_then)
            seen = {}
            continue
        seen[place] = start, flushes
        stop = start - place + _next_flush(previous, place, capacity)
        if stop > end:
            return flushes * capacity + int(np.count_nonzero(previous[place:] < place))
        start, flushes = stop, flushes + 1
    return flushes * capacity


def _next_flush(previous: Positions, place: int, capacity: int) -> int:
    """Return the place after the `capacity`-th miss from an empty buffer at `place`; beyond a round where it falls into the next."""
    size, missing = previous.size, capacity
    for offset, first, last in ((0, place, size), (size, 0, place)):
        step = 2 * capacity
        for low in range(first, last, step):
            misses = previous[low : min(low + step, last)] < place - offset
            count = int(np.count_nonzero(misses))
            if count >= missing:
                return offset + low + int(np.flatnonzero(misses)[missing - 1]) + 1
            missing -= count
    raise AssertionError("a round has fewer words than the buffer holds")
