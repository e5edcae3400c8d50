"""Student copies: the solutions are gone, the rest stands, and the checks fail until one works."""

import asyncio

import nbformat
import pytest
import student
from kernel_environment import environment
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_kernel import ChapterError, execute

FUNCTION = '''def double(x):
    """Twice x."""
    # BEGIN SOLUTION
    secret = x + x
    return secret
    # END SOLUTION'''


def chapter(*extra):
    """A tiny chapter: an exercise in a function, one without marks, one in words, and a check."""

    def solution(make, source):
        return make(source, metadata={"tags": ["solution"]})

    return new_notebook(
        cells=[
            new_code_cell("x = 2", execution_count=1, outputs=[new_output("stream", text="2")]),
            solution(new_code_cell, FUNCTION),
            solution(new_code_cell, "answer = double(21)"),
            solution(new_markdown_cell, "Because of linearity."),
            *extra,
        ]
    )


@pytest.mark.parametrize("word", ["secret", "double(21)", "linearity"])
def test_no_word_of_a_solution_survives(word):
    """Neither in a source, nor in an output, nor in metadata."""
    assert word in nbformat.writes(chapter())
    assert word not in nbformat.writes(student.student_copy(chapter()))


def test_signature_and_docstring_remain():
    """What stands outside the marks is the exercise; what is inside says that it is open."""
    assert student.student_copy(chapter()).cells[1].source == (
        'def double(x):\n    """Twice x."""\n    # your code here\n    raise NotImplementedError'
    )


def test_copy_is_a_valid_notebook_without_outputs():
    """nbformat accepts it, and nothing in it was executed."""
    copy = student.student_copy(chapter())
    nbformat.validate(copy)
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.parametrize(
    ("check", "complaint"),
    [("assert double(1) == 2", "NotImplementedError"), ("assert answer == 42", "NameError")],
)
def test_checks_pass_on_the_source_and_fail_on_the_copy(tmp_path, check, complaint):
    """A check that passed without the solution would check nothing."""

    def run(notebook):
        return asyncio.run(execute(notebook, "tiny", cwd=tmp_path, env=environment()))

    run(chapter(new_code_cell(check)))
    with pytest.raises(ChapterError, match=complaint):
        run(student.student_copy(chapter(new_code_cell(check))))


@pytest.mark.parametrize("source", ["# BEGIN SOLUTION\nx", "x\n# END SOLUTION"])
def test_mark_without_partner_is_an_error(source):
    """Half a pair would publish the rest of the solution."""
    notebook = new_notebook(cells=[new_code_cell(source, metadata={"tags": ["solution"]})])
    with pytest.raises(ValueError, match="no partner"):
        student.student_copy(notebook)


def test_mark_in_an_untagged_cell_is_an_error():
    """It would show unfolded on the page and stand in the student's copy."""
    with pytest.raises(ValueError, match="not the tag"):
        student.student_copy(new_notebook(cells=[new_code_cell(FUNCTION)]))


def test_writes_every_chapter_and_drops_old_copies(tmp_path):
    """The folder of copies is that of the chapters, no more, no less."""
    source, target = tmp_path / "notebooks", tmp_path / "student"
    for folder, name in ((source, "01_new.ipynb"), (target, "00_gone.ipynb")):
        folder.mkdir()
        nbformat.write(chapter(), folder / name)
    assert student.main(source, target) == 0
    assert [path.name for path in target.iterdir()] == ["01_new.ipynb"]
