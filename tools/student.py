"""Student copies: every chapter without outputs and without the solutions.

The solution is the source, the exercise is made from it. In a code cell tagged ``solution``, what
stands between the lines ``# BEGIN SOLUTION`` and ``# END SOLUTION`` is taken out, so that a
signature and its docstring can remain::

    def mean_spectrum(cube):
        \"\"\"Mean over all pixels.\"\"\"
        # BEGIN SOLUTION
        return cube.mean(axis=(0, 1))
        # END SOLUTION

A tagged code cell without these lines is emptied, a tagged Markdown cell becomes a place for the
answer.

    python tools/student.py             writes _build/student/NN_name.ipynb for every chapter
    python tools/student.py FROM INTO   the same for the notebooks of another folder
"""

import re
import sys
from pathlib import Path

import fingerprint
import notebook_file
from kernel_environment import ROOT

TAG = "solution"
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
YOURS = "# your code here"


def student_copy(notebook):
    """Turn ``notebook`` into the student's copy, in place.

    Raises
    ------
    ValueError
        A solution mark has no partner, or stands in a cell that is not tagged.
    """
    notebook.metadata.pop(fingerprint.KEY, None)
    for number, cell in enumerate(notebook.cells, 1):
        tags = cell.metadata.get("tags", [])
        if TAG in tags:
            cell.source = without_solution(cell.source, cell.cell_type, number)
            cell.metadata["tags"] = [tag for tag in tags if tag != TAG]
        elif BEGIN in cell.source or END in cell.source:
            raise ValueError(f"cell {number} has a solution mark but not the tag '{TAG}'. Tag it.")
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


def without_solution(source, cell_type, number):
    """The exercise that a solution cell leaves behind."""
    if cell_type != "code":
        return "*Your answer here.*"
    if BEGIN not in source and END not in source:
        return YOURS
    kept, inside = [], False
    for line in source.splitlines():
        mark = line.strip()
        if mark in (BEGIN, END):
            if inside == (mark == BEGIN):
                raise ValueError(f"cell {number}: '{mark}' has no partner. Write both marks.")
            inside = mark == BEGIN
            if inside:
                indent = re.match(r"\s*", line).group()
                # In a function the exercise says that it is open; outside, the check does.
                open_end = "raise NotImplementedError" if indent else "..."
                kept += [indent + YOURS, indent + open_end]
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"cell {number}: '{BEGIN}' has no partner. Write both marks.")
    return "\n".join(kept)


def main(source=ROOT / "notebooks", target=ROOT / "_build" / "student"):
    """Write the copies, remove those of chapters that are gone, return the exit status."""
    chapters = sorted(Path(source).glob("*.ipynb"))
    for path in chapters:
        try:
            copy = student_copy(notebook_file.read(path))
        except ValueError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return 1
        notebook_file.write(copy, Path(target) / path.name)
    for old in set(Path(target).glob("*.ipynb")) - {Path(target) / path.name for path in chapters}:
        old.unlink()
    print(f"student copies: {len(chapters)} in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
