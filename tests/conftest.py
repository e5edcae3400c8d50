"""What all tests share: the settings they run under, and the folders of real data, if any."""

import os
from pathlib import Path

import pytest

# The tests state their scene, budget and device themselves, whatever the caller's shell says.
for setting in ("HSISR_SCENE", "HSISR_BUDGET", "HSISR_DEVICE"):
    os.environ.pop(setting, None)


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real scenes that HSISR_DATA names; the test is skipped without one."""
    folder = os.environ.get("HSISR_DATA")
    if not folder:
        pytest.skip("HSISR_DATA names no folder of real scenes")
    assert Path(folder).is_dir(), f"HSISR_DATA is no folder: {folder}"
    return Path(folder)


@pytest.fixture(scope="session")
def reference_folder(data_folder):
    """The folder ``reference`` beside the real scenes; the test is skipped without one."""
    folder = data_folder.parent / "reference"
    if not folder.is_dir():
        pytest.skip("no folder 'reference' beside HSISR_DATA")
    return folder
