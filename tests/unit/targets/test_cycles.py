"""Cycles and v1's utilisation against SCALE-Sim's own rows, and what must hold for every size."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.targets import Dataflow, cycles_v1, cycles_v3
from autosplitc.targets.utilisation_v1 import utilisation_pct

ROWS_FOLDER = Path(__file__).parents[2] / "data" / "scalesim"
DATAFLOWS: tuple[Dataflow, ...] = ("os", "ws", "is")
SIZES = st.integers(1, 60)
ARRAY = st.integers(1, 16)


def reference(file: str) -> list[dict[str, str]]:
    with (ROWS_FOLDER / file).open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize(
    ("model", "file", "column", "dataflow", "count"),
    [
        (cycles_v1.cycles, "scalesim_v1_compute.csv", "cycles", "os", 92),
        (cycles_v1.cycles, "scalesim_v1_compute.csv", "cycles", "ws", 70),
        (cycles_v1.cycles, "scalesim_v1_compute.csv", "cycles", "is", 59),
        (cycles_v1.cycles, "corners_v1_compute.csv", "cycles", "os", 21),
        (cycles_v1.cycles, "corners_v1_compute.csv", "cycles", "ws", 21),
        (cycles_v1.cycles, "corners_v1_compute.csv", "cycles", "is", 21),
        (cycles_v3.cycles, "scalesim_v3_compute.csv", "compute_cycles", "os", 159),
        (cycles_v3.cycles, "scalesim_v3_compute.csv", "compute_cycles", "ws", 183),
        (cycles_v3.cycles, "scalesim_v3_compute.csv", "compute_cycles", "is", 153),
    ],
)
def test_every_reference_row_is_exact(
    model: Callable[[Dataflow, int, int, int, int, int], int], file: str, column: str, dataflow: Dataflow, count: int
) -> None:
    rows = [row for row in reference(file) if row["dataflow"] == dataflow]
    found = [model(dataflow, *(int(row[name]) for name in ("M", "N", "K", "R", "C"))) for row in rows]
    assert len(rows) == count
    assert found == [int(row[column]) for row in rows]


@pytest.mark.parametrize(("file", "count"), [("scalesim_v1_compute.csv", 221), ("corners_v1_compute.csv", 63)])
def test_utilisation_is_exact_to_the_printed_digit(file: str, count: int) -> None:
    """The corners: rows that wait for one another, one tap a filter, shares halfway between two printed ones."""
    flows: dict[str, Dataflow] = {flow: flow for flow in DATAFLOWS}
    rows = reference(file)
    found = [utilisation_pct(flows[row["dataflow"]], *(int(row[name]) for name in ("M", "N", "K", "R", "C"))) for row in rows]
    assert len(rows) == count
    assert [str(round(pct, 4)) for pct in found] == [row["util_pct"] for row in rows]


@given(m=SIZES, n=SIZES, k=SIZES, rows=ARRAY, cols=ARRAY)
@settings(deadline=None)
def test_utilisation_is_a_share(m: int, n: int, k: int, rows: int, cols: int) -> None:
    for dataflow in DATAFLOWS:
        assert 0 < utilisation_pct(dataflow, m, n, k, rows, cols) <= 100 + 1e-9


@given(m=SIZES, n=SIZES, k=SIZES, rows=ARRAY, cols=ARRAY)
def test_no_unit_does_two_products_in_a_cycle(m: int, n: int, k: int, rows: int, cols: int) -> None:
    for model in (cycles_v1.cycles, cycles_v3.cycles):
        for dataflow in DATAFLOWS:
            assert model(dataflow, m, n, k, rows, cols) * rows * cols >= m * n * k


@given(m=SIZES, n=SIZES, k=SIZES, rows=ARRAY, cols=ARRAY)
def test_more_work_takes_no_fewer_cycles(m: int, n: int, k: int, rows: int, cols: int) -> None:
    for model in (cycles_v1.cycles, cycles_v3.cycles):
        for dataflow in DATAFLOWS:
            base = model(dataflow, m, n, k, rows, cols)
            slack = rows if (model, dataflow) == (cycles_v1.cycles, "os") else 0
            assert model(dataflow, m + 1, n, k, rows, cols) >= base - slack * -(-n // cols)
            assert model(dataflow, m, n + 1, k, rows, cols) >= base
            assert model(dataflow, m, n, k + 1, rows, cols) >= base


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_an_empty_product_takes_no_cycles(dataflow: Dataflow) -> None:
    for size in ((0, 3, 3), (3, 0, 3), (3, 3, 0)):
        assert cycles_v1.cycles(dataflow, *size, 4, 4) == 0
        assert utilisation_pct(dataflow, *size, 4, 4) == 0
        assert cycles_v3.cycles(dataflow, *size, 4, 4) == 0
