"""Notebook files: read, cleaned of all that changes from run to run, checked, written whole.

A committed notebook is what the book publishes, so its bytes may depend only on what it computes.
"""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat

MEGABYTES = 3  # most a notebook file may weigh
CELL_LINES, CELL_WIDTH = 15, 76  # what fits the page and one look
WIDGET = "application/vnd.jupyter.widget-view+json"
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:root|home|tmp|work|Users)/\w|[A-Z]:\\{1,2}Users\\|/ipykernel_\d+"
)
PROGRESS_BAR = re.compile(r"\d+%\|")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def read(path):
    """The notebook, every cell with an id (one made of its position where it had none)."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    taken = {cell.get("id") for cell in content["cells"]}
    for position, cell in enumerate(content["cells"]):
        if "id" not in cell:
            cell["id"] = next(c for c in _names(f"cell-{position:03d}") if c not in taken)
            taken.add(cell["id"])
    content["nbformat"], content["nbformat_minor"] = 4, 5
    # Also joins the lines of sources and outputs, which the file keeps as lists.
    return nbformat.reads(json.dumps(content), as_version=4)


def _names(stem):
    yield stem
    yield from (f"{stem}-{n}" for n in range(1, 10**6))


def text_of(notebook):
    """The bytes of the file, as a string."""
    return nbformat.writes(notebook, version=4) + "\n"


def write(notebook, path):
    """Write to a temporary name beside ``path``, then rename: a notebook is never half there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text_of(notebook), encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def clean(notebook):
    """Drop in place what differs between two runs: widgets, progress bars, versions."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _lasting(output)]


def _lasting(output):
    if output.output_type == "stream":
        if output.name == "stderr":
            # A progress bar ends in timings; a warning beside it stays, and the check names it.
            lines = output.text.splitlines(keepends=True)
            output.text = "".join(line for line in lines if not PROGRESS_BAR.search(line))
        return bool(output.text.strip())
    data = output.get("data", {})
    if data.pop(WIDGET, None) is not None:
        output.get("metadata", {}).pop(WIDGET, None)
        # A bare widget has nothing else to show; a slider keeps the page's form of it.
        return bool(set(data) - {"text/plain"})
    return True


def source_problems(notebook):
    """Sentences on cells too long or too wide for the page."""
    found = []
    for number, cell in _code(notebook):
        lines = cell.source.splitlines()
        if len(lines) > CELL_LINES:
            found.append(f"code cell {number} has {len(lines)} lines, at most {CELL_LINES} fit")
        wide = max((len(line) for line in lines), default=0)
        if wide > CELL_WIDTH:
            found.append(f"code cell {number} has a line of {wide} characters, {CELL_WIDTH} fit")
    return found


def output_problems(notebook):
    """Sentences on stored outputs that must not be published."""
    found = []
    for number, cell in _code(notebook):
        if cell.source.strip() and cell.execution_count is None:
            found.append(f"code cell {number} was never executed")
        for output in cell.outputs:
            found += [f"code cell {number} {what}" for what in _output_problems(output)]
    size = len(text_of(notebook).encode()) / 2**20
    if size > MEGABYTES:
        found.append(f"the file has {size:.1f} MB, at most {MEGABYTES} are allowed")
    return found


def _output_problems(output):
    if output.output_type == "error":
        return [f"stores an error: {output.ename}: {output.evalue}"]
    text = json.dumps(output, ensure_ascii=False)
    found = []
    if match := MACHINE_PATH.search(text):
        found.append(f"shows a path of a machine ({match.group()}...)")
    if match := ADDRESS.search(text):
        found.append(f"shows a memory address ({match.group()}), other on every run")
    if output.output_type == "stream":
        if output.name == "stderr":
            found.append(f"wrote to stderr: {output.text.strip().splitlines()[0][:60]}")
        return found
    page = output.data.get("text/html", "")
    if any(mime.startswith("image/") for mime in output.data) and not page:
        found.append("shows a picture without alt text; show it by hl.show(figure, alt=...)")
    found += ["shows a picture without alt text"] * _pictures_without_alt(page)
    return found


def _pictures_without_alt(html):
    count = 0

    class Pictures(HTMLParser):
        def handle_starttag(self, tag, attributes):
            nonlocal count
            count += tag == "img" and not (dict(attributes).get("alt") or "").strip()

    Pictures().feed(html)
    return count


def _code(notebook):
    return enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1)
