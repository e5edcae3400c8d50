"""fuse: its settings, its registry, and where they come from."""

from importlib import import_module

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from hsisr_lite import fuse, load_scene, methods, simulate
from hsisr_lite.arrays import InputError
from hsisr_lite.baselines import bicubic
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


@pytest.mark.parametrize("seed", ["a", -1, 1.5, True, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InputError, match="whole number of at least 0"):
        Run.resolve(seed=seed)


def test_fuse_says_what_it_was_given_instead_of_a_pair():
    scene = load_scene("synthetic")
    with pytest.raises(InputError, match="given a Scene: an ObservedPair is needed"):
        fuse(scene)
    with pytest.raises(InputError, match="is not known: one of bicubic"):
        fuse(simulate(scene), method=["bicubic"])


def test_a_setting_reaches_the_method_and_an_unknown_one_is_named():
    pair = simulate(load_scene("synthetic"), blind=False)
    few, many = (fuse(pair, "scott", ranks=(96, 96, rank)).hr_hsi for rank in (1, 3))
    # A cube of spectral rank one has one spectrum, up to its brightness: all columns parallel.
    assert np.linalg.matrix_rank(few.reshape(-1, few.shape[2]), tol=1e-3) == 1
    assert np.linalg.matrix_rank(many.reshape(-1, many.shape[2]), tol=1e-3) == 3
    with pytest.raises(InputError, match="scott has no setting 'rank': its settings are ranks"):
        fuse(pair, "scott", rank=3)
    with pytest.raises(InputError, match="bicubic has no setting 'rank': it has no settings"):
        fuse(pair, "bicubic", rank=3)


def test_small_classical_fusions_use_one_blas_thread(monkeypatch):
    seen = []

    def spy(pair, run):
        seen.append([library["num_threads"] for library in threadpool_info()])
        return bicubic.bicubic(pair, run)

    monkeypatch.setattr("hsisr_lite.baselines.regression.regression", spy)
    pair = simulate(load_scene("synthetic"), 4)
    fuse(pair, "regression")
    room = import_module("hsisr_lite.methods")  # the package's attribute is the function
    monkeypatch.setattr(room, "_LARGE", 1000)
    before = [library["num_threads"] for library in threadpool_info()]
    fuse(pair, "regression")
    assert set(seen[0]) <= {1, *before} and 1 in seen[0]
    assert seen[1] == before


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch sees no GPU"):
        Run.resolve(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Run.resolve(device="cuda").device == "cuda"
