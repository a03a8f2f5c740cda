"""Numerics of quantisation: ranges, rounding, codes, errors."""

from .affine import Affine, affine_of_range, dequantize_array, fake_quantize, quantize_array
from .compensate import RoundedLayer, round_layer, round_layer_widths
from .errors import (
    BITS,
    FORBIDDEN_NSR,
    Errors,
    Samples,
    activation_errors,
    affines_of_range,
    weight_errors,
    wire_errors,
)
from .extent import Extent, Levels
from .histogram import BINS, COLUMNS, histogram_of, samples_of
from .moments import Moments
from .patches import layer_matrix, layer_weights, patches
from .refit import mean_lasts, refit_lasts
from .weights import WEIGHT_BITS, BiasCodes, WeightCodes, code_limits, quantize_bias, quantize_weight

__all__ = [
    "BINS",
    "BITS",
    "COLUMNS",
    "FORBIDDEN_NSR",
    "WEIGHT_BITS",
    "Affine",
    "BiasCodes",
    "Errors",
    "Extent",
    "Levels",
    "Moments",
    "RoundedLayer",
    "Samples",
    "WeightCodes",
    "activation_errors",
    "affine_of_range",
    "affines_of_range",
    "code_limits",
    "dequantize_array",
    "fake_quantize",
    "histogram_of",
    "layer_matrix",
    "layer_weights",
    "mean_lasts",
    "patches",
    "quantize_array",
    "quantize_bias",
    "quantize_weight",
    "refit_lasts",
    "round_layer",
    "round_layer_widths",
    "samples_of",
    "weight_errors",
    "wire_errors",
]
