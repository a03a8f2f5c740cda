"""`tpu`: the cloud device of the Auto-Split paper, a TPU v1 in SCALE-Sim's description."""

from __future__ import annotations

from .systolic import SystolicTarget

_MIB = 1024**2
_GIB = 1024**3

tpu = SystolicTarget(
    name="tpu",
    source="Auto-Split (Banitalebi-Dehkordi et al., KDD 2021) Table 1; SCALE-Sim v1 configs/google.cfg; Jouppi et al., ISCA 2017",
    # Array and dataflow: SCALE-Sim v1, configs/google.cfg (256 x 256, os).
    rows=256,
    cols=256,
    dataflow="os",
    cycles="scalesim-v1",
    # Jouppi et al., ISCA 2017, Table 2: 700 MHz; 65,536 units then give 92 TOPS, near the 96 of Auto-Split Table 1.
    clock_hz=700e6,
    # Auto-Split Table 1: 28 MB on chip, 13 GB/s, 16 GB off chip. Jouppi et al., section 2: 24 MiB unified buffer and 4 MiB accumulators;
    # inputs and weights share the former evenly here.
    input_buffer_bytes=12 * _MIB,
    weight_buffer_bytes=12 * _MIB,
    output_buffer_bytes=4 * _MIB,
    bandwidth_bytes_per_s=13e9,
    ram_bytes=16 * _GIB,
    # Jouppi et al., section 2: 8-bit units. The paper's cloud part runs at 16 bits; its Fig. 7 fits two passes (Jouppi et al.: two with
    # one 16-bit operand, four with both) and transfers that add to compute.
    weight_bits=(8,),
    act_bits=(8,),
    float_bits=16,
    float_passes=2,
    overlap=False,
    # Jouppi et al., section 2: activation and pooling handle one 256-byte row a cycle.
    vector_bytes_per_s=256 * 700e6,
)
