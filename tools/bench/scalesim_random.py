"""Random layers on random arrays, small enough for SCALE-Sim.

Corners are likelier than chance has them: one pixel, one filter, exact multiples of the array, overlapping windows that do not fit, taps
beyond the picture, output buffers that drain in whole lines.
"""

from __future__ import annotations

import random

from autosplitc.targets import Dataflow
from autosplitc.targets.counts_v3 import ArrayConfig, ConvShape, counts

from .scalesim_process import Mode, Task

_ROWS = (1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 32)
_COLS = (1, 2, 3, 4, 5, 7, 8, 14, 16, 20, 32, 64)
_FILTERS = ((1, 1), (1, 1), (2, 2), (3, 3), (3, 3), (5, 5), (1, 3), (3, 2), (7, 7))
_CHANNELS = (1, 2, 3, 5, 8, 12, 16, 20, 40, 64)
_DATAFLOWS: tuple[Dataflow, ...] = ("os", "ws", "is")
_WORK = {"compute": 3e6, "calc": 1.2e5}
"""Most words and idle lanes of a task: half a second or so each."""


def random_task(source: random.Random, mode: Mode) -> Task:
    """Return a task; equal sources give equal tasks."""
    while True:
        array = _array(source)
        task = Task(_layer(source, array), array, mode)
        if _work(task) <= _WORK[mode]:
            return task


def _array(source: random.Random) -> ArrayConfig:
    buffers = (source.choice((1, 1, 1, 2, 3, 4)) for _ in range(3))
    return ArrayConfig(source.choice(_ROWS), source.choice(_COLS), source.choice(_DATAFLOWS), *buffers)


def _layer(source: random.Random, array: ArrayConfig) -> ConvShape:
    taps_y, taps_x = source.choice(_FILTERS)
    stride = source.randint(1, 3)
    high, wide = (1, 1) if source.random() < 0.1 else (source.randint(1, 9), source.randint(1, 9))
    beyond = [source.randint(0, stride - 1) if source.random() < 0.3 else 0 for _ in range(2)]
    height, width = (high - 1) * stride + taps_y + beyond[0], (wide - 1) * stride + taps_x + beyond[1]
    channels = array.rows if source.random() < 0.15 else source.choice(_CHANNELS)
    filters = source.choice((1, array.cols, 2 * array.cols, array.cols + 1, source.randint(1, 100)))
    return ConvShape(height, width, taps_y, taps_x, channels, filters, stride)


def _work(task: Task) -> float:
    found = counts(task.layer, task.array)
    words = found.sram_ifmap_reads + found.sram_filter_reads + found.sram_ofmap_writes
    return words + found.compute_cycles * (task.array.rows + 2 * task.array.cols) / 4
