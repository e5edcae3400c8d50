"""Build the site of one source folder; every warning is an error.

    python tools/build_site.py                     this folder, into _build/html
    python tools/build_site.py --scene SCENE       every chapter run on that scene, a second site

The site of a scene lives in ``_build/scene-<name>``: ``source/`` holds what was built, ``html/``
the site. Committed notebooks are read, never written.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import run_notebooks
import student
from kernel_environment import ROOT, environment

# What the site is made of beside the notebooks.
SITE_SOURCES = ("_config.yml", "_toc.yml", "book", "tools/sphinx_ext")
LOAD = """
import sys, hsisr_lite
try:
    hsisr_lite.load_scene()
except (ValueError, OSError) as error:
    sys.exit(f"make book: {error}")
"""


def build(source, html):
    """Run Jupyter Book over ``source``, put the site at ``html``, return the exit status."""
    build_folder = source / "_build"
    command = Path(sys.executable).with_name("jupyter-book")
    # --all: an incremental build does not copy changed scripts and styles again.
    options = ["build", source, "--all", "-W", "--keep-going", "-n", "--path-output", source]
    print("Building the site; warnings, if any, follow.", flush=True)
    # Its own report names folders that are moved below; it is shown only when something failed.
    run = subprocess.run([sys.executable, command, *options], stdout=subprocess.PIPE, text=True)
    status = run.returncode
    if status != 0:
        print(run.stdout)
    if status == 0 and html != build_folder / "html":
        shutil.rmtree(html, ignore_errors=True)
        shutil.move(build_folder / "html", html)
    if status == 0:
        print(f"The site: {html / 'index.html'}")
    return status


def build_scene(scene, jobs, root=ROOT):
    """Run every chapter on ``scene``, build its site, return the exit status of both."""
    # Once, before the chapters: one sentence on a scene that cannot be read, and one download.
    env = environment(root=root, scene=scene)
    if subprocess.run([sys.executable, "-c", LOAD], env=env).returncode:
        return 2
    folder = root / "_build" / f"scene-{slug(scene)}"
    source = folder / "source"
    shutil.rmtree(folder, ignore_errors=True)
    for name in SITE_SOURCES:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copyfile
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(root / name, source / name)
    notebooks = source / "notebooks"
    chapters = sorted(root.glob("notebooks/*.ipynb"))
    failures = run_notebooks.run(chapters, root=root, jobs=jobs, scene=scene, into=notebooks)
    (source / "results").mkdir()
    shutil.move(notebooks / "timings.json", source / "results" / "timings.json")
    student.main(notebooks, source / "_build" / "student")
    status = build(source, folder / "html")
    for failure in failures:
        print(f"On {scene}: {failure}", file=sys.stderr)
    return 1 if failures else status


def slug(scene):
    """A folder's name made from a scene's name or path."""
    return re.sub(r"[^a-z0-9]+", "-", Path(scene).stem.lower()).strip("-") or "scene"


def main(arguments=None):
    """Parse the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.scene:
        return build_scene(options.scene, options.jobs)
    return build(ROOT, ROOT / "_build" / "html")


if __name__ == "__main__":
    sys.exit(main())
