"""Training UAFL on a folder: what an example is, who makes it, and going on after a stop."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import upsample
from hsisr_lite.budget import Run
from hsisr_lite.degradation.flows import affine_flow
from hsisr_lite.degradation.misregistration import Misregistration
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.degradation.srf import sensor_srf
from hsisr_lite.fitting import seeded
from hsisr_lite.tensor_files import load_tensors, save_tensors
from hsisr_lite.uafl import folder, folder_training, scene_folder
from hsisr_lite.uafl.folder import main, train_on_folder
from hsisr_lite.uafl.folder_training import Draws
from hsisr_lite.uafl.network import UAFL
from hsisr_lite.uafl.scene_folder import (
    Crops,
    hold_out,
    published_psf,
    rgb_table,
    scene_files,
    store_scenes,
)
from hsisr_lite.uafl.weights import load_weights

WAVELENGTHS = np.arange(400, 740, 20.0)
TINY = {"width": 8, "blocks": (1, 1), "endmembers": 2}  # one level: crops of at least 16
ALIGNED = Misregistration(translation=0, rotation=0, scale=0, elastic=0)
ROOT = Path(folder.__file__).parents[2]


def random_cube(seed, rows=24, cols=28, bands=17):
    rng = np.random.default_rng(seed)
    return (rng.random((rows, cols, 3)) @ rng.random((3, bands))).astype(np.float32)


def save_npz(path, cube, **more):
    np.savez(path, cube=cube, wavelengths_nm=WAVELENGTHS[: cube.shape[2]], **more)


@pytest.fixture
def scenes(tmp_path):
    """Three scenes in two formats."""
    place = tmp_path / "scenes"
    place.mkdir()
    save_npz(place / "a.npz", random_cube(0))
    save_npz(place / "b.npz", random_cube(1, rows=20))
    savemat(place / "c.mat", {"cube": random_cube(2), "wavelengths": WAVELENGTHS})
    return place


def run_tiny(scenes, out, **changes):
    settings = dict(network=TINY, epochs=2, batch=2, crop=16, repeats=2, validation=0.3, rate=1e-3)
    return train_on_folder(scenes, out, device="cpu", progress=False, **{**settings, **changes})


def examples(stored, **changes):
    settings = dict(crop=16, repeats=2, ratio=4, psf=published_psf(4), seed=0)
    return Crops(stored, **{"misregistration": ALIGNED, **settings, **changes})


def weights_of(path):
    return load_weights(path).state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def image(tensor):
    return tensor.movedim(0, -1).numpy()  # (rows, cols, channels)


# What an example is


def test_an_example_is_what_the_degradation_model_makes_of_its_crop(scenes, tmp_path):
    """Z = X S^T and the enlarged P X, of a piece of the scene scaled to [0, 1] over the cube.

    float32 pixels near 1 and some 20 of them summed: 1e-6.
    """
    stored = store_scenes(scene_files(scenes), tmp_path)
    enlarged, reference, truth = map(image, examples(stored)[1, 0])
    cube = random_cube(0)
    scaled = (cube - cube.min()) / (cube.max() - cube.min())
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (16, 16), axis=(0, 1))
    assert np.abs(windows - np.moveaxis(truth, -1, 0)).max(axis=(2, 3, 4)).min() < 1e-6
    srf = sensor_srf(rgb_table(), WAVELENGTHS).srf
    np.testing.assert_allclose(reference, truth @ srf.T, atol=1e-6)
    wanted = upsample(SpatialOperator(published_psf(4), 4).A(truth), 4)
    np.testing.assert_allclose(enlarged, wanted, atol=1e-6)


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_the_enlarged_image_is_not_displaced(ratio, tmp_path):
    """Of a slope along either axis, the mean over whole blocks comes back; a shift would move it.

    Published, the shift is ratio / 2 - 1 pixels; float32 values near 1 leave 0.01 of a slope of
    1 / 127.
    """
    down, right = np.mgrid[:128, :128]
    save_npz(tmp_path / "plane.npz", np.stack([down, right] * 8, axis=-1))
    stored = store_scenes([tmp_path / "plane.npz"], tmp_path)
    crops = examples(stored, crop=128, ratio=ratio, psf=published_psf(ratio))
    enlarged, _, truth = map(image, crops[1, 0])
    inside = slice(32, -32)  # two low-resolution pixels and the blur from the border
    shift = 127 * (enlarged - truth)[inside, inside].mean(axis=(0, 1), dtype=np.float64)
    assert np.abs(shift).max() < 0.01


def test_the_reference_is_seen_through_its_flow_also_from_beyond_the_crop(tmp_path, monkeypatch):
    """Every pixel of a crop of 16 in the middle of a scene of 80 comes from 5 down, 7 left.

    A cubic spline through whole pixels gives these back, up to float32: 1e-5.
    """
    save_npz(tmp_path / "a.npz", random_cube(0, rows=80, cols=80))
    stored = store_scenes([tmp_path / "a.npz"], tmp_path)
    aligned = examples(stored)
    shift = lambda rows, cols, *rest, **more: affine_flow(rows, cols, translation=(5, -7))  # noqa: E731
    monkeypatch.setattr(scene_folder, "random_flow", shift)
    monkeypatch.setattr(Crops, "_corner", lambda *rest: (30, 40))
    seen = image(aligned[1, 0][1])
    msi = np.load(stored[0].msi)
    np.testing.assert_allclose(seen, msi[35:51, 33:49], atol=1e-5)


def test_a_crops_middle_has_data(tmp_path):
    """Of a scene with one valid corner, all crops come from there."""
    cube = random_cube(0, rows=40, cols=40)
    cube[:, 12:] = cube[20:] = -9999.0
    np.savez(tmp_path / "a.npz", cube=cube, wavelengths_nm=WAVELENGTHS, nodata=-9999.0)
    stored = store_scenes([tmp_path / "a.npz"], tmp_path)
    assert stored[0].valid.exists()
    crops = examples(stored, repeats=20)
    rng = np.random.default_rng(0)
    corners = np.array([crops._corner(stored[0], (40, 40, 17), rng) for _ in range(200)])
    assert corners[:, 0].max() + 8 < 20 and corners[:, 1].max() + 8 < 12
    assert len(np.unique(corners[:, 0])) > 5


def test_an_example_follows_from_seed_epoch_and_number(scenes, tmp_path):
    """The same numbers make the same crop and flow; any other number another."""
    stored = store_scenes(scene_files(scenes), tmp_path)
    make = lambda seed, *drawn: examples(stored, seed=seed, misregistration="easy")[drawn]  # noqa: E731
    first = make(0, 1, 2)
    assert all(map(torch.equal, first, make(0, 1, 2)))
    for other in (make(1, 1, 2), make(0, 2, 2), make(0, 1, 3)):
        assert not torch.equal(first[1], other[1])


def test_scenes_are_held_out_whole():
    """Both parts together are the folder, and no scene is in both."""
    names = [f"scene {i}" for i in range(10)]
    learn, judge = hold_out(names, 0.2, seed=0)
    assert sorted(learn + judge) == names and len(judge) == 2
    assert hold_out(names, 0.2, seed=0) == (learn, judge) != hold_out(names, 0.2, seed=1)
    assert hold_out(names[:2], 0.01, seed=0)[1]  # at least one, where any are asked for
    assert hold_out(names, 0, seed=0) == (names, [])


@pytest.mark.parametrize("done", [0, 2])
def test_processes_draw_together_what_one_draws_alone(done):
    """Batch by batch, 11 examples in batches of 4, from the start and after ``done`` batches."""

    def batches(rank, count):
        draws = Draws(range(11), rank=rank, count=count, seed=5)
        share = 4 // count
        draws.begin(3, done * share)
        drawn = list(draws)
        assert len(drawn) == len(draws) and {epoch for epoch, _ in drawn} == {3}
        draws.begin(4, done * share)
        assert [number for _, number in draws] != [number for _, number in drawn]
        return [set(drawn[i * share : (i + 1) * share]) for i in range(2 - done)]

    together = [one | other for one, other in zip(batches(0, 2), batches(1, 2), strict=True)]
    assert together == batches(0, 1)


# The training


def test_the_loss_and_the_step_are_the_published_ones(scenes, tmp_path):
    """Smooth L1 at threshold 1, so half the mean square; Adam's first step is its rate of 1e-5.

    The loss is summed in float32: 1e-5 relative. A weight near 0.3 is rounded by 3e-8 when it
    moves by 1e-5 or, where its gradient is below Adam's 1e-8, by less: 1 %.
    """
    trained = run_tiny(scenes, tmp_path / "w.pt", epochs=1, batch=4, validation=0.3, rate=1e-5)
    assert trained.losses.shape == (1,) and len(trained.held_out) == 1
    files = [path for path in scene_files(scenes) if path.name not in trained.held_out]
    crops = examples(store_scenes(files, tmp_path), misregistration="realistic")
    parts = [torch.stack(part) for part in zip(*(crops[1, n] for n in range(4)), strict=True)]
    with seeded(Run(seed=0)):
        network = UAFL(3, **TINY)
    enlarged, reference, truth = parts
    with torch.no_grad():
        square = (network(enlarged, reference) - truth).square().mean()
    np.testing.assert_allclose(trained.losses[0], square / 2, rtol=1e-5)
    after = weights_of(tmp_path / "w.pt")
    steps = [(after[name] - before).abs().max() for name, before in network.state_dict().items()]
    assert max(steps) == pytest.approx(1e-5, rel=1e-2)


def test_what_is_not_given_is_as_published(tmp_path, monkeypatch):
    """AdamW at 1e-5 with a decay of 5e-5, batches of one, five crops a scene, the whole network."""
    place, seen = tmp_path / "scenes", []
    place.mkdir()
    save_npz(place / "a.npz", random_cube(0, rows=32, cols=32))
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda rule: seen.append(rule.param_groups[0]))
    train_on_folder(
        place, tmp_path / "w.pt", epochs=1, crop=32, validation=0, device="cpu", progress=False
    )
    assert len(seen) == 5
    assert all((group["lr"], group["weight_decay"]) == (1e-5, 5e-5) for group in seen)
    assert sum(values.numel() for values in load_weights(tmp_path / "w.pt").parameters()) == 5948450


def test_training_helps_on_a_scene_it_has_not_seen(scenes, tmp_path):
    """With a registered reference of white noise, 24 steps on two scenes gain over bicubic.

    7.6 % were seen; 4 % are asked for, as digits differ from machine to machine.
    """
    trained = run_tiny(scenes, tmp_path / "w.pt", epochs=12, rate=5e-3, misregistration=ALIGNED)
    fused, enlarged = trained.validation.T
    assert len(fused) == 12 and len(set(enlarged)) == 1  # the same crops every time
    assert fused[0] > enlarged[0] and fused[-1] < 0.96 * enlarged[-1]


def test_mixed_precision_trains_float32_weights(scenes, tmp_path):
    """bfloat16 has 8 bits: the first loss agrees to some 2 %, and the weights stay float32."""
    full = run_tiny(scenes, tmp_path / "full.pt", epochs=1)
    mixed = run_tiny(scenes, tmp_path / "mixed.pt", epochs=1, amp="bf16")
    np.testing.assert_allclose(mixed.losses, full.losses, rtol=0.02)
    assert (mixed.losses != full.losses).any()
    assert {values.dtype for values in weights_of(tmp_path / "mixed.pt").values()} == {
        torch.float32
    }


# On a machine with one core torch advises against two workers
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_the_result_does_not_depend_on_the_number_of_workers(scenes, tmp_path):
    """Two processes that make crops ahead change no bit."""
    alone = run_tiny(scenes, tmp_path / "alone.pt", validation=0)
    helped = run_tiny(scenes, tmp_path / "helped.pt", validation=0, workers=2)
    assert same(weights_of(tmp_path / "alone.pt"), weights_of(tmp_path / "helped.pt"))
    np.testing.assert_array_equal(alone.losses, helped.losses)
    assert np.isnan(alone.validation).all() and alone.held_out == []


def record(made):
    """In place of a step: keep the gradients, leave the weights."""
    return lambda optimiser, closure=None: made.append(
        torch.cat([p.grad.flatten() for g in optimiser.param_groups for p in g["params"]])
    )


RECORD = """
import os, sys, torch
from hsisr_lite.uafl import folder
made, out = [], sys.argv[1] + os.environ["RANK"]
torch.optim.AdamW.step = lambda optimiser, closure=None: made.append(
    torch.cat([p.grad.flatten() for g in optimiser.param_groups for p in g["params"]])
)
code = folder.main(sys.argv[2:])
torch.save(made, out)
sys.exit(code)
"""


def test_two_processes_with_half_batches_make_the_gradients_of_one(scenes, tmp_path, monkeypatch):
    """Under torchrun, for every batch of an epoch, at the first weights.

    Sums of float32 in another order: 1e-5 of the largest entry, where batches differ by more than
    a tenth of it. Both processes hold the same bits.
    """
    given = [
        str(scenes), "--out", str(tmp_path / "w.pt"),
        *"--width 8 --blocks 1 1 --endmembers 2 --crop 16 --epochs 1 --batch 4 --repeats 4 "
        "--validation 0.3 --device cpu --quiet".split(),
    ]  # fmt: skip
    one = []
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", record(one))
        assert main(given) == 0
    script = tmp_path / "record.py"
    script.write_text(RECORD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
        "--master_addr=127.0.0.1", f"--master_port={port}",
        str(script), str(tmp_path / "two"), *given,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    one = torch.stack(one)
    two = [torch.stack(load_tensors(tmp_path / f"two{rank}")) for rank in (0, 1)]
    assert len(one) == 2  # 8 crops of two scenes
    assert torch.equal(*two)
    size = one.abs().max()
    assert (one - two[0]).abs().max() < 1e-5 * size
    assert (one[0] - one[1]).abs().max() > 0.1 * size


# Going on


def interrupt_after(monkeypatch, steps):
    """Ctrl-C comes in the middle of a training, and every step is kept."""
    made, step = [], folder_training.State.step

    def watched(*args):
        if len(made) == steps:
            raise KeyboardInterrupt
        made.append(step(*args))
        return made[-1]

    monkeypatch.setattr(folder_training.State, "step", watched)
    monkeypatch.setattr(folder_training, "_KEEP_EVERY", 0.0)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_interrupted_training_goes_on_bit_by_bit(scenes, tmp_path, monkeypatch, steps):
    """Stopped within either of two epochs of two steps, or between them."""
    whole = run_tiny(scenes, tmp_path / "whole.pt")
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(KeyboardInterrupt):
            run_tiny(scenes, tmp_path / "parts.pt", checkpoint=tmp_path / "c.pt")
    assert len(load_tensors(tmp_path / "c.pt")["losses"]) == steps
    assert not (tmp_path / "parts.pt").exists()
    parts = run_tiny(scenes, tmp_path / "parts.pt", checkpoint=tmp_path / "c.pt")
    assert same(weights_of(tmp_path / "whole.pt"), weights_of(tmp_path / "parts.pt"))
    np.testing.assert_array_equal(whole.losses, parts.losses)
    np.testing.assert_array_equal(whole.validation, parts.validation)


def test_a_finished_training_goes_on_for_more_epochs(scenes, tmp_path):
    """One epoch and one more are two, and none more are the same again."""
    run_tiny(scenes, tmp_path / "two.pt")
    for epochs in (1, 2, 2):
        run_tiny(scenes, tmp_path / "more.pt", epochs=epochs, checkpoint=tmp_path / "c.pt")
    assert same(weights_of(tmp_path / "two.pt"), weights_of(tmp_path / "more.pt"))
    with pytest.raises(InputError, match="after 4 steps: at most 2 are asked for"):
        run_tiny(scenes, tmp_path / "more.pt", epochs=1, checkpoint=tmp_path / "c.pt")


def test_the_checkpoint_of_another_training_is_refused(scenes, tmp_path):
    """The sentence says what differs; another scene under the same name counts too."""
    checkpoint = tmp_path / "c.pt"
    run_tiny(scenes, tmp_path / "w.pt", epochs=1, checkpoint=checkpoint)
    again = lambda **changes: run_tiny(scenes, tmp_path / "w.pt", checkpoint=checkpoint, **changes)  # noqa: E731
    for name, value in (("seed", 1), ("repeats", 3), ("rate", 1e-4), ("amp", "bf16")):
        with pytest.raises(InputError, match=f"another training, whose {name} is"):
            again(**{name: value, "validation": 0.3})
    with pytest.raises(InputError, match="whose network is"):
        again(network={**TINY, "alignment": "none"})
    save_npz(scenes / "a.npz", random_cube(9))
    with pytest.raises(InputError, match=r"whose (scenes|held_out) is"):
        again()
    save_tensors({"a": torch.ones(1)}, checkpoint)
    with pytest.raises(InputError, match="holds no state of a training"):
        again()


# What cannot be trained on


def test_a_scene_that_cannot_be_read_is_named(scenes, tmp_path):
    """Also one of other bands, of one value, and one that is smaller than a crop."""
    bad = scenes / "bad.npz"
    bad.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"bad\.npz cannot be trained on"):
        run_tiny(scenes, tmp_path / "w.pt")
    save_npz(bad, random_cube(3, bands=16))
    with pytest.raises(InputError, match=r"bad\.npz has 16 bands .*: 17 and 3 are needed"):
        run_tiny(scenes, tmp_path / "w.pt")
    save_npz(bad, random_cube(3, rows=12))
    with pytest.raises(InputError, match=r"bad\.npz has 12 x 28 pixels: at least 16 x 16"):
        run_tiny(scenes, tmp_path / "w.pt")
    save_npz(bad, np.ones((24, 24, 17)))
    with pytest.raises(InputError, match=r"bad\.npz cannot be trained on: all its values are 1"):
        run_tiny(scenes, tmp_path / "w.pt")
    assert not list(tmp_path.glob("w.pt*"))  # neither weights nor stored scenes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"crop": 12}, "crop is 12: a whole number of at least 16 is needed, the pixels"),
        ({"network": {}, "crop": 28}, "crop is 28: a whole number of at least 32 is needed"),
        ({"crop": 18}, "crop is 18: a multiple of the ratio 4 is needed; take 16 or 20"),
        ({"batch": 5}, "batch is 5: at most 4 is possible"),
        ({"epochs": 0}, "epochs is 0: a whole number of at least 1"),
        ({"validation": 1}, "validation is 1: a share"),
        ({"validation": 0.9}, "holds out 3 of 3 scenes: at least one must be left"),
        ({"amp": "fp16"}, "amp is 'fp16' on a CPU"),
        ({"amp": "int8"}, "amp is 'int8': one of none, bf16, fp16"),
        ({"misregistration": "wild"}, "misregistration 'wild' is not known"),
        ({"network": {**TINY, "width": 7}}, "width is 7"),
        ({"out": "nowhere/w.pt"}, "cannot be written"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence(scenes, tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        run_tiny(scenes, **{"out": tmp_path / "w.pt", **changes})


def test_a_loss_that_is_not_finite_ends_the_training(scenes, tmp_path):
    """Instead of weights that are not numbers."""
    with pytest.raises(InputError, match=r"the loss of epoch .* is (nan|inf): a finite one"):
        run_tiny(scenes, tmp_path / "w.pt", rate=1e30)
    assert not (tmp_path / "w.pt").exists()


def test_the_command_trains_and_says_what_is_wrong_in_one_line(scenes, tmp_path, capsys):
    """Weights that load, a summary, nothing left behind; 2 and one sentence for an empty folder."""
    out = tmp_path / "w.pt"
    given = f"{scenes} --out {out} --width 8 --blocks 1 1 --crop 16 --epochs 1 --repeats 1"
    assert main(f"{given} --validation 0.3 --device cpu".split()) == 0
    assert f"{out}: 2 steps in 1 epochs; on the held-out" in capsys.readouterr().out
    assert load_weights(out).arguments["width"] == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenes", "w.pt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([str(empty), "--out", str(out)]) == 2
    assert f"{empty} holds no scene" in capsys.readouterr().err
