"""Stored seconds belong to the code that is there, and to every method without a network."""

import shutil

import measure_seconds

from hsisr_lite.benchmark import stored_seconds
from hsisr_lite.methods import methods


def test_the_measured_code_has_not_changed_since():
    """Red? Run tools/measure_seconds.py: it takes less than a minute."""
    assert stored_seconds()["fingerprint"] == measure_seconds.taken()


def test_the_fingerprint_notices_a_change(monkeypatch, tmp_path):
    before = measure_seconds.taken()
    shutil.copytree(measure_seconds.ROOT / "hsisr_lite", tmp_path / "hsisr_lite")
    monkeypatch.setattr(measure_seconds, "ROOT", tmp_path)
    assert measure_seconds.taken() == before
    with (tmp_path / "hsisr_lite" / "baselines" / "scott.py").open("a") as file:
        file.write("\n# slower now\n")
    assert measure_seconds.taken() != before


def test_every_method_without_a_network_was_measured():
    stored = stored_seconds()["methods"]
    networks = ("daem", "m2unet", "uafl")
    assert set(stored) == {name for name in methods() if not name.startswith(networks)}
    assert set(stored) == set(measure_seconds.without_network())
    assert all(row["seconds"] > 0 and row["psnr"] > 15 for row in stored.values())
