"""fuse: its settings, its registry, and where they come from."""

import pytest
import torch

from hsisr_lite import fuse, methods
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run


def test_names_come_with_a_sentence_and_survive_an_import_of_their_room():
    import hsisr_lite.methods

    assert callable(methods) and callable(hsisr_lite.methods) and callable(fuse)
    assert all(text.endswith(".") and "\n" not in text for text in methods().values())


def test_environment_fills_in_what_no_argument_says(monkeypatch):
    monkeypatch.setenv("HSISR_BUDGET", "paper")
    monkeypatch.setenv("HSISR_DEVICE", "cpu")
    assert (Run.resolve().budget, Run.resolve().device) == ("paper", "cpu")
    assert Run.resolve(budget="lite").budget == "lite"
    monkeypatch.setenv("HSISR_BUDGET", "huge")
    with pytest.raises(InputError, match="check the argument and HSISR_BUDGET"):
        Run.resolve()


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch sees no GPU"):
        Run.resolve(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Run.resolve(device="cuda").device == "cuda"
