"""The runner: what makes stored outputs stale, what it refuses, and that it repeats to the byte.

Every test has a project of its own: a package of three modules, pins, and one executed chapter.
"""

import asyncio
import json
import re
import shutil

import fingerprint
import nbformat
import notebook_file
import pytest
import run_notebooks
from kernel_environment import ROOT, environment
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_kernel import ChapterError, execute

CHAPTER = "notebooks/00_tiny.ipynb"
SOURCE = """import json
import numpy as np
import hsisr_lite.reached
json.load(open("../results/sweep.json"))
print(hsisr_lite.reached.VALUE, np.arange(3))"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A project whose chapter reaches one of two modules, and was executed by the runner."""
    root = tmp_path_factory.mktemp("executed")
    files = {
        "hsisr_lite/__init__.py": "",
        "hsisr_lite/reached.py": "VALUE = 1\n",
        "hsisr_lite/tables/curve.csv": "1,2\n",
        "hsisr_lite/other/__init__.py": "VALUE = 2\n",
        "hsisr_lite/other/curve.csv": "3,4\n",
        "results/sweep.json": "{}\n",
        "results/unread.json": "{}\n",
        "requirements.txt": (ROOT / "requirements.txt").read_text(),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    cells = [new_markdown_cell("# Tiny"), new_code_cell(SOURCE), new_code_cell("1 + 1")]
    notebook_file.write(new_notebook(cells=cells), root / CHAPTER)
    assert run_notebooks.main([], root=root) == 0
    return root


@pytest.fixture
def project(executed, tmp_path):
    """A copy of the executed project, to be changed."""
    return shutil.copytree(executed, tmp_path / "project")


def edit(project, change):
    """Apply ``change`` to the chapter and write it back, outputs and record untouched."""
    notebook = notebook_file.read(project / CHAPTER)
    change(notebook)
    notebook_file.write(notebook, project / CHAPTER)


def check(project, capsys):
    """The exit status of ``--check`` and what it said."""
    status = run_notebooks.main(["--check"], root=project)
    return status, capsys.readouterr().err


def test_executed_chapter_is_fresh(project, capsys):
    """Nothing changed: exit status 0 and not a word of complaint."""
    assert check(project, capsys) == (0, "")


def test_cells_are_counted_as_a_reader_counts_them(project):
    """Execution counts run from 1: the runner's own hidden cells take no number."""
    cells = notebook_file.read(project / CHAPTER).cells
    assert [cell.execution_count for cell in cells if cell.cell_type == "code"] == [1, 2]


CHANGES = {
    "hsisr_lite/reached.py": "module: hsisr_lite.reached changed",
    "hsisr_lite/__init__.py": "module: hsisr_lite changed",
    "hsisr_lite/tables/curve.csv": "data: hsisr_lite/tables/curve.csv changed",
    "results/sweep.json": "data: results/sweep.json changed",
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_dependency_makes_it_stale(project, capsys, name):
    """A reached module, a table beside it, a file that the chapter opened: each is named."""
    with (project / name).open("a") as file:
        file.write("\n")
    status, said = check(project, capsys)
    assert status == 1
    assert f"00_tiny.ipynb is stale; {CHANGES[name]}. Run" in said


@pytest.mark.parametrize(
    "name", ["hsisr_lite/other/__init__.py", "hsisr_lite/other/curve.csv", "results/unread.json"]
)
def test_what_was_not_reached_does_not_count(project, capsys, name):
    """A chapter stays fresh when a room that it never enters is rebuilt."""
    (project / name).write_text("VALUE = 3\n")
    assert check(project, capsys) == (0, "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hsisr_lite/tables/new.csv", "data: hsisr_lite/tables/new.csv is new"),
        ("hsisr_lite/reached.py", "module: hsisr_lite.reached is gone"),
    ],
)
def test_new_and_missing_files_are_named(project, capsys, name, said):
    """A table added beside a reached module counts as a change, and so does a lost module."""
    path = project / name
    path.unlink() if path.exists() else path.write_text("5,6\n")
    assert check(project, capsys)[0] == 1
    assert said in "".join(fingerprint.changes(notebook_file.read(project / CHAPTER), project))


@pytest.mark.parametrize(("name", "stale"), [("numpy", True), ("ruff", False)])
def test_pins_count_where_they_are_reached(project, capsys, name, stale):
    """Another numpy may change an output; another linter cannot."""
    pins = project / "requirements.txt"
    pins.write_text(re.sub(rf"^{name}==.*$", f"{name}==0.1", pins.read_text(), flags=re.M))
    status, said = check(project, capsys)
    assert status == stale
    assert (f"pin: {name} changed" in said) == stale


def change_source(notebook):
    notebook.cells[2].source = "1 + 2"


def change_tags(notebook):
    notebook.cells[2].metadata["tags"] = ["solution"]


def add_cell(notebook):
    notebook.cells.append(new_code_cell("3"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_source, "cells: code cell 2 changed"),
        (change_tags, "cells: code cell 2 changed"),
        (add_cell, "cells: 2 code cells then, 3 now"),
    ],
)
def test_changed_cell_is_named(project, capsys, change, said):
    """Source, tags and number of the code cells make the outputs."""
    edit(project, change)
    status, complaint = check(project, capsys)
    assert status == 1 and said in complaint


def test_prose_may_change(project, capsys):
    """A corrected sentence, or a new one, costs no execution."""
    edit(project, lambda notebook: notebook.cells.insert(0, new_markdown_cell("More prose.")))
    edit(project, lambda notebook: notebook.cells[1].update(source="# Tinier"))
    assert check(project, capsys) == (0, "")


def test_never_executed_chapter_is_stale(project, capsys):
    """A chapter that was written and not run says so, instead of being published empty."""
    edit(project, lambda notebook: notebook.metadata.pop(fingerprint.KEY))
    assert "never executed" in check(project, capsys)[1]


def test_only_stale_chapters_are_executed(project, capsys):
    """The second chapter is new; the first one's file is not even written again."""
    shutil.copyfile(project / CHAPTER, project / "notebooks/01_new.ipynb")
    (project / "notebooks/01_new.ipynb").write_text(
        nbformat.writes(new_notebook(cells=[new_code_cell("2 + 2")]))
    )
    before = (project / CHAPTER).stat().st_mtime_ns
    assert run_notebooks.main([], root=project) == 0
    assert "1 of 2 are stale" in capsys.readouterr().out
    assert (project / CHAPTER).stat().st_mtime_ns == before
    assert check(project, capsys) == (0, "")


def test_execution_repeats_to_the_byte(project, capsys):
    """Executed again, the file is the same; --verify says so without writing it."""
    stored = (project / CHAPTER).read_bytes()
    assert run_notebooks.main(["--verify"], root=project) == 0
    assert run_notebooks.main(["--all"], root=project) == 0
    assert (project / CHAPTER).read_bytes() == stored


def test_verify_finds_what_does_not_repeat(project, capsys):
    """A cell that reads the clock differs on every run, and --verify names it."""
    clock = "import time; print(time.time_ns())"
    edit(project, lambda notebook: notebook.cells[2].update(source=clock))
    assert run_notebooks.main([], root=project) == 0
    assert run_notebooks.main(["--verify"], root=project) == 1
    assert "00_tiny does not repeat: code cell 2" in capsys.readouterr().err


def test_measured_seconds_stay_out_of_the_notebook(project):
    """Times differ from run to run: they go to a file of their own, which is published."""
    assert set(json.loads((project / "results/timings.json").read_text())) == {"00_tiny"}
    assert "seconds" not in (project / CHAPTER).read_text()


def test_failing_chapter_names_its_cell_and_keeps_its_file(project, capsys):
    """What was committed stays until a whole run replaces it; the other chapters still run."""
    edit(project, lambda notebook: notebook.cells[2].update(source="1 / 0"))
    shutil.copyfile(project / CHAPTER, project / "notebooks/01_also.ipynb")
    edit(project, lambda notebook: notebook.cells[2].update(source="raise OSError('no')"))
    stored = (project / CHAPTER).read_bytes()
    assert run_notebooks.main([], root=project) == 1
    said = capsys.readouterr().err
    assert "00_tiny, code cell 2 failed: OSError: no" in said
    assert "01_also, code cell 2 failed: ZeroDivisionError" in said
    assert (project / CHAPTER).read_bytes() == stored


def test_scene_run_leaves_the_committed_notebook_alone(project, tmp_path, monkeypatch):
    """The chapter sees HSISR_SCENE and the caller's data folder; its copy goes elsewhere."""
    monkeypatch.setenv("HSISR_DATA", "somewhere")
    source = "import os; print(os.environ['HSISR_SCENE'], os.environ['HSISR_DATA'])"
    edit(project, lambda notebook: notebook.cells[2].update(source=source))
    stored = (project / CHAPTER).read_bytes()
    into = tmp_path / "into"
    options = ["--scene", "samson", "--into", str(into)]
    assert run_notebooks.main(options, root=project) == 0
    copy = notebook_file.read(into / "00_tiny.ipynb")
    assert copy.cells[2].outputs[0].text == "samson somewhere\n"
    assert (project / CHAPTER).read_bytes() == stored


def test_committed_outputs_do_not_see_the_callers_settings(monkeypatch):
    """Scene, data, budget and device of whoever runs it stay outside; one thread, one seed."""
    for setting in ("HSISR_SCENE", "HSISR_DATA", "HSISR_BUDGET"):
        monkeypatch.setenv(setting, "mine")
    env = environment()
    assert not {"HSISR_SCENE", "HSISR_DATA", "HSISR_BUDGET"} & set(env)
    assert (env["HSISR_DEVICE"], env["OMP_NUM_THREADS"], env["PYTHONHASHSEED"]) == ("cpu", "1", "0")


def test_other_version_than_pinned_is_not_stored(project, capsys):
    """A record that names a version which did not run would be untrue."""
    pins = project / "requirements.txt"
    pins.write_text(re.sub(r"^numpy==.*$", "numpy==0.1", pins.read_text(), flags=re.M))
    assert run_notebooks.main(["--all"], root=project) == 1
    assert "numpy" in (said := capsys.readouterr().err) and "0.1 is pinned" in said


def test_budget_ends_a_chapter_that_is_too_slow(tmp_path):
    """The cell that crosses the limit is stopped, not awaited: it never reaches its last line."""
    source = "import pathlib, time\ntime.sleep(20)\npathlib.Path('finished').touch()"
    slow = new_notebook(cells=[new_code_cell("1"), new_code_cell(source)])
    running = execute(slow, "slow", cwd=tmp_path, env=environment(), budget=1)
    with pytest.raises(ChapterError, match="slow, code cell 2: the chapter's 1 s"):
        asyncio.run(running)
    assert not (tmp_path / "finished").exists()


def test_hidden_cells_leave_no_name_behind(tmp_path):
    """A chapter that forgets an import fails here as it does for a reader."""
    notebook = new_notebook(cells=[new_code_cell("sys.version")])
    with pytest.raises(ChapterError, match="NameError"):
        asyncio.run(execute(notebook, "forgot", cwd=tmp_path, env=environment()))


def output(kind="display_data", **data):
    return new_output(kind, data=data)


WIDGET = {notebook_file.WIDGET: {"model_id": "random"}, "text/plain": "Slider()"}


def test_clean_drops_what_is_random():
    """Widget state and bare widgets go, a slider keeps the form that the page shows."""
    bar = new_output("stream", name="stderr", text="100%|####| 3/3 [00:02<00:00, 1.1it/s]\n")
    slider = new_output("display_data", data=WIDGET | {"text/html": "<figure></figure>"})
    cell = new_code_cell("x", outputs=[bar, new_output("display_data", data=WIDGET), slider])
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    notebook = new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    notebook_file.clean(notebook)
    [kept] = notebook.cells[0].outputs
    assert set(kept.data) == {"text/html", "text/plain"}
    assert "execution" not in cell.metadata and "widgets" not in notebook.metadata


UNFIT = {
    "an error": new_output("error", ename="ValueError", evalue="no", traceback=[]),
    "to stderr": new_output("stream", name="stderr", text="UserWarning: careful\n"),
    "a path of a machine": new_output("stream", name="stdout", text="/home/someone/cube.hdr\n"),
    "a memory address": new_output("stream", name="stdout", text="<Line2D at 0x7f0123456789>\n"),
    "without alt text": output(**{"text/html": '<img src="data:," alt=" ">'}),
    "without alt text; show": output(**{"image/png": "", "text/plain": "<Figure>"}),
}


@pytest.mark.parametrize("what", UNFIT)
def test_unfit_output_is_named(what):
    """Jupyter Book would publish each of these without a word."""
    cell = new_code_cell("x", execution_count=1, outputs=[UNFIT[what]])
    [problem] = notebook_file.output_problems(new_notebook(cells=[cell]))
    assert problem.startswith("code cell 1") and what in problem


def test_fit_outputs_pass():
    """Text, an alt text, an address of the web that looks like a path: nothing to say."""
    outputs = [
        new_output("stream", name="stdout", text="https://example.org/home/page 0x7f0123456789\n"),
        output(**{"text/html": '<img src="data:," alt="A field">', "text/plain": "<figure>"}),
    ]
    cell = new_code_cell("x", execution_count=1, outputs=outputs)
    assert notebook_file.output_problems(new_notebook(cells=[cell])) == []


def test_unexecuted_and_oversized_are_named():
    """nbval passes over a cell that was never executed; a page of 3 MB loads slowly."""
    heavy = new_output("stream", name="stdout", text="x" * (3 * 2**20))
    cells = [new_code_cell("1"), new_code_cell("2", execution_count=1, outputs=[heavy])]
    never, size = notebook_file.output_problems(new_notebook(cells=cells))
    assert "code cell 1 was never executed" in never and "at most 3 are allowed" in size


def test_long_and_wide_cells_are_named():
    """Fifteen lines of 76 characters pass, one more of either does not."""
    edge = "\n".join(["x" * 76] * 15)
    assert notebook_file.source_problems(new_notebook(cells=[new_code_cell(edge)])) == []
    beyond = new_notebook(cells=[new_code_cell(edge + "\ny"), new_code_cell("x" * 77)])
    long, wide = notebook_file.source_problems(beyond)
    assert "16 lines" in long and "code cell 2 has a line of 77" in wide


def test_missing_cell_ids_are_made_once(tmp_path):
    """Ids made of positions: random ones would change the file on every run."""
    content = json.loads(nbformat.writes(new_notebook(cells=[new_code_cell("1")])))
    del content["cells"][0]["id"]
    (tmp_path / "old.ipynb").write_text(json.dumps(content))
    assert notebook_file.read(tmp_path / "old.ipynb").cells[0].id == "cell-000"


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """A notebook is there whole or not at all."""
    path = tmp_path / "a.ipynb"
    path.write_text("old")
    monkeypatch.setattr(notebook_file, "text_of", lambda notebook: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        notebook_file.write(new_notebook(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"] and path.read_text() == "old"
