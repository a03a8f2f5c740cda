"""All that SCALE-Sim v3 reports of a layer in CALC mode: cycles, utilisation, SRAM and DRAM words (Raj et al., ISPASS 2025).

Exact for PyPI's `scalesim` 3.0.0; `python -m autosplitc.bench.scalesim fuzz` compares.

M pixels, N filters, K taps on R rows by C columns. Sr, Sc and T are what lies along rows, columns and time: os M, N, K; ws K, N, M;
is K, M, N. H = ceil(Sr/R) and V = ceil(Sc/C) folds.

| column | os | ws | is |
| --- | --- | --- | --- |
| compute cycles | H V (T + R + C - 2) | H V (T + 2R + C - 2) | as ws |
| total cycles | compute cycles - 1: CALC mode never stalls | | |
| overall utilisation | M N K / (total cycles x R C) | | |
| mapping efficiency | Sr Sc / (H R V C) | | |
| SRAM input reads | V M K | V M K | M K |
| SRAM filter reads | H N K | N K | V N K |
| SRAM output writes | M N + H V (R + C) | H M N | H M N |
| DRAM output writes | M N | H M N | H M N |

An output buffer drains as soon as it is more than half full, as many lines of C words as half of it takes. Where C divides that half, the
word too much stays behind as a line of its own, which later counts as C words: DRAM output writes are then C - 1 more, if words follow.
DRAM reads of input and filters: `counts_v3_dram.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import cycles_v3
from .counts_v3_dram import Windows, filter_reads, input_reads
from .gemm import Dataflow

_ACTIVE_SETS = 50
_SETS = 100


@dataclass(frozen=True, slots=True)
class ConvShape:
    """A convolution as SCALE-Sim's topologies give it: sizes of the padded input, the filter, channels in, filters, one stride.

    Results have ceil((size - filter + stride) / stride) rows and columns; a fully connected layer is all ones but channels and filters.
    Raises ValueError for sizes below one and for a filter larger than the input.
    """

    height: int
    width: int
    filter_height: int
    filter_width: int
    channels: int
    filters: int
    stride: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        if min(self.height, self.width, self.filter_height, self.filter_width, self.channels, self.filters, self.stride) < 1:
            raise ValueError("a size is below one")
        if self.filter_height > self.height or self.filter_width > self.width:
            raise ValueError(f"a {self.filter_height} x {self.filter_width} filter exceeds a {self.height} x {self.width} input")

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        return -(-(self.height - self.filter_height) // self.stride) + 1, -(-(self.width - self.filter_width) // self.stride) + 1

    @property
    def m(self) -> int:
        """Pixels of the result."""
        high, wide = self.out
        return high * wide

    @property
    def k(self) -> int:
        """Taps of a filter."""
        return self.filter_height * self.filter_width * self.channels


@dataclass(frozen=True, slots=True)
class ArrayConfig:
    """An array of `rows` x `cols` with its dataflow and its buffers in units of 1,024 words.

    Raises ValueError for values below one or an unknown dataflow.
    """

    rows: int
    cols: int
    dataflow: Dataflow
    input_kb: int
    filter_kb: int
    output_kb: int

    def __post_init__(self) -> None:
        """Check the values."""
        if min(self.rows, self.cols, self.input_kb, self.filter_kb, self.output_kb) < 1:
            raise ValueError("a size is below one")
        if self.dataflow not in ("os", "ws", "is"):
            raise ValueError(f"unknown dataflow {self.dataflow!r}")


@dataclass(frozen=True, slots=True)
class Counts:
    """SCALE-Sim's report on a layer; names as there, words in words. Percentages are not rounded."""

    compute_cycles: int
    total_cycles: int
    overall_util_pct: float
    mapping_eff_pct: float
    sram_ifmap_reads: int
    sram_filter_reads: int
    sram_ofmap_writes: int
    dram_ifmap_reads: int
    dram_filter_reads: int
    dram_ofmap_writes: int


def counts(layer: ConvShape, array: ArrayConfig) -> Counts:
    """Return what SCALE-Sim v3 reports of a layer on an array in CALC mode.

    Raises ValueError for a layer too large to follow (see `input_reads`). A single multiplication on a single unit takes 0 total cycles, on
    which SCALE-Sim fails: its utilisation is 0 here.
    """
    dataflow, rows, cols = array.dataflow, array.rows, array.cols
    out = layer.out
    m, n, k = out[0] * out[1], layer.filters, layer.k
    over_rows, over_cols = (m, n) if dataflow == "os" else (k, n) if dataflow == "ws" else (k, m)
    row_folds, col_folds = -(-over_rows // rows), -(-over_cols // cols)
    cycles = cycles_v3.cycles(dataflow, m, n, k, rows, cols)
    units = rows * cols
    if dataflow == "os":
        moved = col_folds * m * k, row_folds * n * k, m * n + row_folds * col_folds * (rows + cols)
        written = m * n
    else:
        written = row_folds * m * n
        moved = (col_folds * m * k, n * k, written) if dataflow == "ws" else (m * k, col_folds * n * k, written)
    windows = Windows((layer.height, layer.width), (layer.filter_height, layer.filter_width), out, layer.stride, layer.channels)
    return Counts(
        cycles,
        cycles - 1,
        m * n * k * 100 / ((cycles - 1) * units) if cycles > 1 else 0.0,
        _mapping_pct(over_rows, over_cols, rows, cols),
        *moved,
        input_reads(windows, col_folds, dataflow, rows, cols, _capacity(array.input_kb)),
        filter_reads(m, n, k, dataflow, rows, cols, _capacity(array.filter_kb)),
        written + _padding(written, cols, array.output_kb),
    )


def _mapping_pct(over_rows: int, over_cols: int, rows: int, cols: int) -> float:
    """Share of the units that have work, on average over folds, in percent.

    SCALE-Sim adds up a share a fold; halfway between two values of six digits, that sum's rounding decides which is printed.
    """
    row_folds, col_folds = -(-over_rows // rows), -(-over_cols // cols)
    work, room = over_rows * over_cols, row_folds * col_folds * rows * cols
    halves, rest = divmod(2 * 10**8 * work, room)
    if rest or halves % 2 == 0:
        return work / room * 100
    used_rows = [min(rows, over_rows - first) for first in range(0, over_rows, rows)]
    used_cols = [min(cols, over_cols - first) for first in range(0, over_cols, cols)]
    return sum(high * wide / (rows * cols) for wide in used_cols for high in used_rows) / (row_folds * col_folds) * 100


def _capacity(kilobytes: int) -> int:
    """Words that a read buffer collects before it is emptied: half of it, in hundredths of its size."""
    return _ACTIVE_SETS * (kilobytes * 1024 // _SETS)


def _padding(words: int, cols: int, kilobytes: int) -> int:
    """Words counted too many where a line that is not full is drained as if it were."""
    half = kilobytes * 512
    return cols - 1 if half % cols == 0 and half > cols and words > half + 1 else 0
