"""Benchmarks of the compiler itself: each prints figures and judges nothing by the clock."""
