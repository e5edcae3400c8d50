"""What every sweep does: know when it is stale, go on where it was interrupted, store its tables.

A sweep is a plan: pieces of work by name, each measured once. What is done is kept beside the
build, with the fingerprint of the code that it belongs to.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from fingerprint import digest
from kernel_environment import ROOT, environment
from tqdm import tqdm


def fingerprint(root, measured, settings):
    """One digest over the source of everything that was measured, and over the settings.

    ``measured`` holds patterns of files, relative to the package under ``root``.
    """
    package = root / "hsisr_lite"
    files = {
        path.relative_to(package).as_posix() for part in measured for path in package.glob(part)
    }
    sources = [f"{name} {digest((package / name).read_bytes())}" for name in sorted(files)]
    return digest("\n".join([*sources, json.dumps(settings)]))


def run_pieces(work, measure, unfinished, stamp):
    """Name to ``measure(name, done)`` for every name of ``work``; an interrupted run goes on.

    ``done`` holds what is measured already. ``unfinished`` is the file that keeps it; one of
    another ``stamp`` is begun anew.
    """
    done = {}
    if unfinished.exists():
        state = json.loads(unfinished.read_text(encoding="utf-8"))
        done = state["done"] if state["fingerprint"] == stamp else {}
    with tqdm(total=len(work), initial=len(done), unit="piece") as bar:
        for name in (name for name in work if name not in done):
            bar.set_description(name)
            done[name] = measure(name, done)
            unfinished.parent.mkdir(exist_ok=True)
            temporary = unfinished.with_suffix(".part")
            temporary.write_text(json.dumps({"fingerprint": stamp, "done": done}), encoding="utf-8")
            os.replace(temporary, unfinished)
            bar.update()
    return done


def versions():
    """Of the libraries that the figures come from."""
    import torch

    return {"numpy": np.__version__, "torch": torch.__version__.split("+")[0]}


def command(script, path, measure, taken, unfinished, arguments=None):
    """The command line of a sweep, ``script``; return the exit status.

    ``measure()`` gives the content of the file ``path``, and ``taken()`` its fingerprint;
    ``unfinished`` is deleted once the file stands.
    """
    parser = argparse.ArgumentParser()
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="fail when the measured code has changed since"
    )
    what.add_argument("--here", action="store_true", help="in this process, as it is set up")
    options = parser.parse_args(arguments)
    if options.here:
        sys.path.insert(0, str(ROOT))
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        unfinished.unlink(missing_ok=True)
    elif not options.check:  # a process with one thread, as chapters have
        one_thread = environment()
        one_thread.pop("TQDM_DISABLE")
        return subprocess.call([sys.executable, script, "--here"], env=one_thread)
    elif json.loads(path.read_text(encoding="utf-8"))["fingerprint"] != taken():
        print(f"{path.name} is stale: run python tools/{Path(script).name}.", file=sys.stderr)
        return 1
    return 0
