"""What stages keep: found again as it was, refused where it belongs to something else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.m2unet.dig import Drawn
from hsisr_lite.m2unet.dil import Sensors
from hsisr_lite.m2unet.iie import FirstImage
from hsisr_lite.m2unet.stages import Kept, load_stage
from hsisr_lite.tensor_files import save_tensors
from tests.unit.test_classical_methods import boxes, made_pair, textured


@pytest.fixture
def pair():
    return made_pair(textured(16, 16, 10), 4, hl.gaussian_psf(4), boxes(3, 10))


RESULTS = {
    "dil": Sensors(np.eye(2) / 2, np.ones((1, 3)) / 3, np.zeros((1, 2, 1), np.float32),
                   np.ones((1, 2, 1), np.float32), np.arange(3.0), 7, ["a note", "another"]),
    "iie": FirstImage(np.ones((2, 4, 3), np.float32), np.zeros((2, 4, 3), np.float32),
                      np.zeros(0), 12, []),
    "dig": Drawn(np.full((2, 4, 3), 0.1, np.float32), np.arange(2.0), 5, ["a note"]),
}  # fmt: skip


def same(one, other):
    assert type(one) is type(other)
    for name, value, found in zip(one._fields, one, other, strict=True):
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, found)
            assert value.dtype == found.dtype
        else:
            assert value == found and type(value) is type(found), name


def never(checkpoint):
    raise AssertionError("this stage was there already")


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_stage_comes_back_as_it_was_and_does_not_run_again(tmp_path, pair, name):
    folder, asked = tmp_path / "deep" / "folder", []
    kept = Kept(folder, pair, seed=0)
    assert folder.is_dir()

    def work(checkpoint):
        asked.append(checkpoint)
        return RESULTS[name]

    result, seconds = kept.stage(name, ("a", 1), work)
    assert result is RESULTS[name] and seconds >= 0
    assert [(p.parent, p.name.split("_unfinished")[0]) for p in asked] == [(folder, name)]
    assert [path.name for path in folder.iterdir()] == [f"{name}.pt"]
    again, before = Kept(str(folder), pair, seed=0).stage(name, ("a", 1), never)
    same(RESULTS[name], again)
    assert before == seconds  # of the run that did the work
    same(RESULTS[name], load_stage(folder / f"{name}.pt"))
    same(RESULTS[name], load_stage(str(folder / f"{name}.pt")))


def test_views_and_broadcasts_are_kept_too(tmp_path, pair):
    """X_input before the affine start is one spectrum everywhere: read-only, of stride zero."""
    first = RESULTS["iie"]._replace(before=np.broadcast_to(np.float32([1, 2, 3]), (2, 4, 3)))
    Kept(tmp_path, pair, seed=0).stage("iie", (), lambda checkpoint: first)
    same(first, load_stage(tmp_path / "iie.pt"))


def test_without_a_folder_nothing_is_kept(tmp_path, pair, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept, asked = Kept(None, pair, seed=0), []
    for _ in range(2):
        result, _ = kept.stage("dig", (), lambda c: asked.append(c) or RESULTS["dig"])
        assert result is RESULTS["dig"]
    assert asked == [None, None] and list(tmp_path.iterdir()) == []


def test_a_stage_that_fails_leaves_no_result(tmp_path, pair):
    def work(checkpoint):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Kept(tmp_path, pair, seed=0).stage("dig", (), work)
    assert list(tmp_path.iterdir()) == []


def others(pair):
    """Each differs from the pair in one thing that a stage reads."""
    brighter, shifted = pair.lr_hsi.copy(), pair.hr_msi.copy()
    brighter[2, 1, 3] += 1e-6
    shifted[3, 2, 1] += 1e-6
    valid, low = np.ones((16, 16), bool), np.ones((4, 4), bool)
    valid[2, 3] = low[1, 1] = False
    return {
        "lr_hsi": replace(pair, lr_hsi=brighter),
        "hr_msi": replace(pair, hr_msi=shifted),
        "psf": replace(pair, psf=None),
        "another psf": replace(pair, psf=hl.gaussian_psf(4, fwhm=3.9)),
        "srf": replace(pair, srf=None),
        "noise": replace(pair, noise=(0.0, 0.0)),
        "hr_valid": replace(pair, hr_valid=valid),
        "lr_valid": replace(pair, lr_valid=low),
    }


@pytest.mark.parametrize(
    "what",
    ["lr_hsi", "hr_msi", "psf", "another psf", "srf", "noise", "hr_valid", "lr_valid", "seed",
     "settings"],
)  # fmt: skip
def test_a_result_of_another_run_is_refused_and_kept(tmp_path, pair, what):
    Kept(tmp_path, pair, seed=0).stage("dil", ("convex", 3), lambda c: RESULTS["dil"])
    before = (tmp_path / "dil.pt").read_bytes()
    other = pair if what in ("seed", "settings") else others(pair)[what]
    kept = Kept(tmp_path, other, seed=1 if what == "seed" else 0)
    told = ("convex", 4) if what == "settings" else ("convex", 3)
    with pytest.raises(InputError) as refused:
        kept.stage("dil", told, never)
    said = str(refused.value)
    assert "dil.pt holds a stage of another run" in said and said.endswith("another folder.")
    assert "\n" not in said and said.count(". ") == 0
    assert (tmp_path / "dil.pt").read_bytes() == before


def test_what_no_stage_reads_may_differ(tmp_path, pair):
    Kept(tmp_path, pair, seed=0).stage("dil", (), lambda c: RESULTS["dil"])
    renamed = replace(pair, meta={"name": "b"}, msi_wavelengths=[500.0, 600.0, 700.0])
    found, _ = Kept(tmp_path, renamed, seed=0).stage("dil", (), never)
    np.testing.assert_array_equal(found.psf, RESULTS["dil"].psf)


@pytest.mark.parametrize(
    "content",
    [
        torch.ones(2),
        [1, 2],
        {"weights": {}},
        {"stage": "dil"},
        {"stage": "phi", "values": {}},
        {"stage": "dil", "values": {"psf": torch.ones(2)}},
        {"stage": "dig", "values": [1, 2]},
        {"stage": ["dig"], "values": {}},
    ],
)
def test_a_file_of_something_else_is_no_stage(tmp_path, pair, content):
    path = tmp_path / "dig.pt"
    save_tensors(content, path)
    with pytest.raises(InputError, match=r"dig\.pt holds no stage of M2U-Net"):
        load_stage(path)
    with pytest.raises(InputError, match=r"dig\.pt holds no stage of M2U-Net"):
        Kept(tmp_path, pair, seed=0).stage("dig", (), never)


@pytest.mark.parametrize("missing", ["made_for", "seconds"])
def test_a_stage_without_its_origin_is_no_stage(tmp_path, pair, missing):
    kept, path = Kept(tmp_path, pair, seed=0), tmp_path / "dig.pt"
    kept.stage("dig", (), lambda c: RESULTS["dig"])
    content = torch.load(path, weights_only=True)
    del content[missing]
    save_tensors(content, path)
    with pytest.raises(InputError, match=r"dig\.pt"):
        kept.stage("dig", (), never)


def test_a_file_that_is_missing_or_cut_is_named(tmp_path, pair):
    with pytest.raises(InputError, match="there is no file"):
        load_stage(tmp_path / "dig.pt")
    (tmp_path / "dig.pt").write_bytes(b"half")
    with pytest.raises(InputError, match=r"dig\.pt cannot be read as tensors"):
        Kept(tmp_path, pair, seed=0).stage("dig", (), never)


@pytest.mark.parametrize("folder", [1, b"a", ["a"], True])
def test_a_folder_is_a_string_or_a_path(pair, folder):
    with pytest.raises(InputError, match=r"folder is of type .*: a string or a Path is needed"):
        Kept(folder, pair, seed=0)


@pytest.mark.parametrize("place", ["file", "file/below", "a\0b"])
def test_a_place_that_can_be_no_folder_is_named(tmp_path, pair, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be a folder for results"):
        Kept(tmp_path / place, pair, seed=0)


def test_a_folder_that_cannot_be_written_is_named_before_any_work(tmp_path, pair, monkeypatch):
    """A superuser may write anywhere, so what the system says is set here."""
    monkeypatch.setattr("hsisr_lite.m2unet.stages.os.access", lambda *asked: False)
    with pytest.raises(InputError, match=r"cannot be a folder for results \(it is read-only\)"):
        Kept(tmp_path, pair, seed=0)
