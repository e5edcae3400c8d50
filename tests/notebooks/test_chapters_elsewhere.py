"""Every chapter on a scene of another kind, and every student copy up to its first open answer."""

import asyncio

import nbformat
import notebook_kernel
import numpy as np
import pytest
import run_notebooks
import student
from kernel_environment import ROOT, environment

from hsisr_lite.scenes.synthetic import synthetic_scene
from hsisr_lite.scenes.writers import write_image

CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))


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


def test_every_chapter_runs_on_an_awkward_scene(awkward_scene, tmp_path):
    before = [path.read_bytes() for path in CHAPTERS]
    failures = run_notebooks.run(CHAPTERS, jobs=2, scene=str(awkward_scene), into=tmp_path)
    assert failures == []
    for path, committed in zip(CHAPTERS, before, strict=True):
        assert path.read_bytes() == committed
        assert "47 × 61" in (tmp_path / path.name).read_text("utf-8")  # it is that scene's output


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_student_copy_stops_at_its_first_check_with_a_sentence(path, tmp_path):
    copy = student.student_copy(nbformat.read(path, as_version=4))
    with pytest.raises(notebook_kernel.ChapterError) as stop:
        asyncio.run(notebook_kernel.execute(copy, path.stem, cwd=tmp_path, env=environment()))
    assert "WrongAnswer" in str(stop.value) and "no answer yet" in str(stop.value)
