"""The second-order error of a rounded layer, and what it says about the order and the feedback of rounding.

Rounding weights w of one result to v adds (w - v) H (w - v)' to the mean squared error of that result, H the second moment of the centred
inputs plus a damping. With H = (U + I) diag(weight) (U + I)', U strictly upper, the error is sum_k weight_k ((w - v)(U + I))_k^2: rounded
one after the other, input k best takes the value nearest to w_k + sum_{j<k} (w - v)_j U_jk. That is error-compensated rounding (Frantar et
al. 2022, GPTQ) in the form of Chee et al. 2023 (LDLQ), which needs no inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .moments import Moments, Sums

_LARGEST_DAMPING = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """H of g problems and its factors, inputs ordered from the strongest to the weakest.

    order: [g, d], the inputs by rank. hessian: [g, d, d] in that order. feedback: f32[g, d, d], U + I. weight: f64[g, d].
    """

    order: NDArray[np.int64]
    hessian: Sums
    feedback: NDArray[np.float32]
    weight: NDArray[np.float64]

    @staticmethod
    def of(moments: Moments, damping: float) -> Curvature:
        """Return the curvature with `damping` parts of the mean input power added to each input's."""
        gram = moments.gram / moments.gram.dtype.type(moments.count)
        order = np.argsort(-np.diagonal(gram, axis1=1, axis2=2), axis=1, kind="stable")
        hessian = np.stack([h[np.ix_(o, o)] for h, o in zip(gram, order, strict=True)])
        while True:
            damped = add_damping(hessian, damping)
            try:
                lower = np.linalg.cholesky(damped[:, ::-1, ::-1].astype(np.float64))
            except np.linalg.LinAlgError:
                if damping > _LARGEST_DAMPING:
                    raise
                damping = max(10 * damping, 1e-6)
                continue
            break
        upper = lower[:, ::-1, ::-1]
        root = np.diagonal(upper, axis1=1, axis2=2)
        return Curvature(order, damped, (upper / root[:, None, :]).astype(np.float32), np.square(root, dtype=np.float64))

    def ranked(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return [g, r, d] as [g, d, r], inputs by rank."""
        return np.ascontiguousarray(np.take_along_axis(rows, self.order[:, None, :], axis=2).swapaxes(1, 2))

    def unranked(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return [g, d, r], inputs by rank, as [g, r, d] in their own order."""
        rows = np.empty((columns.shape[0], columns.shape[2], columns.shape[1]), columns.dtype)
        np.put_along_axis(rows, np.broadcast_to(self.order[:, None, :], rows.shape), columns.swapaxes(1, 2), axis=2)
        return rows

    def error(self, difference: Sums) -> NDArray[np.float64]:
        """Return f64[g, r], the second-order error of ranked differences [g, d, r]."""
        along = self.feedback.swapaxes(1, 2) @ difference
        return np.einsum("gk,gkr,gkr->gr", self.weight, along, along, optimize=True)


def add_damping(hessian: Sums, damping: float) -> Sums:
    """Return the second moments [g, d, d] with `damping` parts of a group's mean input power added to each input's, and never nothing."""
    width = hessian.shape[-1]
    power = np.trace(hessian, axis1=1, axis2=2, dtype=np.float64) / width
    added = np.where(power > 0, damping * power, 1.0)
    damped = hessian.copy()
    damped += added[:, None, None].astype(hessian.dtype) * np.eye(width, dtype=hessian.dtype)
    return damped
