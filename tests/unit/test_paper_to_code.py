"""The table of equations, code and tests names what exists, and leaves no equation out."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hsisr_lite"
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").replace("<br>", " | ").split(" | "))
    for line in (ROOT / "book" / "paper_to_code.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`" in line
]
CODE = [row[2].strip("` ") for row in ROWS]


def named(dotted):
    """The module, class or function that a name below ``hsisr_lite`` stands for."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(["hsisr_lite", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"{dotted} is no name of the package")


def documented(tree, within):
    """Dotted name and docstring of every function and class; a method follows its class's name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{within}.{node.name}"
            yield name, ast.get_docstring(node) or ""
            yield from documented(node, name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_names_code_and_a_test_that_exist(row):
    assert len(row) == 4
    assert named(row[2].strip("` ")) is not None
    path, name = row[3].strip("`| ").split("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_equation_of_the_package_has_its_row():
    missing = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for name, docstring in documented(ast.parse(path.read_text(encoding="utf-8")), room):
            if ".. math::" in docstring:
                if not any(code == name or code.startswith(f"{name}.") for code in CODE):
                    missing.append(name)
    assert not missing


def test_every_citation_of_the_package_is_in_the_bibliography():
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "book/references.bib").read_text("utf-8")))
    cited = {
        key
        for path in PACKAGE.rglob("*.py")
        for key in re.findall(r"\[(\w+)\]_", path.read_text(encoding="utf-8"))
    }
    assert cited <= keys and len(cited) > 5
