"""The stored tables of UAFL belong to the code that is there, and hold every row and seed."""

import json
import shutil

import numpy as np
import pytest
import sweep_uafl
import torch

import hsisr_lite as hl
from hsisr_lite.benchmark import stored_uafl
from hsisr_lite.degradation.flows import inverse_flow
from hsisr_lite.uafl.crops import Crops
from hsisr_lite.unmixing.subspace import svd_subspace


@pytest.fixture(scope="module")
def observed():
    return sweep_uafl.Observed(4, side=32)


def test_the_measured_code_has_not_changed_since():
    """Red? Run tools/sweep_uafl.py: a quarter of an hour."""
    assert stored_uafl()["fingerprint"] == sweep_uafl.taken()


@pytest.mark.parametrize(
    "changed", ["uafl/cfda.py", "fitting.py", "baselines/hysure.py", "degradation/flows.py"]
)
def test_the_fingerprint_notices_a_change_of_code(changed, monkeypatch, tmp_path):
    before = sweep_uafl.taken()
    shutil.copytree(sweep_uafl.ROOT / "hsisr_lite", tmp_path / "hsisr_lite")
    monkeypatch.setattr(sweep_uafl, "ROOT", tmp_path)
    assert sweep_uafl.taken() == before
    with (tmp_path / "hsisr_lite" / changed).open("a") as file:
        file.write("\n# another network now\n")
    assert sweep_uafl.taken() != before


def test_training_on_a_folder_is_not_what_was_measured(monkeypatch, tmp_path):
    before = sweep_uafl.taken()
    shutil.copytree(sweep_uafl.ROOT / "hsisr_lite", tmp_path / "hsisr_lite")
    monkeypatch.setattr(sweep_uafl, "ROOT", tmp_path)
    with (tmp_path / "hsisr_lite/uafl/folder_training.py").open("a") as file:
        file.write("\n# another loader now\n")
    assert sweep_uafl.taken() == before


def test_the_fingerprint_notices_a_change_of_settings(monkeypatch):
    before = sweep_uafl.taken()
    monkeypatch.setattr(sweep_uafl, "STEPS", {"published": 150, "ours": 101})
    assert sweep_uafl.taken() != before


def test_every_row_holds_every_seed():
    stored = stored_uafl()
    assert list(stored["cells"]) == list(sweep_uafl.cells())
    for row in stored["cells"].values():
        assert row["parameters"] > 0
        assert all(len(row[key]) == len(sweep_uafl.SEEDS) for key in ("psnr", "sam", "start"))
    for form, counts in sweep_uafl.ENDMEMBERS.items():
        assert list(stored["endmembers"][form]) == [str(count) for count in counts]
    few = len(sweep_uafl.FEW)
    assert list(stored["misregistration"]) == [str(pixels) for pixels in sweep_uafl.PIXELS]
    assert list(stored["ratios"]) == [str(ratio) for ratio in sweep_uafl.RATIOS]
    for table in [*stored["misregistration"].values(), *stored["ratios"].values()]:
        assert list(table["methods"]) == sweep_uafl.classical()
        assert all(len(table[key]) == few for key in ("ours", "published", "msi_frame", "left"))
        for states in table["methods"].values():
            assert [len(values) for values in states.values()] == [few, few]


def test_the_volume_learns_to_match():
    """What is asked of it on crops it has not seen: a correlation of 0.8, an error of one pixel."""
    volume = stored_uafl()["volume"]
    assert volume["crops"] == sweep_uafl.HELD_OUT and volume["steps"] == sweep_uafl.VOLUME_STEPS
    assert len(volume["correlation"]) == len(sweep_uafl.FEW)
    assert min(volume["correlation"]) >= 0.8
    assert max(volume["end_point_error"]) <= 1
    assert min(volume["flow"]) > 2


@pytest.mark.parametrize("times", [1.0, 0.5, -1.0])
def test_a_found_flow_is_compared_with_the_true_one(observed, monkeypatch, times):
    """In place of the volume, the true flow times a number: the error is the rest of its length.

    The networks have it (right, down), in float32, and round edges of 48 pixels up to 64.
    """
    from hsisr_lite.uafl.correlation import CorrelationCFDA

    truth, draw = [], Crops.draw

    def kept(self, rng):
        crop = draw(self, rng)
        truth.append(inverse_flow(crop.flow))
        return crop

    def told(self, g, f):
        padded = np.zeros((2, *f.shape[-2:]), np.float32)
        flow = truth[-1]
        padded[:, : flow.shape[1], : flow.shape[2]] = times * flow[::-1]
        return torch.from_numpy(padded)[None], torch.ones(1, 1, *f.shape[-2:])

    monkeypatch.setattr(Crops, "draw", kept)
    monkeypatch.setattr(CorrelationCFDA, "flow_and_similarity", told)
    found = sweep_uafl.matched(observed.seen(1.0, 1), 1, 2, 1)
    assert found["flow"] > 1
    # Stored to four digits
    assert np.isclose(found["end_point_error"], abs(1 - times) * found["flow"], atol=1e-4)
    assert found["correlation"] == np.sign(times)


def test_the_file_says_what_was_measured():
    stored = stored_uafl()
    told = [sweep_uafl.PAIR, sweep_uafl.STEPS, sweep_uafl.SEEDS, sweep_uafl.AS_PUBLISHED]
    kept = [{key: stored[key] for key in sweep_uafl.PAIR}, stored["steps"], stored["seeds"]]
    assert [*kept, stored["published"]] == json.loads(json.dumps(told))  # JSON has lists only
    cells = {name: [row["form"], row["differs"]] for name, row in stored["cells"].items()}
    assert cells == json.loads(json.dumps(sweep_uafl.cells()))


def test_curves_and_tables_share_their_cells():
    """One piece of work by several names has one result."""
    stored, few = stored_uafl(), len(sweep_uafl.FEW)
    base, ratio = str(sweep_uafl.PAIR["pixels"]), str(sweep_uafl.PAIR["ratio"])
    for form, name, count in (("ours", "ours", "6"), ("published", "full", "3")):
        expected = stored["cells"][name]["psnr"][:few]
        assert stored["endmembers"][form][count] == expected
        assert stored["ratios"][ratio][form] == expected
    assert stored["misregistration"][base]["ours"] == stored["cells"]["ours"]["psnr"][:few]
    # Trained at that distance, so the same network: a file of weights keeps every bit
    assert stored["misregistration"][base]["published"] == stored["cells"]["full"]["psnr"][:few]
    both = stored["misregistration"][base]["methods"], stored["ratios"][ratio]["methods"]
    assert both[0] == both[1]


def test_every_alignment_of_the_network_has_its_row():
    from hsisr_lite.uafl.network import ALIGNMENTS

    ladder = [told["alignment"] for form, told in sweep_uafl.cells().values() if "merging" in told
              and form == "published"]  # fmt: skip
    assert set(ladder) == set(ALIGNMENTS)


def test_the_ladder_climbs_one_part_at_a_time():
    """Counted at full size, the rows are those of the paper, to the digits that it prints."""
    from hsisr_lite.uafl import UAFL

    printed = {"unmixing": 5.05, "scaca": 4.85, "cfda": 5.85, "dcnv2": 5.78, "full": 5.94}
    rows = sweep_uafl.cells()
    for name, millions in printed.items():
        count = sum(values.numel() for values in UAFL(**rows[name][1]).parameters())
        assert int(count / 1e4) / 100 == millions  # the paper cuts off
    count = sum(v.numel() for v in UAFL(bands=31, **rows["baseline"][1]).parameters())
    assert int(count / 1e4) / 100 == 5.08


@pytest.mark.parametrize("form", ["ours", "published"])
def test_a_cell_is_what_fuse_gives(observed, form):
    """The shared registration and the spelled-out settings change nothing, to the last bit."""
    method, told = {"ours": ("uafl", {}), "published": ("uafl_published", sweep_uafl.AS_PUBLISHED)}[
        form
    ]
    made = observed.ours(1.0, 1, {"steps": 2, **told}).hr_hsi
    alone = hl.fuse(observed.seen(1.0, 1), method, seed=1, steps=2, progress=False).hr_hsi
    assert np.array_equal(made, alone)


def test_a_row_without_unmixing_differs_in_its_endmembers_alone(observed):
    """Given the SVD's endmembers it is the published training; float32 sums in another order."""
    seen = observed.seen(1.0, 1)
    basis = svd_subspace(seen.lr_hsi.astype(np.float64), 3).basis
    made = sweep_uafl.on_basis(seen, basis, {}, 2, 1)
    alone = hl.fuse(seen, "uafl_published", seed=1, steps=2, progress=False)
    assert made.parameters == alone.parameters
    assert np.abs(made.hr_hsi - alone.hr_hsi).max() < 1e-6


def test_a_flow_has_the_length_asked_for(observed):
    assert np.isclose(np.hypot(*observed.flow(2.0, 3)).mean(), 2)
    assert not observed.flow(0.0, 3).any()


def test_what_the_srf_alone_gives_is_scored_in_both_frames(observed, monkeypatch):
    """An exact registration leaves nothing, and in its own frame no warp harms that method."""
    from hsisr_lite.degradation.misregistration import inverse_flow

    monkeypatch.setattr(sweep_uafl, "classical", lambda: ["srf_regression"])
    flow = observed.flow(1.0, 0)
    observed.kept[1.0, 0, "model"] = observed.pair, inverse_flow(flow)
    found = observed.classics(1.0, 0)
    seen, registered = found["methods"]["srf_regression"]
    # 1 dB: between its pixels the truth itself is interpolated
    assert abs(found["msi_frame"] - registered) < 1 < registered - seen
    assert found["left"] < 1e-4


def test_an_interrupted_sweep_goes_on_where_it_was(monkeypatch, tmp_path):
    made = []

    def piece(name, failing=False):
        def work(pair):
            if failing:
                raise KeyboardInterrupt
            made.append(name)
            return {"psnr": 1.0}

        return 4, work

    monkeypatch.setattr(sweep_uafl, "UNFINISHED", tmp_path / "unfinished.json")
    monkeypatch.setattr(sweep_uafl, "Observed", lambda ratio: None)
    monkeypatch.setattr(sweep_uafl, "tables", lambda done: {"done": list(done)})
    names = list(sweep_uafl.plan())
    half = {name: piece(name, failing=name == names[2]) for name in names}
    monkeypatch.setattr(sweep_uafl, "plan", lambda: half)
    with pytest.raises(KeyboardInterrupt):
        sweep_uafl.measure()
    assert made == names[:2]
    whole = {name: piece(name) for name in names}
    monkeypatch.setattr(sweep_uafl, "plan", lambda: whole)
    assert sweep_uafl.measure()["done"] == names
    twins = sweep_uafl.same_as()
    assert made == [name for name in names if name not in twins]
