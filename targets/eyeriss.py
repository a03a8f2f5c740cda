"""`eyeriss`: the edge device of the Auto-Split paper, an Eyeriss-sized array in SCALE-Sim's description."""

from __future__ import annotations

from .systolic import SystolicTarget

_KIB = 1024
_GIB = 1024**3

eyeriss = SystolicTarget(
    name="eyeriss",
    source="Auto-Split (Banitalebi-Dehkordi et al., KDD 2021) Table 1; SCALE-Sim v1 configs/eyeriss.cfg; Chen et al., ISSCC 2016",
    # Array and dataflow: SCALE-Sim v1, configs/eyeriss.cfg (12 x 14, ws), the simulator that Auto-Split section 5 names.
    rows=12,
    cols=14,
    dataflow="ws",
    cycles="scalesim-v1",
    # Nominal clock of the chip: Chen et al., ISSCC 2016, 200 MHz; 168 units then give the 34 GOPS of Auto-Split Table 1, a MAC as one op.
    clock_hz=200e6,
    # Auto-Split Table 1: 192 KB on chip, 1 GB/s, 4 GB off chip. Thirds for the buffers: SCALE-Sim's three are equal in its configs too.
    input_buffer_bytes=64 * _KIB,
    weight_buffer_bytes=64 * _KIB,
    output_buffer_bytes=64 * _KIB,
    bandwidth_bytes_per_s=1e9,
    ram_bytes=4 * _GIB,
    # Auto-Split section 5: B = {2, 4, 6, 8} on INT8 units, 16-bit otherwise. Its Fig. 7 fits two passes for 16 bits and transfers that
    # add to compute.
    weight_bits=(2, 4, 6, 8),
    act_bits=(2, 4, 6, 8),
    float_bits=16,
    float_passes=2,
    overlap=False,
    # Neither source models ops without MACs: assumed is one byte a column and cycle, what the array itself puts out.
    vector_bytes_per_s=14 * 200e6,
)
