"""The stored tables of M2U-Net belong to the code that is there, and hold every cell and seed."""

import json
import shutil

import pytest
import sweep_m2unet

from hsisr_lite.benchmark import stored_m2unet

SCORES = ("psnr", "sam", "first_psnr", "first_sam")


def test_the_measured_code_has_not_changed_since():
    """Red? Run tools/sweep_m2unet.py: a quarter of an hour."""
    assert stored_m2unet()["fingerprint"] == sweep_m2unet.taken()


@pytest.mark.parametrize("changed", ["m2unet/unet.py", "fitting.py", "baselines/regression.py"])
def test_the_fingerprint_notices_a_change_of_code(changed, monkeypatch, tmp_path):
    before = sweep_m2unet.taken()
    shutil.copytree(sweep_m2unet.ROOT / "hsisr_lite", tmp_path / "hsisr_lite")
    monkeypatch.setattr(sweep_m2unet, "ROOT", tmp_path)
    assert sweep_m2unet.taken() == before
    with (tmp_path / "hsisr_lite" / changed).open("a") as file:
        file.write("\n# another network now\n")
    assert sweep_m2unet.taken() != before


def test_the_fingerprint_notices_a_change_of_settings(monkeypatch):
    before = sweep_m2unet.taken()
    monkeypatch.setattr(sweep_m2unet, "STEPS", (6000, 400, 401))
    assert sweep_m2unet.taken() != before


def test_every_cell_holds_every_seed():
    stored = stored_m2unet()
    factors = stored["factors"]["at"]
    assert list(stored["cells"]) == list(sweep_m2unet.CELLS)
    assert list(factors) == [str(factor) for factor in sweep_m2unet.FACTORS]
    rows = [*stored["cells"].values()]
    rows += [at[name] for at in factors.values() for name in ("published", "together")]
    for row in rows:
        assert row["parameters"] > 0
        assert all(len(row[score]) == len(sweep_m2unet.SEEDS) for score in SCORES)
    assert all(set(at["regression"]) == {"psnr", "sam"} for at in factors.values())
    for ratios in stored["step_time"].values():
        assert list(ratios) == list(sweep_m2unet.SPEEDS) and min(ratios.values()) > 0
        assert ratios["published"] == 1


def test_the_file_says_what_was_measured():
    stored = stored_m2unet()
    told = [sweep_m2unet.PAIR, sweep_m2unet.CELLS, sweep_m2unet.STEPS, sweep_m2unet.SEEDS]
    kept = [
        {key: stored[key] for key in sweep_m2unet.PAIR},
        {name: row["differs"] for name, row in stored["cells"].items()},
        stored["steps"],
        stored["seeds"],
    ]
    assert kept == json.loads(json.dumps(told))  # JSON knows lists, not tuples


def test_a_cell_of_the_sweep_is_what_fuse_gives():
    """Stages that cells share change nothing, to the last bit: each has its own seed."""
    import hsisr_lite as hl

    observed = sweep_m2unet.Observed([24, 24, 16], 4, (3, 2, 2))
    settings = {"steps": (3, 2, 2), "features": 6, "progress": False, "seed": 1}
    observed.cell(1, features=5)  # what is shared has been used before
    for method, changes in (
        ("m2unet_published", {}),
        ("m2unet", {"bf16": False, "fused": False, "channels_last": False}),
    ):
        told = sweep_m2unet.CELLS["together" if changes else "published"]
        row = observed.cell(1, **told, features=6)
        result = hl.fuse(observed.blind, method, **settings, **changes)
        assert observed.scores(result.hr_hsi) == {name: row[name] for name in SCORES[:2]}
        assert observed.scores(result.history["iie"]["end"])["psnr"] == row["first_psnr"]


def test_streams_average_to_the_first_image():
    """X_input is the mean of both streams, up to float32's rounding."""
    observed = sweep_m2unet.Observed([24, 24, 16], 4, (3, 2, 2))
    images = observed.first(True, "adam", "sml", 0)
    mean = (images["stream1"] + images["stream2"]) / 2
    assert abs(mean - images["mean"]).max() < 1e-5
    assert abs(images["stream1"] - images["stream2"]).max() > 1e-3
    assert images["noise"].shape == images["mean"].shape


def test_an_interrupted_sweep_goes_on_where_it_was(monkeypatch, tmp_path):
    made = []

    def piece(name, failing=False):
        def work(pair):
            if failing:
                raise KeyboardInterrupt
            made.append(name)
            return {"psnr": 1.0}

        return work

    monkeypatch.setattr(sweep_m2unet, "UNFINISHED", tmp_path / "unfinished.json")
    names = list(sweep_m2unet.plan())
    half = {name: piece(name, failing=name == names[2]) for name in names}
    monkeypatch.setattr(sweep_m2unet, "plan", lambda: half)
    with pytest.raises(KeyboardInterrupt):
        sweep_m2unet.measure()
    assert made == names[:2]
    whole = {name: piece(name) for name in names}
    for name in names:
        if name.startswith(("cell", "factor")) and name[-1].isdigit():
            whole[name] = lambda pair, name=name: made.append(name) or {"parameters": 1}
    monkeypatch.setattr(sweep_m2unet, "plan", lambda: whole)
    # The first two are kept: a regression, and a cell, which knows no parameters yet
    kept = json.loads(sweep_m2unet.UNFINISHED.read_text())
    kept["done"][names[1]] = {"parameters": 1}
    sweep_m2unet.UNFINISHED.write_text(json.dumps(kept))
    content = sweep_m2unet.measure()
    assert made == names and list(content["cells"]) == list(sweep_m2unet.CELLS)
