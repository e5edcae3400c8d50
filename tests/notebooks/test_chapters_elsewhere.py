"""Every chapter on a scene of another kind, as a student meets it: first without an answer."""

import asyncio

import notebook_file
import notebook_kernel
import numpy as np
import pytest
import student
from kernel_environment import environment

from hsisr_lite.scenes.synthetic import synthetic_scene
from hsisr_lite.scenes.writers import write_image


@pytest.fixture(scope="module")
def awkward_scene(tmp_path_factory):
    """A person's ENVI file: 47 x 61, no truth, nothing beyond 900 nm, integers, a hole in it."""
    scene = synthetic_scene(seed=1)
    seen = scene.wavelengths < 900
    valid = np.ones((47, 61), bool)
    valid[30:34, 10:19] = False
    return write_image(
        tmp_path_factory.mktemp("own files") / "my scene.hdr",
        scene.cube[:47, 20:81, seen],
        wavelengths=scene.wavelengths[seen],
        meta={"scale": 5000.0, "dtype": "int16", "nodata": -999},
        valid=valid,
    )


def test_runs_on_an_awkward_scene_and_asks_a_student_for_an_answer(chapter, awkward_scene):
    """Unanswered, the first exercise ends in a sentence; with the solutions all the rest runs."""
    notebook = notebook_file.read(chapter)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    first = next(i for i in code if student.TAG in notebook.cells[i].metadata.get("tags", []))
    check = code[code.index(first) + 1]
    copy = student.student_copy(notebook_file.read(chapter))
    unanswered = copy.cells[first : check + 1]
    for cell in unanswered:
        cell.id += "-unanswered"
    unanswered[-1].metadata["tags"] = ["raises-exception"]  # the only cell that may fail
    notebook.cells[first:first] = unanswered
    env = environment(scene=str(awkward_scene))
    asyncio.run(notebook_kernel.execute(notebook, chapter.stem, cwd=chapter.parent, env=env))
    assert "47 × 61" in notebook_file.text_of(notebook)  # it is that scene's output
    [complaint] = unanswered[-1].outputs
    assert complaint.ename == "WrongAnswer" and "no answer yet" in complaint.evalue
