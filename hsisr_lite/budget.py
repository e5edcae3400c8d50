"""How long and where a method may run: the two presets and the device."""

import os
from dataclasses import dataclass

from hsisr_lite.arrays import InputError, as_seed

BUDGETS = ("lite", "paper")  # two CPU cores; the published settings, on a GPU
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Run:
    """Settings shared by every method; each reads its own preset for ``budget``.

    Examples
    --------
    >>> Run.resolve(budget="lite", device="cpu").device
    'cpu'
    """

    budget: str = "lite"
    seed: int = 0
    device: str = "cpu"
    progress: bool = False

    @classmethod
    def resolve(cls, budget=None, seed=0, device="auto", progress=True):
        """Fill in ``HSISR_BUDGET`` and ``HSISR_DEVICE`` and check the outcome.

        Raises
        ------
        InputError
            An unknown budget or device, or ``cuda`` where torch sees no GPU.
        """
        budget = budget or os.environ.get("HSISR_BUDGET") or "lite"
        if budget not in BUDGETS:
            raise InputError(
                f"budget '{budget}' is not known: one of {', '.join(BUDGETS)} is needed; check "
                "the argument and HSISR_BUDGET."
            )
        if device == "auto":
            device = os.environ.get("HSISR_DEVICE") or "auto"
        if device not in DEVICES:
            raise InputError(
                f"device '{device}' is not known: one of {', '.join(DEVICES)} is needed; check "
                "the argument and HSISR_DEVICE."
            )
        if device == "cuda":
            import torch  # only a method that is asked for a GPU waits for torch here

            if not torch.cuda.is_available():
                raise InputError(
                    "device 'cuda' was asked for but torch sees no GPU: a CUDA build and driver "
                    "are needed; use device='cpu'."
                )
        return cls(budget, as_seed(seed), device, progress)
