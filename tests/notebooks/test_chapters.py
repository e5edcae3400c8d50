"""Every committed chapter is fresh, fit for the page, and has exercises that can be handed out."""

import re

import notebook_file
import run_notebooks
import student
from kernel_environment import ROOT


def test_fresh_and_fit_to_publish(chapter):
    """Outputs belong to what they were made of; cells fit the page; nothing unfit is stored."""
    assert run_notebooks.check([chapter], ROOT) == []


def test_stored_as_the_runner_writes_it(chapter):
    """Reading and writing gives the same bytes: no editor's private metadata slipped in."""
    notebook = notebook_file.read(chapter)
    notebook_file.clean(notebook)
    assert notebook_file.text_of(notebook) == chapter.read_text(encoding="utf-8")


def test_has_exercises_whose_solutions_can_be_taken_out(chapter):
    """Each chapter has solution cells, and no line of a solution is left in the student's copy."""
    source = notebook_file.read(chapter)
    tagged = [i for i, c in enumerate(source.cells) if student.TAG in c.metadata.get("tags", [])]
    assert tagged, "a chapter has exercises with solutions"
    copy = student.student_copy(notebook_file.read(chapter))
    for index in tagged:
        solution = source.cells[index].source
        marked = re.findall(f"{student.BEGIN}\n(.*?){student.END}", solution, re.DOTALL)
        secret = {line.strip() for part in marked or [solution] for line in part.splitlines()}
        left = {line.strip() for line in copy.cells[index].source.splitlines()}
        assert secret - {""} and not (secret - {""}) & left
