"""The one training loop of all networks: device, seed, schedule, progress, history, resuming."""

import math
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import torch
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.tensor_files import as_writable, load_tensors, save_tensors

_SMALL = 1_000_000  # numbers in a step's largest array: with fewer, threads cost more than bring
_KEEP_EVERY = 20.0  # seconds between two states on the disk


def torch_device(run):
    """The torch device of a :class:`~hsisr_lite.budget.Run`; ``auto`` takes a GPU if there is one.

    Examples
    --------
    >>> from hsisr_lite.budget import Run
    >>> torch_device(Run(device="cpu"))
    device(type='cpu')
    """
    if run.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(run.device)


@contextmanager
def seeded(run, *, numbers=0):
    """Inside, everything random follows ``run.seed``; the caller's generators are left alone.

    One thread works where a step's largest array holds too few ``numbers`` for more to pay, so that
    a small fusion gives the same digits on every machine of a kind.

    Examples
    --------
    >>> from hsisr_lite.budget import Run
    >>> with seeded(Run(seed=3)):
    ...     first = torch.rand(1)
    >>> with seeded(Run(seed=3)):
    ...     bool(torch.rand(1) == first)
    True
    """
    gpus = list(range(torch.cuda.device_count())) if torch_device(run).type == "cuda" else []
    threads = torch.get_num_threads()
    # Also where the caller has turned gradients off
    with torch.random.fork_rng(devices=gpus), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(run.seed % 2**63)
        try:
            if numbers < _SMALL:
                torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)


def as_steps(steps):
    """A number of steps, checked.

    Examples
    --------
    >>> as_steps(10)
    10
    """
    if isinstance(steps, bool) or not (isinstance(steps, int | np.integer) and steps >= 1):
        raise InputError(
            f"steps is {steps!r}: a whole number of at least 1 is needed; leave it out for the "
            "default."
        )
    return int(steps)


def cosine(step, steps):
    r"""The share of its first learning rate that a step takes: half a wave, from 1 to nearly 0.

    .. math:: \eta_t = \tfrac{\eta_0}{2} \bigl( 1 + \cos(\pi t / T) \bigr)

    for t from 0 to T - 1, as in [loshchilov2017]_, without restarts.

    Examples
    --------
    >>> cosine(0, 10), round(cosine(5, 10), 12)
    (1.0, 0.5)
    """
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def flat_then_linear(step, steps):
    r"""The share of its first learning rate that a step takes: 1 for half of them, then a line.

    .. math:: \eta_t = \eta_0 \Bigl( 1 - \frac{\max(0,\, t - T_1)}{T - T_1 + 1} \Bigr),
              \qquad T_1 = \lfloor T / 2 \rfloor

    for t from 1 to T, as in M2U-Net [m2unet2024]_: the last step is small, and not zero.

    Examples
    --------
    >>> [flat_then_linear(step, 6) for step in range(6)]
    [1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    flat = steps // 2
    return 1 - max(0, step + 1 - flat) / (steps - flat + 1)


def fit(loss, groups, steps, *, run, text, schedule=cosine, fused=False, project=None, stop=None,
        watch=None, checkpoint=None):  # fmt: skip
    r"""Minimise a loss by Adam [kingma2015]_.

    Parameters
    ----------
    loss : callable
        Returns a scalar tensor; called once a step, without arguments.
    groups : list of dict
        Parameter groups with ``params`` and their first learning rate ``lr``; ``constant=True``
        keeps a group's rate as it is.
    steps : int
        T.
    run : Run
        ``progress`` decides about the bar.
    text : str
        What the bar says, beside the loss and the time left.
    schedule : callable
        Which share of the rate a step takes: :func:`cosine` or :func:`flat_then_linear`.
    fused : bool
        Let torch make each step in one pass over all numbers: the same rule, rounded differently.
    project : callable, optional
        Called after each step, to bring the parameters back to where they may be.
    stop : callable, optional
        Asked after each loss, before its step; where it says yes, the fit ends without the step.
        It must not know the truth.
    watch : callable, optional
        Called with the number of steps made, after each, and once with 0 before the first.
    checkpoint : str or Path, optional
        Where the state of the fit is kept, every 20 seconds and when it is interrupted; a fit that
        finds its own state there goes on from it. The file is removed at the end.

    Returns
    -------
    history : (steps,) float64 array
        The loss before each step; shorter where ``stop`` ended the fit.

    Raises
    ------
    InputError
        ``steps`` that is no whole number of at least 1, or a checkpoint of another fit: of other
        layers or steps, or with another first loss, as other data have, and most often other seeds.

    Examples
    --------
    >>> from hsisr_lite.budget import Run
    >>> x = torch.nn.Parameter(torch.tensor(3.0))
    >>> history = fit(lambda: (x - 1) ** 2, [{"params": [x], "lr": 0.1}], 200, run=Run(), text="")
    >>> round(x.item(), 2), len(history)
    (1.0, 200)
    """
    steps = as_steps(steps)
    groups = [dict(group, params=list(group["params"])) for group in groups]
    constant = [group.pop("constant", False) for group in groups]
    optimiser = torch.optim.Adam(groups, fused=fused)
    rates = [group["lr"] for group in groups]
    history = torch.zeros(steps, dtype=torch.float64)
    checkpoint = None if checkpoint is None else as_writable(checkpoint)
    start = 0
    if checkpoint and checkpoint.exists():
        start = _resume(checkpoint, optimiser, history, first=loss().item())
    if watch and start == 0:
        watch(0)
    kept, made, drawn = time.monotonic(), start, _random_state() if checkpoint else None
    bar = tqdm(
        total=steps, initial=start, desc=text, disable=not run.progress, leave=False, delay=1
    )
    try:
        with bar:
            for step in range(start, steps):
                factor = schedule(step, steps)
                for group, rate, fixed in zip(optimiser.param_groups, rates, constant, strict=True):
                    group["lr"] = rate if fixed else rate * factor
                optimiser.zero_grad()
                value = loss()
                history[step] = value.detach()
                if stop and stop():
                    history = history[: step + 1]
                    break
                value.backward()
                with _interrupts_wait():
                    optimiser.step()
                    if project:
                        project()
                    made, drawn = step + 1, _random_state() if checkpoint else None
                bar.set_postfix_str(f"loss {history[step].item():.3g}", refresh=False)
                bar.update()
                if watch:
                    watch(made)
                if checkpoint and made < steps and time.monotonic() - kept > _KEEP_EVERY:
                    _keep(checkpoint, optimiser, history, made, drawn)
                    kept = time.monotonic()
    except KeyboardInterrupt:
        if checkpoint and 0 < made < steps:  # a loss remembers its last value: one must be to come
            _keep(checkpoint, optimiser, history, made, drawn)
        raise
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return history.numpy()


@contextmanager
def _interrupts_wait():
    """Ctrl-C is answered after the block, so that no step is kept half done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    asked = []
    handler = signal.signal(signal.SIGINT, lambda *what: asked.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if asked and callable(handler):
            handler(*asked[0])


def _parameters(optimiser):
    return [p for group in optimiser.param_groups for p in group["params"]]


def _random_state():
    """The generators' states: the CPU's, then each GPU's."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *gpus]


def _keep(checkpoint, optimiser, history, made, drawn):
    """Write the state under a temporary name, then rename: never half a file."""
    state = {
        "parameters": [p.detach() for p in _parameters(optimiser)],
        "optimiser": optimiser.state_dict(),
        "history": history,
        "made": made,
        "random": drawn,
    }
    save_tensors(state, checkpoint)


def _resume(checkpoint, optimiser, history, first):
    """Restore what :func:`_keep` wrote, if it began with the same loss; the steps made."""
    state = load_tensors(checkpoint)
    parameters = _parameters(optimiser)
    own = (
        isinstance(state, dict)
        and state.keys() == {"parameters", "optimiser", "history", "made", "random"}
        and [p.shape for p in state["parameters"]] == [p.shape for p in parameters]
        and len(state["history"]) == len(history)
        # Rounding may differ from machine to machine; other data or another seed differ by more.
        and np.isclose(state["history"][0], first, rtol=1e-4)
    )
    if not own:
        raise InputError(
            f"{checkpoint} holds the state of another fit: one of {len(history)} steps, on the "
            "same pair and with the same seed and settings, is needed; delete the file or name "
            "another."
        )
    try:
        with torch.no_grad():
            for parameter, value in zip(parameters, state["parameters"], strict=True):
                parameter.copy_(value)
        optimiser.load_state_dict(state["optimiser"])
        history.copy_(state["history"])
        torch.set_rng_state(state["random"][0])
        if torch.cuda.is_available() and len(state["random"]) > 1:
            torch.cuda.set_rng_state_all(state["random"][1:])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{checkpoint} holds a damaged state ({type(error).__name__}): one that this version "
            "wrote is needed; delete the file or name another."
        ) from error
    return state["made"]
