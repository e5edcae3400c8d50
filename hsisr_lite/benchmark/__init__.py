"""What is measured once and stored: seconds, which differ from run to run, and long sweeps."""

import json
from pathlib import Path

SECONDS = Path(__file__).with_name("seconds.json")
M2UNET = Path(__file__).with_name("m2unet.json")
UAFL = Path(__file__).with_name("uafl.json")


def stored_seconds():
    """CPU seconds of every method without a network, and the PSNR that they bought.

    ``tools/measure_seconds.py`` wrote them on one core; a test fails when the code that they
    measured has changed since.

    Returns
    -------
    stored : dict
        ``scene``, ``ratio``, ``sensor``, the pair; ``methods``, name to ``seconds`` and ``psnr``
        in decibels; ``versions`` and ``fingerprint`` of what was measured.

    Examples
    --------
    >>> stored_seconds()["scene"]
    'synthetic'
    """
    return json.loads(SECONDS.read_text(encoding="utf-8"))


def stored_m2unet():
    """What becomes of M2U-Net when one thing about it is changed at a time.

    ``tools/sweep_m2unet.py`` measured it on one core, in lesson size; a test fails when the code
    that it measured has changed since.

    Returns
    -------
    stored : dict
        ``scene``, ``ratio``, ``sensor``, ``crop`` (row, column, side), the pair; ``steps`` of the
        three stages, ``features`` and ``seeds``; ``published``, the form that each of ``cells``
        differs from by its ``differs``. A cell has ``psnr`` (decibels) and ``sam`` (degrees) of
        stage 3, ``first_psnr`` and ``first_sam`` of what it started from, one number per seed, and
        ``parameters`` of stage 3. ``regression``: scores of the affine map. ``factors``: the same
        ``at`` other ratios, on a ``crop`` and with ``steps`` of its own. ``step_time``: seconds of
        a step of stage 3 relative to the published one, by features. ``bf16_in_hardware``,
        ``versions`` and ``fingerprint`` of what was measured.

    Examples
    --------
    >>> stored_m2unet()["features"]
    16
    """
    return json.loads(M2UNET.read_text(encoding="utf-8"))


def stored_uafl():
    """What becomes of UAFL when one thing about it is changed at a time.

    ``tools/sweep_uafl.py`` measured it on one core, in lesson size; a test fails when the code that
    it measured has changed since. All PSNR are in decibels and in the LrHSI's frame.

    Returns
    -------
    stored : dict
        ``scene``, ``ratio``, ``sensor``, ``pixels`` (mean length of the flow), the pair; ``steps``
        of each form, ``seeds``, and the ``few`` of the curves; ``published``, that form in the
        settings of method ``uafl``. Each of ``cells`` has its ``form``, what ``differs`` from it,
        ``psnr``, ``sam`` (degrees) and ``start``, the PSNR of what it started from, one number per
        seed, and ``parameters``. ``volume``: what its flow has of the true one on ``crops`` that it
        has not seen, after so many ``steps``: ``correlation``, ``end_point_error`` and mean
        ``flow``, in pixels. ``endmembers``: PSNR by form and K. ``misregistration``, by mean
        flow in pixels, and ``ratios``, by ratio: ``ours``, ``published``, and ``methods``, each
        ``misregistered`` and ``registered``; ``msi_frame``, the PSNR of ``srf_regression`` against
        the truth in the HrMSI's frame; ``left``, mean pixels that registration leaves.
        ``versions`` and ``fingerprint`` of what was measured.

    Examples
    --------
    >>> stored_uafl()["ratio"]
    4
    """
    return json.loads(UAFL.read_text(encoding="utf-8"))
