"""The planning problem and its solvers."""
