"""Two trainings of the sweep of UAFL that no method offers: without unmixing, and of the volume.

The package is imported inside: the sweep puts it on the path first.
"""

import numpy as np


def untrained(pair, basis, told):
    """The published form's network and crops, with these endmembers, and its first image."""
    from hsisr_lite.degradation.noise import estimate_noise
    from hsisr_lite.uafl.crops import Crops
    from hsisr_lite.uafl.network import UAFL
    from hsisr_lite.uafl.presets import PUBLISHED_PRESETS
    from hsisr_lite.uafl.start import bicubic_start
    from hsisr_lite.uafl.training import SceneUAFL

    preset = PUBLISHED_PRESETS["lite"]
    start, noise = bicubic_start(pair, pair.psf), estimate_noise(pair, pair.psf)
    first = start.image(pair.hr_msi, pair.lr_hsi)
    spectra = pair.lr_hsi.reshape(-1, pair.lr_hsi.shape[2])  # (coarse pixels, bands)
    reference = pair.hr_msi.reshape(-1, pair.hr_msi.shape[2])  # (pixels, msi_bands)
    units = [
        (values.mean(axis=0), values.std(axis=0))
        for values in (spectra.astype(np.float64) @ basis.T, reference.astype(np.float64))
    ]
    network = UAFL(reference.shape[1], len(basis), preset.width, preset.blocks, **told)
    crops = Crops(
        spectra[pair.learnable(pair.psf).ravel()], pair.srf, basis.astype(np.float32), start,
        "realistic", (noise.hsi, noise.msi), preset.crop, pair.hr_msi,
    )  # fmt: skip
    return SceneUAFL(network, basis, *units), crops, first


def on_basis(pair, basis, told, steps, seed):
    """The published training with other endmembers; one per band unmixes nothing."""
    from hsisr_lite.budget import Run
    from hsisr_lite.fitting import seeded
    from hsisr_lite.results import FusionResult
    from hsisr_lite.uafl.method import change_of
    from hsisr_lite.uafl.presets import PUBLISHED_PRESETS
    from hsisr_lite.uafl.training import learn

    run, numbers = Run(seed=seed), PUBLISHED_PRESETS["lite"].width * pair.hr_msi[..., 0].size
    with seeded(run, numbers=numbers):
        scene, crops, first = untrained(pair, basis, told)
        learn(scene, crops, steps, run)
        image = first + change_of(scene, first, pair.hr_msi, run)[0]
    learned = sum(values.numel() for values in scene.parameters())
    return FusionResult.of(pair, image, parameters=learned, history={"start": first})


def matched(pair, steps, held_out, seed):
    """How the flow that the volume finds on crops it has not seen compares with the true one."""
    import torch

    from hsisr_lite.budget import Run
    from hsisr_lite.degradation.flows import inverse_flow
    from hsisr_lite.fitting import seeded
    from hsisr_lite.uafl.presets import PUBLISHED_PRESETS
    from hsisr_lite.uafl.training import learn
    from hsisr_lite.unmixing.subspace import svd_subspace

    def tensor(image):
        return torch.from_numpy(image).permute(2, 0, 1)[None]

    run, preset = Run(seed=seed), PUBLISHED_PRESETS["lite"]
    basis = svd_subspace(pair.lr_hsi.astype(np.float64), preset.endmembers).basis
    found, true = [], []
    with seeded(run, numbers=preset.width * pair.hr_msi[..., 0].size):
        scene, crops, _ = untrained(pair, basis, {"alignment": "correlation"})
        learn(scene, crops, steps, run)
        for crop in (crops.draw(np.random.default_rng([seed, i, 1])) for i in range(held_out)):
            inputs = scene.standard(tensor(crop.abundances), tensor(crop.reference))
            with torch.no_grad():
                f, g = scene.network.embedded(*inputs)
                right_down, _ = scene.network.align[0].flow_and_similarity(g, f)
            rows, cols = crop.reference.shape[:2]
            found.append(right_down[0].flip(0)[:, :rows, :cols].double().numpy())
            true.append(inverse_flow(crop.flow))
    found, true = np.array(found), np.array(true)

    def length(flows):
        return round(float(np.linalg.norm(flows, axis=1).mean()), 4)

    return {
        "correlation": round(float(np.corrcoef(found.ravel(), true.ravel())[0, 1]), 4),
        "end_point_error": length(found - true),
        "flow": length(true),
    }
