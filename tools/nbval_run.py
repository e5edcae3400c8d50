"""Run the chapters again as tests, by nbval, in the same kernels' environment as the runner.

python tools/nbval_run.py          every chapter on the CPU, two side by side
python tools/nbval_run.py --gpu    every chapter on the GPU, one by one; writes results/gpu.json
"""

import argparse
import datetime
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from kernel_environment import ROOT, environment

REPORT = ROOT / "results" / "gpu.json"
# A chapter's kernel warnings are the reader's business, not pytest's; doctests belong to the units.
PYTEST = ("-m", "pytest", "--nbval-lax", "--nbval-current-env", "-q", "-W", "default")


def on_cpu():
    """All chapters; ``loadfile`` keeps the cells of one chapter in one kernel."""
    chapters = sorted(ROOT.glob("notebooks/*.ipynb"))
    if not chapters:
        print("notebooks: none to test")
        return 0
    command = [sys.executable, *PYTEST, "-n", "2", "--dist", "loadfile", *chapters]
    return subprocess.run(command, cwd=ROOT, env=environment()).returncode


def on_gpu():
    """All chapters with HSISR_DEVICE=cuda in this interpreter; nothing is installed."""
    needed = ("torch", "pytest", "nbval", "ipykernel", "tqdm")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        print(f"test-gpu: {sys.executable} lacks {', '.join(missing)}; name another by PYTHON=...")
        return 2
    import torch

    if not torch.cuda.is_available():
        print(f"test-gpu: torch {torch.__version__} sees no GPU here; nothing to test.")
        return 0
    chapters = {}
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        chapters[path.stem] = one_on_gpu(path)
        print(f"{path.stem:40} {json.dumps(chapters[path.stem])}", flush=True)
    report = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "chapters": chapters,
    }
    REPORT.parent.mkdir(exist_ok=True)
    temporary = REPORT.with_suffix(".part")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, REPORT)
    print(f"test-gpu: {REPORT.relative_to(ROOT)} written")
    return 1 if any(chapter["failed"] for chapter in chapters.values()) else 0


def one_on_gpu(path):
    """Cells passed and failed, and the seconds they took, kernel start included."""
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder, "junit.xml")
        command = [sys.executable, *PYTEST, f"--junitxml={junit}", path]
        start = time.perf_counter()
        status = subprocess.run(command, cwd=ROOT, env=environment(device="cuda")).returncode
        seconds = round(time.perf_counter() - start, 1)
        suite = ElementTree.parse(junit).find("testsuite") if junit.exists() else None
    counts = {} if suite is None else suite.attrib
    failed = int(counts.get("failures", 0)) + int(counts.get("errors", 0))
    # pytest can also fail without a failed cell: a notebook that cannot be read.
    failed = failed or int(status != 0)
    return {"passed": int(counts.get("tests", 0)) - failed, "failed": failed, "seconds": seconds}


def commit():
    """The commit that was tested; "-dirty" when the tree differs from it; None outside git."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip() or None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true")
    sys.exit(on_gpu() if parser.parse_args().gpu else on_cpu())
