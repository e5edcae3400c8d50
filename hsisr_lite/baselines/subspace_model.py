"""Few numbers per spectrum: the subspace in which `fuse` and `hysure` work, and its weights."""

from typing import NamedTuple

import numpy as np

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.unmixing import svd_subspace

LARGEST_RANK = 15  # as the published code of FUSE has it
_FLOOR = 1e-4  # no image is trusted beyond a ten-thousandth of its root mean square


class SubspaceModel(NamedTuple):
    """The LrHSI in few numbers per pixel, and how far each image is to be trusted."""

    basis: np.ndarray  # E (rank, bands), orthonormal rows
    low: np.ndarray  # Y E* (low rows, low cols, rank)
    hsi_variance: np.ndarray  # (bands,)
    msi_variance: np.ndarray  # (msi_bands,)
    notes: list


def subspace_model(pair, inputs, rank):
    """Choose the subspace, and weigh both images by their noise and by what the subspace misses.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> from hsisr_lite.baselines.inputs import prepare
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=8, blind=False)
    >>> subspace_model(pair, prepare(pair), rank=4).low.shape
    (12, 12, 4)
    """
    lr_hsi = inputs.lr_hsi
    noise = estimate_noise(pair, inputs.operator.psf)
    basis, singular_values = svd_subspace(lr_hsi, rank)
    if rank is None:
        # Noise alone has singular values up to sd (sqrt(pixels) + sqrt(bands)).
        pixels, bands = lr_hsi[..., 0].size, lr_hsi.shape[2]
        edge = np.sqrt(basis**2 @ noise.hsi**2) * (np.sqrt(pixels) + np.sqrt(bands))
        edge += 1e-6 * singular_values[0]  # float32 images carry seven digits
        rank = np.clip(np.sum(singular_values > edge), 1, LARGEST_RANK)
        basis = basis[:rank]
    low = lr_hsi @ basis.T
    unseen = lr_hsi - low @ basis
    least = np.finfo(float).tiny + _FLOOR**2 * np.mean(lr_hsi**2)
    return SubspaceModel(
        basis,
        low,
        noise.hsi**2 + least,
        noise.msi**2 + np.mean((unseen @ inputs.srf.T) ** 2, axis=(0, 1)) + least,
        [f"spectra in a subspace of {rank} dimensions."],
    )


def missing_detail(inputs, low):
    r"""Variance, per component, of what an enlarged image lacks.

    The components are known at low resolution only. There, enlarging their 2 x 2 means misses
    :math:`v_k`. The MSI is known at both resolutions: what enlarging :math:`P Z` misses of Z, over
    what enlarging its 2 x 2 means misses of :math:`P Z`, carries :math:`v_k` to the fine grid.
    """
    operator = inputs.operator
    low_msi = operator.A(inputs.hr_msi)
    centre = psf_centre(operator.psf, operator.ratio)
    fine = np.mean((inputs.hr_msi - upsample(low_msi, operator.ratio, centre)) ** 2)
    coarse = np.mean(_missed_by_halving(low_msi) ** 2)
    variance = np.mean(_missed_by_halving(low) ** 2, axis=(0, 1))  # (rank,)
    least = np.finfo(float).tiny + 1e-9 * np.mean(low**2)
    return variance * (fine / coarse if coarse > 0 else 1) + least


def _missed_by_halving(image):
    rows, cols, bands = image.shape
    if min(rows, cols) < 2:
        return image - image.mean(axis=(0, 1))
    image = image[: rows // 2 * 2, : cols // 2 * 2]
    blocks = image.reshape(rows // 2, 2, cols // 2, 2, bands)  # 2 x 2 blocks
    return image - upsample(blocks.mean(axis=(1, 3)), 2)
