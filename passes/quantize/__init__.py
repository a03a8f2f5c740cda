"""Numerics of quantisation: ranges, rounding, codes."""
