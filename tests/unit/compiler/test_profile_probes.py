"""The small models of a kit: they compute what the halves compute, and their sizes are chosen well."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from autosplitc.codegen import write_side
from autosplitc.engine import Engine
from autosplitc.ir import DType, Graph, Op, TensorType, Value, pack_bits
from autosplitc.profile_probes import CHAINS, chain, opset_probes, pack_codes_probe, pack_probe, unpack_probe, wire_sizes


def loaded(graph: Graph, folder: Path) -> Engine:
    path = folder / "probe.onnx"
    write_side(graph, path)
    return Engine.load(path, "probe")


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_packing_and_unpacking(tmp_path: Path, bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 2**bits, (1, 13)).astype(np.uint8)
    payload = pack_bits(codes.reshape(-1), bits)
    numbers = (codes * 2.0**-bits).astype(np.float32)
    assert loaded(pack_probe(13, bits), tmp_path).run({"x": numbers})["y"].reshape(-1).tolist() == payload.tolist()
    assert loaded(pack_codes_probe(13, bits), tmp_path).run({"x": codes})["y"].reshape(-1).tolist() == payload.tolist()
    assert (loaded(unpack_probe(13, bits), tmp_path).run({"x": payload.reshape(1, -1)})["y"] == numbers).all()


def test_chains_run_every_kernel(tmp_path: Path) -> None:
    """Each adds two ones, and none is folded away."""
    for kernels in CHAINS:
        assert loaded(chain(kernels), tmp_path).run({"x": np.zeros(1, np.float32)})["y"].tolist() == [2 * kernels]


def test_there_is_a_model_of_every_opset_behind(tmp_path: Path) -> None:
    assert list(opset_probes(21)) == [22, 23, 24, 25]
    assert opset_probes(25) == {}
    for version, graph in opset_probes(21).items():
        assert graph.opset == (("", version),)
        assert loaded(graph, tmp_path).run({"x": np.array([[7]], np.float32)})["y"].tolist() == [[7]]


def chain_of(*sizes: int, dtype: DType = DType.F32) -> Graph:
    """Return a graph in which values of the given sizes follow each other."""
    types = [TensorType(dtype, ("N", size)) for size in sizes]
    ops = (Op((f"v{i}",), "onnx.Some", ("x" if i == 1 else f"v{i - 1}",), types=(t,)) for i, t in enumerate(types[1:], 1))
    return Graph("main", (("", 21),), (Value("x", types[0]),), (), tuple(ops), (f"v{len(sizes) - 1}",))


def test_sizes_are_those_of_what_can_cross() -> None:
    assert wire_sizes(chain_of(100, 30, 100, 20, 7)) == (20, 30, 100)
    assert wire_sizes(chain_of(100, 30, dtype=DType.I64)) == ()


def test_many_sizes_become_twelve_evenly_spaced_ones() -> None:
    chosen = wire_sizes(chain_of(*range(1, 4000), 5))
    assert len(chosen) == 12
    assert (chosen[0], chosen[-1]) == (1, 3999)
    ratios = [b / a for a, b in pairwise(chosen[2:])]
    assert max(ratios) / min(ratios) < 1.2
