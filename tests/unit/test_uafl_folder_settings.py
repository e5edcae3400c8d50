"""Training UAFL on a folder: what it can be told, and when it refuses to leave weights."""

import inspect
import socket
from collections import defaultdict

import numpy as np
import pytest
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.tensor_files import load_tensors
from hsisr_lite.uafl import folder, folder_training, scene_folder
from hsisr_lite.uafl.folder import main, train_on_folder
from hsisr_lite.uafl.folder_settings import TRAINABLE, as_network
from hsisr_lite.uafl.folder_training import State, taking_part
from hsisr_lite.uafl.network import UAFL
from hsisr_lite.uafl.scene_folder import Crops, published_psf, scene_files, store_scenes

TINY = {"width": 8, "blocks": (1, 1), "endmembers": 2}  # one level: crops of at least 16
WAVELENGTHS = np.arange(400, 740, 20.0)


def save_scene(path, seed=0, side=24, **more):
    rng = np.random.default_rng(seed)
    cube = (rng.random((side, side, 3)) @ rng.random((3, 17))).astype(np.float32)
    np.savez(path, cube=cube, wavelengths_nm=WAVELENGTHS, **more)


@pytest.fixture
def scenes(tmp_path):
    """Two scenes of 24 x 24 pixels."""
    place = tmp_path / "scenes"
    place.mkdir()
    for seed in (0, 1):
        save_scene(place / f"{seed}.npz", seed)
    return place


def run_tiny(scenes, out, **changes):
    settings = dict(network=TINY, epochs=1, batch=2, crop=16, repeats=2, validation=0, rate=1e-3)
    return train_on_folder(scenes, out, device="cpu", progress=False, **{**settings, **changes})


# What the network may be


@pytest.mark.parametrize("alignment", TRAINABLE)
def test_every_parameter_of_an_alignment_on_offer_is_taught(
    scenes, tmp_path, monkeypatch, alignment
):
    """The loss has a gradient for each within four steps, once what starts at zero has moved.

    A gradient is asked for, as weights that learn nothing decay.
    """
    taught, update = defaultdict(float), torch.optim.AdamW.step

    def watched(optimiser, closure=None):
        for number, parameter in enumerate(optimiser.param_groups[0]["params"]):
            if parameter.grad is not None:
                taught[number] += float(parameter.grad.abs().sum())
        return update(optimiser, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    network = {**TINY, "alignment": alignment}
    run_tiny(scenes, tmp_path / "w.pt", network=network, epochs=2)
    names = [name for name, _ in UAFL(**network).named_parameters()]
    assert [name for number, name in enumerate(names) if not taught[number] > 0] == []


def test_an_alignment_that_would_not_learn_is_refused(scenes, tmp_path, capsys):
    """With the call that trains it; the command does not offer it."""
    with pytest.raises(InputError, match=r"one of cfda, dcnv2, none .* alignment=\"correlation\""):
        run_tiny(scenes, tmp_path / "w.pt", network={**TINY, "alignment": "correlation"})
    with pytest.raises(SystemExit):
        main([str(scenes), "--out", str(tmp_path / "w.pt"), "--alignment", "correlation"])
    assert "invalid choice: 'correlation'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["depth", "msi_bands", 3])
def test_a_setting_that_no_network_has_is_refused_with_those_there_are(name):
    with pytest.raises(InputError, match=f"setting {name!r}: one of endmembers, width, blocks"):
        as_network({name: 3})


def test_a_network_is_settings_by_name():
    with pytest.raises(InputError, match="network is of type str: a dictionary"):
        as_network("wide")


# Numbers


def test_numbers_of_numpy_are_numbers(scenes, tmp_path):
    """They train, and the state that they leave is found again."""
    settings = dict(
        batch=np.int64(2), crop=np.int32(16), repeats=np.int64(2), workers=np.int64(0),
        rate=np.float64(1e-3), validation=np.float32(0.5), seed=np.int64(1),
        checkpoint=tmp_path / "c.pt",
    )  # fmt: skip
    one = run_tiny(scenes, tmp_path / "w.pt", epochs=np.int64(1), **settings)
    two = run_tiny(scenes, tmp_path / "w.pt", epochs=np.int64(2), **settings)
    assert len(one.losses) == 1 and len(two.losses) == 2
    assert load_tensors(tmp_path / "c.pt")["training"]["rate"] == 1e-3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rate": -1}, "rate is -1: a finite number above 0"),
        ({"rate": 0.0}, "rate is 0.0: a finite number above 0"),
        ({"rate": float("nan")}, "rate is nan: a finite number above 0"),
        ({"rate": "x"}, "rate is 'x': a finite number above 0"),
        ({"rate": True}, "rate is True: a finite number above 0"),
        ({"validation": "a"}, "validation is 'a': a share"),
        ({"validation": float("nan")}, "validation is nan: a share"),
        ({"validation": None}, "validation is None: a share"),
        ({"batch": 2.0}, r"batch is 2\.0: a whole number"),
        ({"amp": ["none"]}, r"amp is \['none'\]: one of"),
    ],
)
def test_a_wrong_number_is_one_sentence_before_scenes_are_read(
    scenes, tmp_path, monkeypatch, changes, sentence
):
    monkeypatch.setattr(folder, "store_scenes", lambda *rest, **more: pytest.fail("scenes read"))
    with pytest.raises(InputError, match=sentence):
        run_tiny(scenes, tmp_path / "w.pt", **changes)


def test_the_published_network_uses_the_threads_that_there_are(tmp_path, monkeypatch):
    """64 channels of 128 x 128 pixels are more than a million numbers; 8 channels are not."""
    place, seen = tmp_path / "scenes", []
    place.mkdir()
    save_scene(place / "a.npz", side=128)
    monkeypatch.setattr(State, "step", lambda *rest: seen.append(torch.get_num_threads()) or 0.0)
    monkeypatch.setattr(State, "losses_of", lambda *rest: torch.zeros(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for network in ({}, TINY):
            train_on_folder(
                place, tmp_path / "w.pt", network=network, epochs=1, repeats=1, validation=0,
                device="cpu", progress=False,
            )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    assert seen == [2, 1]


def test_the_help_shows_every_default(capsys):
    """Those of the function and of the network; a file has none."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    own = inspect.signature(train_on_folder).parameters
    for name in ("epochs", "batch", "crop", "repeats", "ratio", "sensor", "misregistration",
                 "validation", "rate", "amp", "workers", "seed", "device"):  # fmt: skip
        _, _, entry = text.rpartition(f" --{name} ")
        assert f"; default {own[name].default} " in entry.partition(" --")[0] + " ", name
    for name, words in (("width", "64"), ("blocks", "2 1 1"), ("endmembers", "3"),
                        ("alignment", "cfda")):  # fmt: skip
        _, _, entry = text.rpartition(f" --{name} ")
        assert f"; default {words} " in entry.partition(" --")[0] + " ", name


def test_a_scene_smaller_than_the_default_crop_is_named(scenes, tmp_path):
    with pytest.raises(InputError, match=r"0\.npz has 24 x 24 pixels: at least 128 x 128"):
        train_on_folder(scenes, tmp_path / "w.pt", device="cpu", progress=False)


# What is not finite leaves no weights


def test_a_last_step_that_ruins_the_network_leaves_nothing(scenes, tmp_path):
    """The only step's own loss came before it, and its weights near 1e30 are finite numbers."""
    with pytest.raises(InputError, match=r"the loss after epoch 1 is (nan|inf): a finite one"):
        run_tiny(scenes, tmp_path / "w.pt", batch=4, rate=1e30, checkpoint=tmp_path / "c.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_a_parameter_that_is_no_number_leaves_nothing(scenes, tmp_path, monkeypatch):
    """Also one that this loss does not look at."""
    step = State.step

    def ruined(state, *rest):
        loss = step(state, *rest)
        next(state.model.parameters()).data[0] = torch.nan
        return loss

    monkeypatch.setattr(State, "step", ruined)
    monkeypatch.setattr(State, "losses_of", lambda state, model, parts: (
        sum(p.sum() for p in list(model.parameters())[1:]), torch.zeros(())))  # fmt: skip
    with pytest.raises(InputError, match="the loss after epoch 1 is nan"):
        run_tiny(scenes, tmp_path / "w.pt", batch=4)
    assert not (tmp_path / "w.pt").exists()


def test_a_held_out_loss_that_is_not_finite_leaves_nothing(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_training, "_judge", lambda *rest: [float("inf"), 1.0])
    with pytest.raises(InputError, match="the held-out loss of epoch 1 is inf: a finite one"):
        run_tiny(scenes, tmp_path / "w.pt", validation=0.5)
    assert not (tmp_path / "w.pt").exists()


# Half precision, which trains on a GPU but keeps its books anywhere


def half(model):
    return State(model, 0.1, "fp16", torch.device("cpu"), {})


def test_half_precision_steps_over_gradients_that_overflow(monkeypatch):
    """It halves its scale of 65536 and leaves the weights; without a scale they would be lost."""
    model = torch.nn.Linear(2, 1)
    before, state = model.weight.detach().clone(), half(model)
    assert state.scaler.is_enabled() and state.scaler.get_scale() == 65536
    for factor, scale, moved in ((float("inf"), 32768, False), (1.0, 32768, True)):
        loss = lambda model, parts, factor=factor: (factor * model.weight.sum(), None)  # noqa: E731
        monkeypatch.setattr(state, "losses_of", loss)
        state.step(model, None)
        assert state.scaler.get_scale() == scale
        assert torch.equal(model.weight, before) is not moved
    for amp in ("none", "bf16"):
        assert not State(model, 0.1, amp, torch.device("cpu"), {}).scaler.is_enabled()


def test_half_precision_goes_on_at_its_scale(tmp_path):
    """The checkpoint keeps it."""
    state = half(torch.nn.Linear(2, 1))
    state.scaler.scale(torch.zeros(1))  # torch makes the scale when it is first needed
    state.scaler.update(512.0)
    state.keep(tmp_path / "c.pt", folder_training.Part(0, 1, torch.device("cpu")))
    again = half(torch.nn.Linear(2, 1))
    again.resume(tmp_path / "c.pt", steps=0)
    assert again.scaler.get_scale() == 512


# Other processes, and the disk


def test_a_process_that_fails_leaves_its_group(monkeypatch):
    """So that a caller who catches the error can train again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"LOCAL_RANK": 0, "RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1"}
    for name, value in {**places, "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(InputError), taking_part(Run()):
        assert torch.distributed.is_initialized()
        raise InputError("no scene.")
    assert not torch.distributed.is_initialized()


def test_of_the_valid_pixels_one_row_is_read_for_each_crop(tmp_path, monkeypatch):
    """The whole mask only once; every pixel with data is as likely as any, as if all were read."""
    rng = np.random.default_rng(0)
    mask = rng.random((40, 40)) < 0.1
    mask[10] = False
    save_scene(tmp_path / "a.npz", side=40)
    (stored,) = store_scenes(scene_files(tmp_path), tmp_path)
    np.save(stored.valid, mask)
    crops = Crops(
        [stored], crop=16, repeats=1, ratio=4, psf=published_psf(4), misregistration="easy", seed=0
    )
    read, load = [], np.load

    class Seen(np.ndarray):
        def __getitem__(self, which):
            part = super().__getitem__(which)
            if not isinstance(which, tuple):
                read.append(np.size(part))
            return part

        def sum(self, *rest, **more):
            read.append(self.size)
            return np.asarray(self).sum(*rest, **more)

    def mapped(path, mmap_mode=None):
        assert mmap_mode == "r"
        return load(path).view(Seen)

    monkeypatch.setattr(scene_folder.np, "load", mapped)
    middles = np.flatnonzero(mask[8:33, 8:33])
    for seed in range(50):
        corner = crops._corner(stored, (40, 40, 17), np.random.default_rng(seed))
        wanted = np.random.default_rng(seed).choice(middles)
        assert corner == divmod(wanted, 25)
    assert read == [625] + 50 * [25]


@pytest.mark.parametrize(
    ("out", "checkpoint", "words"),
    [
        ("scenes/0.npz", None, "out is .*0.npz', which has the name of a scene"),
        ("scenes/1.img", None, "out is .*1.img', which has the name of a scene"),
        ("w.pt", "scenes/../scenes/1.npz", "checkpoint is .*1.npz', which has the name of a scene"),
        ("w.pt", "scenes/../w.pt", "checkpoint is .*w.pt', and so is out"),
    ],
)
def test_nothing_replaces_a_scene_or_the_state(scenes, tmp_path, out, checkpoint, words):
    """Before a step is made; every file stays as it was."""
    before = {path: path.read_bytes() for path in scenes.iterdir()}
    kept = None if checkpoint is None else tmp_path / checkpoint
    with pytest.raises(InputError, match=words):
        run_tiny(scenes, tmp_path / out, checkpoint=kept)
    assert {path: path.read_bytes() for path in scenes.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]
