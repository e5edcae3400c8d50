"""Execute the chapters and store their outputs: the one source of what the book publishes.

python tools/run_notebooks.py              re-execute the stale chapters
python tools/run_notebooks.py --all        re-execute every chapter
python tools/run_notebooks.py --check      execute nothing; fail on a stale or unfit output
python tools/run_notebooks.py --verify     execute in memory; fail when one byte would change
python tools/run_notebooks.py --scene NAME --into DIR     on that scene, into another folder
"""

import argparse
import asyncio
import copy
import json
import sys
from pathlib import Path

import fingerprint
import notebook_file
from kernel_environment import ROOT, environment
from notebook_kernel import BUDGET_SECONDS, ChapterError, execute
from tqdm import tqdm


def main(arguments=None, root=ROOT):
    """Parse the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in notebooks/")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true")
    what.add_argument("--check", action="store_true")
    what.add_argument("--verify", action="store_true")
    what.add_argument("--scene", help="a scene's name or file, as HSISR_SCENE takes it")
    parser.add_argument("--into", type=Path, help="folder for the notebooks run on --scene")
    parser.add_argument("--jobs", type=int, default=1, help="kernels side by side")
    options = parser.parse_args(arguments)
    if bool(options.scene) != bool(options.into):
        parser.error("--scene and --into go together")
    paths = options.notebooks or sorted(root.glob("notebooks/*.ipynb"))

    if options.check:
        failures = check(paths, root)
        if not failures:
            print(f"notebooks: {len(paths)} fresh")
    else:
        if not (options.notebooks or options.all or options.verify or options.scene):
            every, paths = paths, [path for path in paths if stale(path, root)]
            print(f"notebooks: {len(paths)} of {len(every)} are stale")
        failures = run(
            paths,
            root=root,
            jobs=options.jobs,
            verify=options.verify,
            scene=options.scene,
            into=options.into,
        )
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def stale(path, root):
    """Sentences on what changed since the outputs in the file were made; empty when fresh."""
    return fingerprint.changes(notebook_file.read(path), root)


def check(paths, root):
    """Sentences on stale or unfit notebooks; nothing is executed."""
    failures = []
    for path in paths:
        notebook = notebook_file.read(path)
        if changed := fingerprint.changes(notebook, root):
            failures.append(f"{path.name} is stale; {'; '.join(changed)}. Run `make notebooks`.")
        problems = notebook_file.source_problems(notebook) + notebook_file.output_problems(notebook)
        failures += [f"{path.name}: {problem}" for problem in problems]
    return failures


def run(paths, *, root=ROOT, jobs=1, verify=False, scene=None, into=None):
    """Execute the notebooks and return sentences on those that failed; the others are stored.

    Parameters
    ----------
    paths : sequence of paths
    root : path
        The project, whose package the kernels import.
    jobs : int
        Kernels side by side.
    verify : bool
        Store nothing; a notebook that comes out different has failed.
    scene, into : str and path, optional
        Run on that scene without a time budget, and store in that folder, also what failed.
    """
    return asyncio.run(_run(paths, root, jobs, verify, scene, into))


async def _run(paths, root, jobs, verify, scene, into):
    gate = asyncio.Semaphore(jobs)
    notebooks = [notebook_file.read(path) for path in paths]
    cells = sum(cell.cell_type == "code" for notebook in notebooks for cell in notebook.cells)
    timings = {}
    # disable=None: no bar where nobody watches, the line per notebook stays.
    with tqdm(total=cells, unit="cell", disable=None) as bar:

        def on_cell(name, done, total, seconds):
            bar.set_description(f"{name} {done}/{total}, {seconds:.0f} s")
            bar.update()

        async def one(path, notebook):
            async with gate:
                try:
                    seconds = await run_one(path, notebook, root, verify, scene, into, on_cell)
                except ChapterError as failure:
                    tqdm.write(f"{path.stem:40} FAILED{failure.traceback}", file=sys.stdout)
                    return str(failure)
                timings[path.stem] = seconds
                tqdm.write(f"{path.stem:40} {seconds:6.1f} s", file=sys.stdout)

        pairs = zip(paths, notebooks, strict=True)
        failures = await asyncio.gather(*(one(path, notebook) for path, notebook in pairs))
    store_timings((into or root / "results") / "timings.json", timings)
    return [failure for failure in failures if failure]


async def run_one(path, notebook, root, verify, scene, into, on_cell):
    """Execute one notebook and store it; return the seconds its cells took."""
    before = copy.deepcopy(notebook)
    try:
        reached, seconds = await execute(
            notebook,
            path.stem,
            cwd=path.parent,
            env=environment(root=root, scene=scene),
            budget=None if scene else BUDGET_SECONDS,
            on_cell=on_cell,
        )
    finally:
        notebook_file.clean(notebook)
        if scene:
            # Also when a cell failed: the page then shows how far the chapter comes.
            notebook_file.write(notebook, into / path.name)
    if scene:
        return seconds
    if wrong := fingerprint.installed_otherwise(
        reached["distributions"], fingerprint.read_pins(root / "requirements.txt")
    ):
        raise ChapterError(
            f"{path.stem} is not stored: {'; '.join(wrong)}. Run it by `make notebooks`, which "
            "uses the pinned environment."
        )
    notebook.metadata[fingerprint.KEY] = fingerprint.take(notebook, reached, root)
    if not verify:
        notebook_file.write(notebook, path)
    elif differing := differences(before, notebook):
        raise ChapterError(f"{path.stem} does not repeat: {', '.join(differing)}.")
    return seconds


def differences(before, after):
    """Where two versions of a notebook differ in their files' bytes, in words."""
    if notebook_file.text_of(before) == notebook_file.text_of(after):
        return []
    cells = zip(before.cells, after.cells, strict=True)
    code = ((old, new) for old, new in cells if old.cell_type == "code")
    numbers = [n for n, (old, new) in enumerate(code, 1) if old != new]
    return [f"code cell {n}" for n in numbers] or ["the metadata"]


def store_timings(path, timings):
    """Add the measured seconds to what stands in ``path``; they differ from run to run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    rounded = {name: round(seconds, 1) for name, seconds in timings.items()}
    path.write_text(json.dumps(known | rounded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
