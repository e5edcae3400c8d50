"""Take M2U-Net apart at lesson size, and store the tables of chapter 11.

python tools/sweep_m2unet.py            measure again and store; goes on where it was interrupted
python tools/sweep_m2unet.py --check    fail when the measured code has changed since

A quarter of an hour on one core. Every figure is of the last step; none is chosen by the truth.
"""

import statistics
import sys
import time
from dataclasses import asdict, replace

import numpy as np
from kernel_environment import ROOT
from sweep import command, fingerprint, run_pieces, versions

# What the figures belong to
MEASURED = (
    "m2unet/*.py",
    "fitting.py",
    "degradation/[!fmr]*.py",  # all but flows and registration
    "scenes/s*.py",
    "baselines/regression.py",
    "pixel_metrics.py",
)
PAIR = {"scene": "synthetic", "ratio": 4, "sensor": "worldview2", "crop": [24, 24, 48]}
STEPS, FEATURES, SEEDS = (6000, 400, 400), 16, (0, 1, 2)
# Each cell differs from the published form, blind, on that pair, in what is named.
CELLS = {
    "published": {},
    "P = 8": {"features": 8},
    "P = 32": {"features": 32},
    "P = 64": {"features": 64},
    "told": {"blind": False},
    "stream 1": {"first": "stream1"},
    "stream 2": {"first": "stream2"},
    "noise": {"first": "noise"},
    "sensors": {"form": {"sensors": "convex"}},
    "start": {"form": {"start": "affine"}},
    "output": {"form": {"output": "residual"}},
    "prior": {"form": {"output": "residual", "prior": True}},
    "gates": {"form": {"gates": "learned"}},
    "together": {
        "form": {
            "sensors": "convex", "start": "affine", "output": "residual", "gates": "learned",
            "prior": True, "stop": True,
        }
    },
}  # fmt: skip
# 80 x 80 pixels are a whole number of blocks at all of them, so all are scored on the same pixels.
FACTORS, FACTOR_CROP, FACTOR_STEPS = (8, 10, 16, 20), [8, 8, 80], (6000, 400, 200)
SPEEDS = {
    "published": {},
    "gates": {"gates": "learned"},
    "channels_last": {"channels_last": True},
    "bf16": {"bf16": True},
    "fused": {"fused": True},
    "all four": {"gates": "learned", "channels_last": True, "bf16": True, "fused": True},
}
SPEED_FEATURES, TIMED_STEPS, ROUNDS = (16, 64), 10, 5
UNFINISHED = ROOT / "_build" / "m2unet_unfinished.json"


def taken():
    """One digest over the source of everything that was measured, and over the settings."""
    settings = (
        PAIR, STEPS, FEATURES, SEEDS, CELLS, FACTORS, FACTOR_CROP, FACTOR_STEPS, SPEEDS,
        SPEED_FEATURES,
    )  # fmt: skip
    return fingerprint(ROOT, MEASURED, settings)


class Observed:
    """The pair of one crop and ratio, and its stages, each made once.

    Stage 1 has no dice, so all seeds share it; stage 2 serves every cell that differs later.
    """

    def __init__(self, crop, ratio, steps):
        import hsisr_lite as hl

        row, col, side = crop
        scene = hl.load_scene(PAIR["scene"])
        self.truth = scene.cube[row : row + side, col : col + side]
        widths = {key: value for key, value in scene.meta.items() if key == "fwhm"}
        part = hl.Scene("part", self.truth, scene.wavelengths, meta=widths)
        self.told = hl.simulate(part, ratio, PAIR["sensor"], blind=False)
        self.blind = replace(self.told, psf=None, srf=None)
        self.steps, self.kept = steps, {}

    def stage(self, work, *told):
        """What ``work`` returned when it was last told the same."""
        key = work.__name__, *told
        if key not in self.kept:
            self.kept[key] = work(*told)
        return self.kept[key]

    def sensors(self, blind, how):
        """Stage 1."""
        from hsisr_lite.budget import Run
        from hsisr_lite.m2unet.convex import solve_sensors
        from hsisr_lite.m2unet.dil import learn_sensors

        pair = self.blind if blind else self.told
        return solve_sensors(pair) if how == "convex" else learn_sensors(pair, Run(), self.steps[0])

    def first(self, blind, how, start, seed):
        """Stage 2: images by their names."""
        from hsisr_lite.budget import Run
        from hsisr_lite.fitting import seeded
        from hsisr_lite.m2unet.iie import affine_start, learn_spectra
        from hsisr_lite.m2unet.tensors import as_image, as_tensor

        pair, run, last = self.blind if blind else self.told, Run(seed=seed), {}
        sensors = self.stage(self.sensors, blind, how)
        dice = np.random.default_rng(seed)
        images = {"noise": dice.random(self.truth.shape, dtype=np.float32)}
        if start == "affine":
            return images | {"mean": affine_start(pair, sensors, run).image}
        with seeded(run):
            learned = learn_spectra(
                pair, sensors, run, self.steps[1], watch=lambda made, net: last.update(net=net)
            )
        z = as_tensor(pair.hr_msi)
        for name in ("stream1", "stream2"):
            images[name] = as_image(getattr(last["net"], name)(z))
        return images | {"mean": learned.image}

    def cell(self, seed, *, features=FEATURES, blind=True, first="mean", form=None):
        """Scores of the first image and of stage 3, and how many scalars stage 3 learned."""
        from hsisr_lite.budget import Run
        from hsisr_lite.fitting import seeded
        from hsisr_lite.m2unet.dig import draw
        from hsisr_lite.m2unet.presets import PUBLISHED

        form, run = replace(PUBLISHED, **(form or {})), Run(seed=seed)
        image = self.stage(self.first, blind, form.sensors, form.start, seed)[first]
        pixels = self.truth[..., 0].size
        with seeded(run, numbers=25 * features * pixels):
            drawn = draw(
                self.blind if blind else self.told, self.stage(self.sensors, blind, form.sensors),
                image, run, self.steps[2], features=features, form=form,
            )  # fmt: skip
        start = {f"first_{name}": value for name, value in self.scores(image).items()}
        return start | self.scores(drawn.image) | {"parameters": drawn.learned}

    def scores(self, image):
        """PSNR in decibels and SAM in degrees."""
        from hsisr_lite.metrics import psnr, sam

        return {
            "psnr": round(float(psnr(self.truth, image)), 4),
            "sam": round(float(sam(self.truth, image)), 4),
        }

    def regression(self):
        """Scores of the affine map on the blind pair."""
        import hsisr_lite as hl

        return self.scores(hl.fuse(self.blind, "regression", progress=False).hr_hsi)


def plan():
    """Every piece of work: its name, and a function that is given the pairs made so far."""
    base, work = ("base", PAIR["crop"], PAIR["ratio"], STEPS), {}
    work["regression"] = lambda pair: pair(*base).regression()
    for seed in SEEDS:
        for name, told in CELLS.items():
            work[f"cell/{name}/{seed}"] = lambda pair, seed=seed, told=told: pair(*base).cell(
                seed, **told
            )
    for factor in FACTORS:
        own = (f"factor {factor}", FACTOR_CROP, factor, FACTOR_STEPS)
        work[f"factor/{factor}/regression"] = lambda pair, own=own: pair(*own).regression()
        for seed in SEEDS:
            for name in ("published", "together"):
                work[f"factor/{factor}/{name}/{seed}"] = (
                    lambda pair, own=own, seed=seed, name=name: pair(*own).cell(seed, **CELLS[name])
                )
    for features in SPEED_FEATURES:
        work[f"speed/{features}"] = lambda pair, features=features: speeds(pair(*base), features)
    return work


def speeds(observed, features):
    """Seconds of a step of each form, relative to the published one within the same minute.

    The forms take turns, so that whatever else the machine does hits all of them.
    """
    from hsisr_lite.budget import Run
    from hsisr_lite.fitting import seeded
    from hsisr_lite.m2unet.dig import draw
    from hsisr_lite.m2unet.presets import PUBLISHED

    rounds = {name: [] for name in SPEEDS}
    for _ in range(ROUNDS):
        for name, changes in SPEEDS.items():
            clock = {}
            with seeded(Run()):
                draw(
                    observed.told, observed.stage(observed.sensors, False, "adam"),
                    observed.truth, Run(), TIMED_STEPS + 2, features=features,
                    form=replace(PUBLISHED, **changes),
                    watch=lambda made, image, clock=clock: clock.update(
                        {made: time.process_time()}
                    ),
                )  # fmt: skip
            rounds[name].append(clock[TIMED_STEPS + 2] - clock[2])  # the first two warm up
    published = statistics.median(rounds["published"])
    return {
        name: float(f"{statistics.median(runs) / published:.2g}") for name, runs in rounds.items()
    }


def measure():
    """The content of the file; what an interrupted run has measured is not measured again."""
    import torch

    from hsisr_lite.m2unet.presets import PUBLISHED, has_bf16

    stamp, pairs = taken(), {}

    def pair(name, *told):
        if name not in pairs:
            pairs.clear()  # one at a time is enough
            pairs[name] = Observed(*told)
        return pairs[name]

    work = plan()
    done = run_pieces(work, lambda name, _: work[name](pair), UNFINISHED, stamp)

    def seeds(prefix):
        rows = [done[f"{prefix}/{seed}"] for seed in SEEDS]
        table = {key: [row[key] for row in rows] for key in rows[0]}
        return table | {"parameters": rows[0]["parameters"]}

    return {
        **PAIR,
        "steps": STEPS,
        "features": FEATURES,
        "seeds": SEEDS,
        "published": asdict(PUBLISHED),
        "regression": done["regression"],
        "cells": {name: {"differs": told} | seeds(f"cell/{name}") for name, told in CELLS.items()},
        "factors": {
            "crop": FACTOR_CROP,
            "steps": FACTOR_STEPS,
            "at": {
                str(factor): {"regression": done[f"factor/{factor}/regression"]}
                | {name: seeds(f"factor/{factor}/{name}") for name in ("published", "together")}
                for factor in FACTORS
            },
        },
        "step_time": {str(features): done[f"speed/{features}"] for features in SPEED_FEATURES},
        "bf16_in_hardware": has_bf16(torch.device("cpu")),
        "versions": versions(),
        "fingerprint": stamp,
    }


if __name__ == "__main__":
    stored = ROOT / "hsisr_lite" / "benchmark" / "m2unet.json"
    sys.exit(command(__file__, stored, measure, taken, UNFINISHED))
