"""Measure the CPU seconds of the methods without a network, and store them for the chapters.

python tools/measure_seconds.py            measure again and store
python tools/measure_seconds.py --check    fail when the measured code has changed since

Seconds are the median of some runs on one core, after a first one that pays for the imports.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import scipy
from fingerprint import digest
from kernel_environment import ROOT, environment

# What the seconds and the PSNR belong to
MEASURED = (
    "baselines/*.py",
    "degradation/[!fmr]*.py",  # all but flows and registration
    "unmixing/*.py",
    "scenes/s*.py",
    "pixel_metrics.py",
)
PAIR = {"scene": "synthetic", "ratio": 4, "sensor": "worldview2"}
RUNS = 3


def taken():
    """One digest over the source of everything that was measured."""
    package = ROOT / "hsisr_lite"
    files = {
        path.relative_to(package).as_posix() for part in MEASURED for path in package.glob(part)
    }
    return digest(
        "\n".join(f"{name} {digest((package / name).read_bytes())}" for name in sorted(files))
    )


def without_network():
    """Names of the methods that live among the baselines."""
    from hsisr_lite.methods import _METHODS, methods

    return [name for name in methods() if _METHODS[name][0].startswith("baselines.")]


def measure():
    """The content of the file."""
    import hsisr_lite as hl
    from hsisr_lite.metrics import psnr

    scene = hl.load_scene(PAIR["scene"])
    pair = hl.simulate(scene, PAIR["ratio"], PAIR["sensor"], blind=False)
    methods = {}
    for name in without_network():
        hl.fuse(pair, name, progress=False)
        runs = []
        for _ in range(RUNS):
            start = time.process_time()
            result = hl.fuse(pair, name, progress=False)
            runs.append(time.process_time() - start)
        methods[name] = {
            "seconds": float(f"{np.median(runs):.2g}"),
            "psnr": round(psnr(scene.cube, result.hr_hsi), 2),
        }
        print(f"{name:22} {methods[name]['seconds']:8.2g} s  {methods[name]['psnr']:6.2f} dB")
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    return {**PAIR, "methods": methods, "versions": versions, "fingerprint": taken()}


def main(arguments=None):
    """Measure and store, or check; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--here", action="store_true", help="in this process, as it is set up")
    options = parser.parse_args(arguments)
    if not (options.check or options.here):  # a process with one thread, as chapters have
        return subprocess.call([sys.executable, __file__, "--here"], env=environment())
    sys.path.insert(0, str(ROOT))
    from hsisr_lite.benchmark import SECONDS, stored_seconds

    if options.here:
        SECONDS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    elif stored_seconds()["fingerprint"] != taken():
        print("seconds.json is stale: run python tools/measure_seconds.py.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
