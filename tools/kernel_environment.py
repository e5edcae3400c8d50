"""The environment that a chapter's kernel runs in, so that a second run gives the same bytes.

This is the only place that fixes a kernel's threads, hash seed and backend: the runner, the tests
of the chapters and the GPU run all take it from here, and two kernels can run side by side on two
cores.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

REPEATABLE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "Agg",  # a figure is published when a cell shows it, never as a side effect
    "SOURCE_DATE_EPOCH": "0",  # matplotlib writes the date into SVG otherwise
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # repeatable sums on a GPU
    "TQDM_DISABLE": "1",  # a clock that shows only on a busy machine would be stored as an output
}


def environment(*, root=ROOT, scene=None, device="cpu"):
    """The process environment of a kernel that imports the package under ``root``.

    Without ``scene`` the kernel sees none of the caller's HSISR settings: what is committed must
    not depend on who ran it. With one, data folder, budget and device are the caller's.
    """
    env = os.environ | REPEATABLE
    if scene is None:
        for setting in [name for name in env if name.startswith("HSISR_")]:
            del env[setting]
        env["HSISR_DEVICE"] = device
    else:
        env["HSISR_SCENE"] = scene
    paths = [str(root), *filter(None, [env.get("PYTHONPATH")])]
    return env | {"PYTHONPATH": os.pathsep.join(paths)}
