"""Unmixing: which spectra a scene is made of, and how much of each every pixel holds.

Images are ``(rows, cols, bands)`` or ``(pixels, bands)``, endmembers ``(materials, bands)``,
abundances ``(rows, cols, materials)`` or ``(pixels, materials)``.
"""

from hsisr_lite.unmixing.abundances import fcls, nnls_abundances
from hsisr_lite.unmixing.endmembers import Extracted, nfindr, vca
from hsisr_lite.unmixing.factorisation import Factors, nmf
from hsisr_lite.unmixing.matching import Match, match
from hsisr_lite.unmixing.subspace import Subspace, signal_rank, svd_subspace

__all__ = [
    "Extracted",
    "Factors",
    "Match",
    "Subspace",
    "fcls",
    "match",
    "nfindr",
    "nmf",
    "nnls_abundances",
    "signal_rank",
    "svd_subspace",
    "vca",
]
