"""Packing of codes into bit streams and back: every width, every length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.ir import pack_bits, packed_bytes, unpack_bits

WIDTHS = [(bits, signed) for bits in range(1, 9) for signed in (False, True) if not (signed and bits == 1)]


@pytest.mark.parametrize(("bits", "signed"), WIDTHS)
def test_every_length_comes_back(bits: int, signed: bool) -> None:
    rng = np.random.default_rng(bits)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    for length in range(301):
        codes = rng.integers(low, high, length).astype(np.int8 if signed else np.uint8)
        data = pack_bits(codes, bits)
        assert data.dtype == np.uint8
        assert data.size == packed_bytes(length, bits) == -(-length * bits // 8)
        back = unpack_bits(data, bits, length, signed=signed)
        assert back.dtype == codes.dtype
        np.testing.assert_array_equal(back, codes)


@given(st.integers(1, 8), st.lists(st.integers(0, 255), max_size=64))
def test_stream_is_the_number_with_the_first_code_lowest(bits: int, codes: list[int]) -> None:
    packed = pack_bits(np.array(codes, np.uint8), bits)
    number = sum((code % 2**bits) << (i * bits) for i, code in enumerate(codes))
    assert packed.tobytes() == number.to_bytes(packed_bytes(len(codes), bits), "little")


@given(st.integers(1, 8), st.integers(1, 300))
def test_shapes_are_taken_in_c_order(bits: int, count: int) -> None:
    codes = (np.arange(2 * count) % 2**bits).astype(np.uint8).reshape(2, count)
    np.testing.assert_array_equal(pack_bits(codes, bits), pack_bits(codes.reshape(-1), bits))
    np.testing.assert_array_equal(pack_bits(codes.T, bits), pack_bits(np.ascontiguousarray(codes.T), bits))


@pytest.mark.parametrize("bits", range(1, 9))
def test_short_streams_are_refused(bits: int) -> None:
    data = pack_bits(np.zeros(17, np.uint8), bits)
    with pytest.raises(ValueError, match="17 codes"):
        unpack_bits(data[:-1], bits, 17, signed=False)
