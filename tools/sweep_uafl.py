"""Take UAFL apart at lesson size, and store the tables of chapter 15.

python tools/sweep_uafl.py            measure again and store; goes on where it was interrupted
python tools/sweep_uafl.py --check    fail when the measured code has changed since

A quarter of an hour on one core. Every figure is of the last step; none is chosen by the truth.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from kernel_environment import ROOT
from sweep import command, fingerprint, run_pieces, versions
from sweep_uafl_networks import matched, on_basis

# What the figures belong to: of the room uafl, all but the training on a folder
MEASURED = (
    "uafl/[!f]*.py",
    "fitting.py",
    "degradation/*.py",
    "baselines/*.py",
    "unmixing/subspace.py",
    "scenes/s*.py",
    "pixel_metrics.py",
)
# The flow is a realistic one, scaled to so many pixels on average.
PAIR = {"scene": "synthetic", "ratio": 4, "sensor": "rgb", "pixels": 3.0}
SEEDS, FEW = (0, 1, 2), (0, 1)  # of networks and flows; few where curves are far apart
STEPS = {"published": 150, "ours": 100}
# The published form, in the settings of method "uafl"
AS_PUBLISHED = {
    "registration": "none", "start": "bicubic", "alignment": "cfda", "residual": False,
    "trial": False, "endmembers": 3,
}  # fmt: skip
# The paper's table adds one part after the other; the first row unmixes nothing at all.
PLAIN = {"attention": "concat", "alignment": "none", "merging": "concat"}
LADDER = {"baseline": PLAIN, "unmixing": PLAIN, "scaca": PLAIN | {"attention": "scaca"}}
# From our form, one thing is changed at a time.
OURS = {
    "ours": {},
    "four times the steps": {"steps": 4 * STEPS["ours"]},
    "optical flow": {"registration": "optical_flow"},
    "not registered": {"registration": "none"},
    "bicubic start": {"start": "bicubic"},
    "no residual": {"residual": False},
    "no trial": {"trial": False},
    "no SCACA": {"attention": "concat"},
    "no SCMF": {"merging": "concat"},
}
ENDMEMBERS = {"ours": (1, 2, 3, 6, 10), "published": (1, 3, 10)}
PIXELS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
RATIOS = (4, 8, 16)
# The published form with our volume, and the crops that its flow is judged by
VOLUME_STEPS, HELD_OUT = 400, 20
UNFINISHED = ROOT / "_build" / "uafl_unfinished.json"


def cells():
    """Name to (form, what differs from it); every alignment that the network knows has its row."""
    from hsisr_lite.uafl.network import ALIGNMENTS
    from hsisr_lite.uafl.presets import Form

    ladder = LADDER | {
        name: {"merging": "concat", "alignment": name} for name in ALIGNMENTS if name != "none"
    }
    kinds = ("none", "cfda", "correlation")
    own = {
        f"{name} inside": {"alignment": name}
        for name in ALIGNMENTS
        if name in kinds and name != Form().alignment
    }
    rows = {name: ("published", told) for name, told in (ladder | {"full": {}}).items()}
    return rows | {name: ("ours", told) for name, told in (OURS | own).items()}


def taken():
    """One digest over the source of everything that was measured, and over the settings."""
    settings = (
        PAIR, SEEDS, FEW, STEPS, AS_PUBLISHED, LADDER, OURS, ENDMEMBERS, PIXELS, RATIOS,
        VOLUME_STEPS, HELD_OUT,
    )  # fmt: skip
    return fingerprint(ROOT, MEASURED, settings)


def classical():
    """The names of chapter 05's methods."""
    import hsisr_lite as hl

    trained = ("daem", "m2unet", "uafl")
    return [name for name in hl.methods() if not name.startswith(trained)]


class Observed:
    """The pair of one ratio, and what flows make of it, each made once."""

    def __init__(self, ratio, side=None):
        import hsisr_lite as hl
        from hsisr_lite.uafl.scene_folder import rgb_table

        scene = hl.load_scene(PAIR["scene"])
        widths = {key: value for key, value in scene.meta.items() if key == "fwhm"}
        part = hl.Scene("part", scene.cube[:side, :side], scene.wavelengths, meta=widths)
        self.pair = hl.simulate(part, ratio, rgb_table(), blind=False)
        self.truth, self.kept = part.cube, {}

    def flow(self, pixels, seed):
        """A realistic flow, scaled to a mean length."""
        from hsisr_lite.degradation.misregistration import random_flow

        flow = random_flow(*self.truth.shape[:2], "realistic", seed)
        return pixels / np.hypot(*flow).mean() * flow

    def seen(self, pixels, seed):
        """The pair whose reference is seen through that flow."""
        import hsisr_lite as hl

        return hl.misregister(self.pair, self.flow(pixels, seed))[0]

    def registered(self, pixels, seed, by="model"):
        """That pair, registered, and the flow that did it: several cells share them."""
        import hsisr_lite as hl

        if (pixels, seed, by) not in self.kept:
            self.kept[pixels, seed, by] = hl.register(self.seen(pixels, seed), by=by)
        return self.kept[pixels, seed, by]

    def ours(self, pixels, seed, told):
        """Method ``uafl``, on the shared registered pair."""
        import hsisr_lite as hl
        from hsisr_lite.uafl.presets import LEFT_OVER

        told = {"registration": "model", "steps": STEPS["ours"], **told}
        pair = self.seen(pixels, seed)
        if told["registration"] != "none":
            pair, _ = self.registered(pixels, seed, told["registration"])
            told |= {"registration": "none", "misregistration": LEFT_OVER}
        return hl.fuse(pair, "uafl", seed=seed, progress=False, **told)

    def cell(self, pixels, seed, name, told):
        """Scores of a row, and of the image that it started from."""
        form = cells()[name][0]
        steps = STEPS[form]
        if name == "baseline":
            bands = self.truth.shape[2]
            made = on_basis(self.seen(pixels, seed), np.eye(bands), told, steps, seed)
        elif form == "published":
            made = self.ours(pixels, seed, AS_PUBLISHED | {"steps": steps} | told)
        else:
            made = self.ours(pixels, seed, told)
        return {
            **self.scores(made.hr_hsi),
            "start": self.scores(made.history["start"])["psnr"],
            "parameters": made.parameters,
        }

    def published(self, seed):
        """PSNR at all misregistrations of one training: its crops do not hang on the reference."""
        import hsisr_lite as hl

        told = {"seed": seed, "steps": STEPS["published"], "progress": False}
        with TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.pt"
            lengths = [PAIR["pixels"], *(p for p in PIXELS if p != PAIR["pixels"])]
            made = {
                str(pixels): hl.fuse(
                    self.seen(pixels, seed), "uafl_published", weights=weights, **told
                )
                for pixels in lengths
            }
        return {str(pixels): self.scores(made[str(pixels)].hr_hsi)["psnr"] for pixels in PIXELS}

    def classics(self, pixels, seed):
        """PSNR of the methods of chapter 05, misregistered and registered."""
        import hsisr_lite as hl
        from hsisr_lite.degradation.flows import warp

        flow, seen = self.flow(pixels, seed), self.seen(pixels, seed)
        registered, back = self.registered(pixels, seed)
        found = {}
        for name in classical():
            images = [
                hl.fuse(pair, name, seed=seed, progress=False).hr_hsi for pair in (seen, registered)
            ]
            found[name] = [self.scores(image)["psnr"] for image in images]
            if name == "srf_regression":  # it answers in the frame of the MSI
                there = self.scores(images[0], warp(self.truth, flow))["psnr"]
        # f(p + v(p)) + v(p): how far from its place each pixel still is
        left = back + np.stack([warp(part, back) for part in flow])
        return {
            "methods": found,
            "msi_frame": there,
            "left": round(float(np.hypot(*left).mean()), 4),
        }

    def scores(self, image, truth=None):
        """PSNR in decibels and SAM in degrees."""
        from hsisr_lite.metrics import psnr, sam

        truth = self.truth if truth is None else truth
        return {
            "psnr": round(float(psnr(truth, image)), 4),
            "sam": round(float(sam(truth, image)), 4),
        }


def plan():
    """Every piece of work: its name, the ratio, and a function that is given the pair."""
    base, ratio, work = PAIR["pixels"], PAIR["ratio"], {}
    for name, (_, told) in cells().items():
        for seed in SEEDS:
            work[f"cell/{name}/{seed}"] = (
                ratio,
                (lambda pair, seed=seed, name=name, told=told: pair.cell(base, seed, name, told)),
            )
    for name, form in (("ours", "ours"), ("full", "published")):
        for count in ENDMEMBERS[form]:
            for seed in FEW:
                told = {"endmembers": count}
                work[f"endmembers/{form}/{count}/{seed}"] = (
                    ratio,
                    (
                        lambda pair, seed=seed, name=name, told=told: pair.cell(
                            base, seed, name, told
                        )
                    ),
                )
    for seed in FEW:
        work[f"volume/{seed}"] = (
            ratio,
            (lambda pair, seed=seed: matched(pair.seen(base, seed), VOLUME_STEPS, HELD_OUT, seed)),
        )
        work[f"published/{seed}"] = ratio, lambda pair, seed=seed: pair.published(seed)
        for pixels in PIXELS:
            work[f"pixels/{pixels}/ours/{seed}"] = (
                ratio,
                (lambda pair, seed=seed, pixels=pixels: pair.cell(pixels, seed, "ours", {})),
            )
            work[f"pixels/{pixels}/classics/{seed}"] = (
                ratio,
                (lambda pair, seed=seed, pixels=pixels: pair.classics(pixels, seed)),
            )
    for factor in RATIOS:
        for seed in FEW:
            for name in ("ours", "full"):
                work[f"ratio/{factor}/{name}/{seed}"] = (
                    factor,
                    (lambda pair, seed=seed, name=name: pair.cell(base, seed, name, {})),
                )
            work[f"ratio/{factor}/classics/{seed}"] = (
                factor,
                (lambda pair, seed=seed: pair.classics(base, seed)),
            )
    return work


def same_as():
    """Pieces that are a piece measured before, by another name."""
    from hsisr_lite.uafl.presets import PRESETS, PUBLISHED_PRESETS

    base, twins = PAIR["pixels"], {}
    usual = {"ours": PRESETS["lite"].endmembers, "published": PUBLISHED_PRESETS["lite"].endmembers}
    for seed in FEW:
        for form, name in (("ours", "ours"), ("published", "full")):
            twins[f"endmembers/{form}/{usual[form]}/{seed}"] = f"cell/{name}/{seed}"
            twins[f"ratio/{PAIR['ratio']}/{name}/{seed}"] = f"cell/{name}/{seed}"
        twins[f"pixels/{base}/ours/{seed}"] = f"cell/ours/{seed}"
        twins[f"ratio/{PAIR['ratio']}/classics/{seed}"] = f"pixels/{base}/classics/{seed}"
    return twins


def measure():
    """The content of the file; what an interrupted run has measured is not measured again."""
    stamp, pairs, twins, work = taken(), {}, same_as(), plan()

    def one(name, done):
        if twins.get(name) in done:
            return done[twins[name]]
        ratio, piece = work[name]
        if ratio not in pairs:
            pairs.clear()  # one at a time is enough
            pairs[ratio] = Observed(ratio)
        return piece(pairs[ratio])

    done = run_pieces(work, one, UNFINISHED, stamp)
    return {
        **PAIR,
        "steps": STEPS,
        "seeds": SEEDS,
        "few": FEW,
        "published": AS_PUBLISHED,
        **tables(done),
        "versions": versions(),
        "fingerprint": stamp,
    }


def tables(done):
    """What was measured, seeds side by side."""

    def seeds(prefix, which, key="psnr"):
        return [done[f"{prefix}/{seed}"][key] for seed in which]

    def against(prefix, ours, published):
        found = [done[f"{prefix}/classics/{seed}"] for seed in FEW]
        methods = {
            name: {
                state: [one["methods"][name][i] for one in found]
                for i, state in enumerate(("misregistered", "registered"))
            }
            for name in found[0]["methods"]
        }
        return {
            "ours": ours,
            "published": published,
            "methods": methods,
            "msi_frame": [one["msi_frame"] for one in found],
            "left": [one["left"] for one in found],
        }

    rows = {}
    for name, (form, told) in cells().items():
        scores = {key: seeds(f"cell/{name}", SEEDS, key) for key in ("psnr", "sam", "start")}
        learned = done[f"cell/{name}/{SEEDS[0]}"]["parameters"]
        rows[name] = {"form": form, "differs": told, **scores, "parameters": learned}
    volume = [done[f"volume/{seed}"] for seed in FEW]
    return {
        "cells": rows,
        "volume": {"steps": VOLUME_STEPS, "crops": HELD_OUT}
        | {key: [one[key] for one in volume] for key in volume[0]},
        "endmembers": {
            form: {str(count): seeds(f"endmembers/{form}/{count}", FEW) for count in counts}
            for form, counts in ENDMEMBERS.items()
        },
        "misregistration": {
            str(pixels): against(
                f"pixels/{pixels}",
                seeds(f"pixels/{pixels}/ours", FEW),
                [done[f"published/{seed}"][str(pixels)] for seed in FEW],
            )
            for pixels in PIXELS
        },
        "ratios": {
            str(ratio): against(
                f"ratio/{ratio}",
                seeds(f"ratio/{ratio}/ours", FEW),
                seeds(f"ratio/{ratio}/full", FEW),
            )
            for ratio in RATIOS
        },
    }


if __name__ == "__main__":
    stored = ROOT / "hsisr_lite" / "benchmark" / "uafl.json"
    sys.exit(command(__file__, stored, measure, taken, UNFINISHED))
