"""What is measured once and stored, because it would differ from run to run: seconds."""

import json
from pathlib import Path

SECONDS = Path(__file__).with_name("seconds.json")


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
