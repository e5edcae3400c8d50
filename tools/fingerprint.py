"""What the stored outputs of a notebook depend on, and what of it has changed since.

The record stands in the notebook's metadata: the code cells (source and tags), the modules of
the package that the kernel had imported after the last cell, the data files lying beside those
modules or opened by the chapter, the pinned version of every distribution reached, and the version
of the runner. Checking it executes nothing. Prose is left out: a corrected sentence changes no
output.
"""

import hashlib
import re
from pathlib import Path

from packaging.utils import canonicalize_name

RUNNER = 1  # raise when the runner itself changes what is stored
KEY = "hsisr_lite"
NOT_DATA = {".py", ".pyc"}
NOT_OURS = {".git", ".venv", "_build", "__pycache__"}


def digest(content):
    """Sixteen hexadecimal digits; line endings do not count."""
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()[:16]


def cell_digests(notebook):
    """One digest per code cell, over its source and its tags."""
    return [
        digest("\n".join([*sorted(cell.metadata.get("tags", [])), cell.source]))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def module_file(root, module):
    """Where a module of the package lives under ``root``, or None."""
    stem = Path(root, *module.split("."))
    return next((f for f in (stem / "__init__.py", stem.with_suffix(".py")) if f.is_file()), None)


def files_beside(root, modules):
    """Data files in the folders of ``modules``, and in folders below them that are no packages."""
    found = set()
    folders = {f.parent for module in modules if (f := module_file(root, module))}
    while folders:
        for entry in folders.pop().iterdir():
            if entry.is_file() and entry.suffix not in NOT_DATA:
                found.add(entry.relative_to(root).as_posix())
            elif entry.is_dir() and not (entry / "__init__.py").exists():
                folders.add(entry)
    return found


def own_data(root, opened):
    """Of the files a kernel opened, the project's own data, relative to ``root``."""
    inside = [Path(f).relative_to(root) for f in opened if Path(f).is_relative_to(root)]
    return {
        f.as_posix()
        for f in inside
        if not NOT_OURS.intersection(f.parts) and f.suffix not in NOT_DATA and (root / f).is_file()
    }


def read_pins(requirements):
    """Canonical name: version, for every ``name==version`` line of a requirements file."""
    lines = re.findall(r"^([\w.-]+)==(\S+)", Path(requirements).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def installed_otherwise(distributions, pins):
    """Sentences on distributions that a kernel reached in another version than the pinned one."""
    return [
        f"{name} {version} is installed, {pins[canonicalize_name(name)]} is pinned"
        for name, version in distributions.items()
        if version.partition("+")[0] != pins.get(canonicalize_name(name), version.partition("+")[0])
    ]


def take(notebook, reached, root):
    """The record of ``notebook`` as it was just executed; ``reached`` is the kernel's report."""
    pins = read_pins(root / "requirements.txt")
    names = {canonicalize_name(name) for name in reached["distributions"]}
    files = files_beside(root, reached["modules"]) | own_data(root, reached["files"])
    return {
        "runner": RUNNER,
        "cells": cell_digests(notebook),
        "modules": {m: _file_digest(module_file(root, m)) for m in reached["modules"]},
        "data": {f: _file_digest(root / f) for f in sorted(files)},
        "pins": {name: pins[name] for name in sorted(names & set(pins))},
    }


def changes(notebook, root):
    """Sentences naming what changed since the outputs were made; empty when fresh."""
    record = notebook.metadata.get(KEY)
    if record is None:
        return ["it was never executed by the runner"]
    found = []
    if record["runner"] != RUNNER:
        found.append(f"runner: version {record['runner']} made it, {RUNNER} is current")
    cells = cell_digests(notebook)
    if len(cells) != len(record["cells"]):
        found.append(f"cells: {len(record['cells'])} code cells then, {len(cells)} now")
    else:
        pairs = enumerate(zip(record["cells"], cells, strict=True), 1)
        numbers = [str(n) for n, (old, new) in pairs if old != new]
        found += [f"cells: code cell {', '.join(numbers)} changed"] if numbers else []
    modules = {m: _file_digest(module_file(root, m)) for m in record["modules"]}
    found += _differences("module", record["modules"], modules)
    data = set(record["data"]) | files_beside(root, record["modules"])
    found += _differences("data", record["data"], {f: _file_digest(root / f) for f in data})
    pins = read_pins(root / "requirements.txt")
    found += _differences("pin", record["pins"], {name: pins.get(name) for name in record["pins"]})
    return found


def _differences(kind, old, new):
    return [
        f"{kind}: {name} "
        + ("is gone" if new[name] is None else "changed" if name in old else "is new")
        for name in sorted(new)
        if old.get(name) != new[name]
    ]


def _file_digest(path):
    return digest(path.read_bytes()) if path and path.is_file() else None
