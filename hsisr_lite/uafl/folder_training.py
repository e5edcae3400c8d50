"""The steps of a training on a folder: alone or in several processes, and on after a stop."""

import os
import reprlib
import time
import warnings
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import torch
from torch import distributed
from torch.nn.functional import smooth_l1_loss
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.fitting import torch_device
from hsisr_lite.tensor_files import load_tensors, save_tensors

AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_DECAY = 5e-5
_KEEP_EVERY = 60.0  # seconds between two states on the disk, besides one after each epoch


class Part(NamedTuple):
    """This process's place among those that train together."""

    rank: int
    count: int
    device: torch.device

    def summed(self, values):
        """The sums of numbers over all processes; each waits for the others."""
        values = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.count > 1:
            distributed.all_reduce(values)
        return values.tolist()

    @contextmanager
    def together(self):
        """All processes go on after the block, or none: no other waits for one that failed."""
        wrong = None
        try:
            yield
        except (InputError, OSError) as error:
            wrong = error
        (failed,) = self.summed([wrong is not None])
        if wrong:
            raise wrong
        if failed:
            raise InputError("another process cannot go on: its own sentence names the remedy.")


@contextmanager
def taking_part(run):
    """Join the processes that ``torchrun`` started; alone where it started none."""
    device = torch_device(run)
    if "LOCAL_RANK" not in os.environ:  # set by torchrun, as are the addresses read by torch
        yield Part(0, 1, device)
        return
    if device.type == "cuda":
        place = int(os.environ["LOCAL_RANK"])
        if place >= torch.cuda.device_count():
            raise InputError(
                f"torchrun started at least {place + 1} processes but torch sees "
                f"{torch.cuda.device_count()} GPUs: one GPU per process is needed; lower "
                "--nproc_per_node, or pass --device cpu."
            )
        device = torch.device("cuda", place)
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    # Nobody gives up while another process still reads large scenes
    distributed.init_process_group(backend, timeout=timedelta(hours=2))
    try:
        yield Part(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()


class Draws(DistributedSampler):
    """Which examples a process makes, as (epoch, number): shuffled anew in each epoch.

    ``count`` processes together draw, batch for batch, what one would draw alone.

    Examples
    --------
    >>> alone = Draws(range(8), rank=0, count=1, seed=0)
    >>> alone.begin(epoch=3, done=4)
    >>> [epoch for epoch, _ in alone], len(alone)
    ([3, 3, 3, 3], 4)
    """

    def __init__(self, examples, *, rank, count, seed):
        super().__init__(examples, count, rank, shuffle=True, seed=seed, drop_last=True)
        self.done = 0

    def begin(self, epoch, done):
        """Start an epoch, or go on with it where ``done`` examples of this process are made."""
        self.set_epoch(epoch)
        self.done = done

    def __iter__(self):
        return iter([(self.epoch, number) for number in super().__iter__()][self.done :])

    def __len__(self):
        return super().__len__() - self.done


class State:
    """All that a training has changed so far, and the rule by which it changes."""

    def __init__(self, model, rate, amp, device, training):
        self.model, self.device, self.training = model, device, training
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=_DECAY)
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")
        self.precision = AMP[amp]
        self.losses, self.validation = [], []

    def losses_of(self, model, parts):
        """The loss of the network's image, and that of the enlarged LrHSI."""
        enlarged, reference, truth = (p.to(self.device, non_blocking=True) for p in parts)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
            fused = model(enlarged, reference)
        return smooth_l1_loss(fused.float(), truth), smooth_l1_loss(enlarged, truth)

    def step(self, model, parts):
        """Make a step; the loss before it."""
        self.optimiser.zero_grad()
        loss, _ = self.losses_of(model, parts)
        # float16 has no room for small gradients: they are made on a larger loss, then divided
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss.item()

    def loss_after(self, parts, part):
        """The loss now, the same for all processes; NaN where a parameter is not finite."""
        with torch.no_grad():
            loss = self.losses_of(self.model, parts)[0].item()
        if not all(values.isfinite().all() for values in self.model.parameters()):
            loss = float("nan")
        return part.summed([loss])[0] / part.count

    def keep(self, checkpoint, part):
        """Write the state, under a temporary name first; one process does it for all."""
        if part.rank == 0:
            content = {
                "training": self.training,
                "network": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "losses": self.losses,
                "validation": self.validation,
            }
            save_tensors(content, checkpoint)

    def resume(self, checkpoint, steps):
        """Go on from what :meth:`keep` wrote.

        Raises
        ------
        InputError
            The state of another training, by what differs, or of more steps than are asked for.
        """
        state = load_tensors(checkpoint)
        remedy = "delete the file or name another"
        try:
            seen = state["training"]
            for name, wanted in self.training.items():
                if seen[name] != wanted:
                    raise InputError(
                        f"{checkpoint} holds the state of another training, whose {name} is "
                        f"{reprlib.repr(seen[name])}: {reprlib.repr(wanted)} is needed; {remedy}."
                    )
            if len(state["losses"]) > steps:
                raise InputError(
                    f"{checkpoint} holds the state after {len(state['losses'])} steps: at most "
                    f"{steps} are asked for; pass more epochs, or {remedy}."
                )
            self.model.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.losses, self.validation = list(state["losses"]), list(state["validation"])
        except InputError:
            raise
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"{checkpoint} holds no state of a training ({type(error).__name__}): one that "
                f"this version wrote is needed; {remedy}."
            ) from error


def train(state, learn, judge, part, run, epochs, batch, workers, checkpoint):
    """Make the steps that are left, and judge after each epoch."""
    model = state.model
    if part.count > 1:
        model = DistributedDataParallel(model)
    share, steps = batch // part.count, len(learn) // batch
    draws = Draws(learn, rank=part.rank, count=part.count, seed=run.seed)
    judged = [(0, number) for number in range(part.rank, len(judge), part.count)]
    options = {
        "batch_size": share,
        "num_workers": workers,
        # A copy of a process with threads may hang: workers start afresh, once
        "multiprocessing_context": "spawn" if workers else None,
        "persistent_workers": workers > 0,
        "pin_memory": part.device.type == "cuda",
    }
    learning = DataLoader(learn, sampler=draws, drop_last=True, **options)
    judging = DataLoader(judge, sampler=judged, **options)
    made, kept = len(state.losses), time.monotonic()
    bar = tqdm(
        total=epochs * steps, initial=made, desc="UAFL", leave=False, delay=1,
        disable=not run.progress or part.rank > 0,
    )  # fmt: skip
    with bar, warnings.catch_warnings():
        # A 1 x 1 kernel has several names for one and the same layout
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        for epoch in range(made // steps, epochs):
            draws.begin(epoch + 1, done=(len(state.losses) - epoch * steps) * share)
            for parts in learning:
                loss = state.step(model, parts)
                state.losses.append(part.summed([loss])[0] / part.count)
                bar.set_postfix_str(f"loss {state.losses[-1]:.3g}", refresh=False)
                bar.update()
                inside = len(state.losses) % steps > 0
                if checkpoint and inside and time.monotonic() - kept >= _KEEP_EVERY:
                    state.keep(checkpoint, part)
                    kept = time.monotonic()
            _check_finite(state.losses[-1], f"the loss of epoch {epoch + 1}")
            # That loss came before the last step, which may have ruined the network
            again = [crops[None] for crops in learn[epoch + 1, 0]]  # (1, channels, crop, crop)
            _check_finite(state.loss_after(again, part), f"the loss after epoch {epoch + 1}")
            state.validation.append(_judge(state, judging, part))
            if len(judge):
                _check_finite(state.validation[-1][0], f"the held-out loss of epoch {epoch + 1}")
            if checkpoint:
                state.keep(checkpoint, part)


def _check_finite(loss, what):
    if not np.isfinite(loss):
        raise InputError(
            f"{what} is {loss}: a finite one is needed; pass a smaller rate, or amp='none'."
        )


def _judge(state, judging, part):
    """The mean loss on the held-out crops, and that of the enlarged LrHSI."""
    total, number = torch.zeros(2), 0
    for parts in judging:
        with torch.no_grad():
            losses = torch.stack(state.losses_of(state.model, parts))
        total, number = total + len(parts[0]) * losses.cpu(), number + len(parts[0])
    summed = part.summed([*total.tolist(), number])
    return [loss / summed[2] if summed[2] else float("nan") for loss in summed[:2]]
