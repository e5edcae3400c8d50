"""Every chapter on a scene of another kind, and every student copy up to its first open answer."""

import asyncio

import nbformat
import notebook_kernel
import numpy as np
import pytest
import run_notebooks
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


def test_runs_on_an_awkward_scene(chapter, awkward_scene, tmp_path):
    before = chapter.read_bytes()
    failures = run_notebooks.run([chapter], jobs=1, scene=str(awkward_scene), into=tmp_path)
    assert failures == []
    assert chapter.read_bytes() == before
    assert "47 × 61" in (tmp_path / chapter.name).read_text("utf-8")  # it is that scene's output


def test_a_student_copy_stops_at_its_first_check_with_a_sentence(chapter, tmp_path):
    copy = student.student_copy(nbformat.read(chapter, as_version=4))
    with pytest.raises(notebook_kernel.ChapterError) as stop:
        asyncio.run(notebook_kernel.execute(copy, chapter.stem, cwd=tmp_path, env=environment()))
    assert "WrongAnswer" in str(stop.value) and "no answer yet" in str(stop.value)
