"""The training loop: schedules, interruptions, and what it leaves behind."""

import re
import signal

import numpy as np
import pytest
import torch
from tqdm import tqdm

from hsisr_lite import fitting
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.fitting import fit, flat_then_linear, seeded, torch_device
from hsisr_lite.tensor_files import load_tensors, save_tensors

RUN = Run()


class Fitted:
    """A noisy least-squares fit; an interruption may come at a chosen step."""

    def __init__(self, stop_at=None, stop_late=False, error=KeyboardInterrupt):
        torch.manual_seed(1)
        self.x, self.y = (torch.nn.Parameter(torch.randn(3, 2)) for _ in range(2))
        self.calls, self.stop_at, self.stop_late, self.error = 0, stop_at, stop_late, error

    def loss(self):
        self.calls += 1
        if self.calls == self.stop_at and not self.stop_late:
            raise self.error
        noise = torch.randn(3, 2)
        if self.calls == self.stop_at:  # late: random numbers of the step are drawn already
            raise self.error
        return (self.x - 1 + 0.3 * noise).square().sum() + (self.y @ self.x.T).square().sum()

    def fit(self, steps=30, watch=None, **options):
        groups = [{"params": [self.x], "lr": 0.1}, {"params": [self.y], "lr": 0.2}]
        return fit(self.loss, groups, steps, run=RUN, text="", watch=watch, **options)


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_rates_follow_the_cosine_and_a_constant_group_keeps_its_own(steps):
    """Under a constant gradient Adam's step is its rate, up to epsilon: 1e-8 of a gradient of 1."""
    falling, kept = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    track = []
    fit(
        lambda: (falling + kept).sum(),
        [{"params": [falling], "lr": 0.5}, {"params": [kept], "lr": 0.25, "constant": True}],
        steps,
        run=RUN,
        text="",
        watch=lambda _: track.append((falling.item(), kept.item())),
    )
    moves = -np.diff(track, axis=0)
    at = np.arange(steps)
    np.testing.assert_allclose(moves[:, 0], 0.25 * (1 + np.cos(np.pi * at / steps)), atol=1e-7)
    np.testing.assert_allclose(moves[:, 1], 0.25, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_rates_are_flat_and_then_fall_on_a_line(steps):
    """[m2unet2024]: the whole rate for n1 steps, then 1 - (t - n1) / (n2 + 1) for t = 1 to n1 + n2.

    As above, Adam's steps are its rates, up to 1e-8.
    """
    x, track = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)), []
    fit(
        lambda: x.sum(), [{"params": [x], "lr": 0.5}], steps,
        run=RUN, text="", schedule=flat_then_linear, watch=lambda _: track.append(x.item()),
    )  # fmt: skip
    flat = steps // 2
    falling = steps - flat
    shares = [1.0] * flat + [1 - t / (falling + 1) for t in range(1, falling + 1)]
    np.testing.assert_allclose(-np.diff(track), 0.5 * np.array(shares), atol=1e-7)
    assert shares[-1] == pytest.approx(1 / (falling + 1))  # the last is small, and not zero


def test_flat_then_linear_at_the_published_lengths():
    """Stage 3 takes 7000 + 7000 steps."""
    shares = np.array([flat_then_linear(step, 14000) for step in range(14000)])
    assert (shares[:7000] == 1).all() and shares[7000] == 1 - 1 / 7001
    np.testing.assert_allclose(np.diff(shares[6999:]), -1 / 7001, rtol=1e-9)
    assert shares[-1] == pytest.approx(1 / 7001)


def test_the_history_is_the_loss_before_each_step_and_watch_sees_them_all():
    x, seen, made = torch.nn.Parameter(torch.tensor(3.0)), [], []

    def loss():
        seen.append(float(x.detach() ** 2))
        return x**2

    history = fit(loss, [{"params": [x], "lr": 0.1}], 5, run=RUN, text="", watch=made.append)
    assert made == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(history, seen)
    assert history.dtype == np.float64


def test_the_callers_groups_are_left_alone():
    x = torch.nn.Parameter(torch.tensor(3.0))
    groups = [{"params": [x], "lr": 0.1, "constant": True}]
    fit(lambda: x**2, groups, 2, run=RUN, text="")
    assert groups == [{"params": [x], "lr": 0.1, "constant": True}]


@pytest.mark.parametrize("stop_late", [False, True], ids=["before drawing", "after drawing"])
@pytest.mark.parametrize("stop_at", [1, 2, 17, 30])
def test_an_interrupted_fit_goes_on_as_if_nothing_had_been(tmp_path, stop_at, stop_late):
    """Also when Ctrl-C comes in the middle of a step whose random numbers are drawn already."""
    straight = Fitted()
    with seeded(RUN):
        history = straight.fit()
        after = torch.rand(4)
    path = tmp_path / "state.pt"
    first = Fitted(stop_at, stop_late)
    with seeded(RUN), pytest.raises(KeyboardInterrupt):
        first.fit(checkpoint=path)
    # Before the first step is made there is nothing to keep.
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"] * (stop_at > 1)
    second, made = Fitted(), []
    with seeded(RUN):
        resumed = second.fit(checkpoint=path, watch=made.append)
        rest = torch.rand(4)
    np.testing.assert_array_equal(resumed, history)
    assert torch.equal(second.x, straight.x) and torch.equal(second.y, straight.y)
    assert torch.equal(rest, after)
    assert made[-1] == 30 and len(made) == 31 - stop_at + (stop_at == 1)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_costs_only_the_steps_since_the_last_state(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "_KEEP_EVERY", -1.0)  # after each step
    straight, path = Fitted(), tmp_path / "state.pt"
    with seeded(RUN):
        history = straight.fit()
    crashing = Fitted(stop_at=11, error=MemoryError)
    with seeded(RUN), pytest.raises(MemoryError):
        crashing.fit(checkpoint=path)
    again = Fitted()
    with seeded(RUN):
        np.testing.assert_array_equal(again.fit(checkpoint=path), history)
    # 20 steps were left, and one look at the first loss tells whether the state is this fit's
    assert 20 <= again.calls <= 21 and torch.equal(again.x, straight.x)


def test_no_state_is_written_between_two_that_are_due(tmp_path):
    """A small fit takes less than 20 seconds: it is over before its first state."""
    path, there = tmp_path / "state.pt", []
    Fitted().fit(checkpoint=path, watch=lambda _: there.append(path.exists()))
    assert not any(there) and not path.exists()


def kept_state(path, steps=30):
    with pytest.raises(KeyboardInterrupt):
        Fitted(stop_at=5).fit(steps, checkpoint=path)


def test_a_state_of_another_fit_is_refused_and_kept(tmp_path):
    path = tmp_path / "state.pt"
    kept_state(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="another fit: one of 31 steps"):
        Fitted().fit(31, checkpoint=path)
    other = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(InputError, match="delete the file or name another"):
        fit(lambda: other.sum(), [{"params": [other], "lr": 1}], 30, run=RUN, text="",
            checkpoint=path)  # fmt: skip
    assert path.read_bytes() == before


def test_other_data_or_another_seed_are_another_fit(tmp_path):
    path = tmp_path / "state.pt"
    kept_state(path)
    with pytest.raises(InputError, match="another fit"), seeded(Run(seed=99)):
        other = Fitted()
        torch.manual_seed(98)
        other.fit(checkpoint=path)
    assert path.exists()


@pytest.mark.parametrize("steps", [0, -3, 1.5, "9", True, None])
def test_steps_are_a_whole_number_of_at_least_one(steps):
    with pytest.raises(InputError, match=r"steps is .* a whole number of at least 1"):
        Fitted().fit(steps)


def test_the_same_shapes_in_other_groups_are_another_fit(tmp_path):
    path = tmp_path / "state.pt"
    kept_state(path)
    x, y = (torch.nn.Parameter(torch.zeros(3, 2)) for _ in range(2))
    with pytest.raises(InputError, match="another fit"):
        fit(lambda: (x + y).sum(), [{"params": [x, y], "lr": 1}], 30, run=RUN, text="",
            checkpoint=path)  # fmt: skip


@pytest.mark.parametrize("content", [torch.ones(2), {"weights": {}}, [1, 2]])
def test_a_file_of_something_else_is_no_state(tmp_path, content):
    path = tmp_path / "state.pt"
    save_tensors(content, path)
    with pytest.raises(InputError, match="state of another fit"):
        Fitted().fit(checkpoint=path)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("numbers", [0, 999_999, 1_000_000])
@pytest.mark.parametrize("fails", [False, True])
def test_random_numbers_and_threads_of_the_caller_come_back(two_threads, numbers, fails):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    inside = []
    try:
        with seeded(Run(seed=3), numbers=numbers):
            inside += [torch.rand(2), torch.get_num_threads()]
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == 2
    assert inside[1] == (1 if numbers < 1_000_000 else 2)
    with seeded(Run(seed=3)):
        assert torch.equal(torch.rand(2), inside[0])
    with seeded(Run(seed=4)):
        assert not torch.equal(torch.rand(2), inside[0])


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    for there, kind in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert torch_device(Run(device="auto")).type == kind
        assert torch_device(Run(device="cpu")).type == "cpu"


@pytest.fixture
def ctrl_c():
    """As in a terminal: a process that a script starts in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_inside_the_optimiser_waits_for_the_step(tmp_path, monkeypatch, ctrl_c):
    """A step that is kept half done would be made again on parameters that have moved."""
    path, straight = tmp_path / "state.pt", Fitted()
    with seeded(RUN):
        history = straight.fit()
    step, calls = torch.optim.Adam.step, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGINT)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    first = Fitted()
    with seeded(RUN), pytest.raises(KeyboardInterrupt):
        first.fit(checkpoint=path)
    assert load_tensors(path)["made"] == 7
    again = Fitted()
    with seeded(RUN):
        np.testing.assert_array_equal(again.fit(checkpoint=path), history)
    assert torch.equal(again.x, straight.x)


def test_a_fit_runs_where_the_caller_has_turned_gradients_off():
    with torch.inference_mode(), seeded(RUN):
        x = torch.nn.Parameter(torch.tensor(3.0))
        assert len(fit(lambda: x**2, [{"params": [x], "lr": 0.1}], 3, run=RUN, text="")) == 3


@pytest.mark.parametrize("path", [1, b"a", ["a"], True, "no/such/folder/a.pt", "a\0b", ""])
def test_a_place_that_cannot_be_written_is_said_before_any_work(path):
    fitted = Fitted()
    with pytest.raises(InputError, match=r"cannot be written|a string or a Path is needed"):
        fitted.fit(checkpoint=path)
    assert fitted.calls == 0


def test_parameters_are_brought_back_after_each_step_and_before_anyone_looks():
    x, seen = torch.nn.Parameter(torch.tensor([0.05, 3.0], dtype=torch.float64)), []

    def project():
        with torch.no_grad():
            x.clamp_(min=0)

    fit(
        lambda: x.sum(), [{"params": [x], "lr": 0.1}], 3, run=RUN, text="",
        schedule=lambda step, steps: 1.0, project=project,
        watch=lambda _: seen.append(x.detach().clone().numpy()),
    )  # fmt: skip
    # Steps of 0.1, up to epsilon: 1e-8; nothing is projected before the first.
    expected = [[0.05, 3.0], [0, 2.9], [0, 2.8], [0, 2.7]]
    np.testing.assert_allclose(seen, expected, atol=1e-7)


def test_a_projection_leaves_the_optimisers_memory_alone():
    """With the loss x^2 / 2 the gradient is x itself; moments are theirs, whatever the projection.

    By hand: Adam's step is rate m / (sqrt(v) + 1e-8), both corrected for their start.
    """
    x, seen = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64)), []

    def halve():
        with torch.no_grad():
            x.mul_(0.5)

    fit(
        lambda: x**2 / 2, [{"params": [x], "lr": 0.1}], 4, run=RUN, text="",
        schedule=lambda step, steps: 1.0, project=halve, watch=lambda _: seen.append(x.item()),
    )  # fmt: skip
    value, m, v, expected = 1.0, 0.0, 0.0, [1.0]
    for t in range(1, 5):
        m, v = 0.9 * m + 0.1 * value, 0.999 * v + 0.001 * value**2
        value -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        value *= 0.5
        expected.append(value)
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_a_stop_is_asked_after_each_loss_and_ends_without_the_step(tmp_path):
    x, asked, made = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64)), [], []

    def stop():
        asked.append(x.item())
        return len(asked) == 4

    history = fit(
        lambda: x.sum(), [{"params": [x], "lr": 0.1}], 10, run=RUN, text="", stop=stop,
        schedule=lambda step, steps: 1.0, watch=made.append, checkpoint=tmp_path / "state.pt",
    )  # fmt: skip
    np.testing.assert_allclose(asked, [1, 0.9, 0.8, 0.7], atol=1e-7)
    np.testing.assert_array_equal(history, asked)  # the loss that was met is the last one kept
    assert x.item() == asked[-1] and made == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_stops_at_once_makes_no_step():
    x = torch.nn.Parameter(torch.tensor(1.0))
    history = fit(lambda: x**2, [{"params": [x], "lr": 0.1}], 5, run=RUN, text="",
                  stop=lambda: True)  # fmt: skip
    assert history.tolist() == [1.0] and x.item() == 1


def test_a_fused_step_is_the_same_rule(monkeypatch):
    """Float32, 30 steps of at most 0.2: what rounding separates is below 1e-4."""
    asked, adam = [], torch.optim.Adam

    def noted(groups, **options):
        asked.append(options["fused"])
        return adam(groups, **options)

    monkeypatch.setattr(torch.optim, "Adam", noted)
    plain, fused = Fitted(), Fitted()
    with seeded(RUN):
        one = plain.fit()
    with seeded(RUN):
        other = fused.fit(fused=True)
    assert asked == [False, True]
    np.testing.assert_allclose(one, other, rtol=1e-4)
    torch.testing.assert_close(plain.x, fused.x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("stop_at", [2, 17])
def test_fused_and_projected_fits_are_resumed_too(tmp_path, stop_at, fused):
    def options(fitted):
        return {"fused": fused, "project": lambda: fitted.x.data.clamp_(-0.5, 0.7),
                "schedule": flat_then_linear}  # fmt: skip

    straight, first, again = Fitted(), Fitted(stop_at), Fitted()
    path = tmp_path / "state.pt"
    with seeded(RUN):
        history = straight.fit(**options(straight))
    with seeded(RUN), pytest.raises(KeyboardInterrupt):
        first.fit(checkpoint=path, **options(first))
    with seeded(RUN):
        np.testing.assert_array_equal(again.fit(checkpoint=path, **options(again)), history)
    assert torch.equal(again.x, straight.x)


def test_no_state_is_kept_once_the_last_step_is_made(tmp_path):
    """Nothing would be left to do, and no loss would be computed for what comes after."""
    fitted, path = Fitted(), tmp_path / "state.pt"

    def interrupted(made):
        if made == 30:
            raise KeyboardInterrupt

    with seeded(RUN), pytest.raises(KeyboardInterrupt):
        fitted.fit(checkpoint=path, watch=interrupted)
    assert list(tmp_path.iterdir()) == []


def drawn_bar(monkeypatch, capsys, progress):
    """What the bar writes when each of its states is drawn; as a rule it waits for a second."""
    at_once = lambda **options: tqdm(**{**options, "delay": 0, "mininterval": 0})  # noqa: E731
    monkeypatch.setattr(fitting, "tqdm", at_once)
    x = torch.nn.Parameter(torch.tensor(3.0))
    history = fit(lambda: x**2, [{"params": [x], "lr": 0.1}], 4, run=Run(progress=progress),
                  text="learning x")  # fmt: skip
    return history, capsys.readouterr().err


def test_the_bar_tells_the_loss_of_each_step_and_the_time_left(monkeypatch, capsys):
    history, said = drawn_bar(monkeypatch, capsys, progress=True)
    assert "learning x" in said
    for step, value in enumerate(history, start=1):
        shown = re.search(rf"{step}/4 \[\d\d:\d\d<(\S+),.*?loss (\S+?)\]", said)
        assert shown, said
        assert re.fullmatch(r"\d\d:\d\d", shown[1])  # the time left
        assert float(shown[2]) == pytest.approx(value, rel=5e-3)  # three digits


def test_no_bar_where_none_is_wanted(monkeypatch, capsys):
    assert drawn_bar(monkeypatch, capsys, progress=False)[1] == ""
