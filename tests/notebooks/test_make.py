"""What make hands on: a scene from where it was called, and one line where there is no GPU."""

import os
import shutil
import subprocess
import sys

import pytest
from kernel_environment import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder, *arguments, **variables):
    """Call make in ``folder``, as a shell there does, and return what it would do or says."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    env |= {"PWD": str(folder), **variables}
    return subprocess.run(["make", *arguments], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("options", [("-C", str(ROOT)), ("-s", "-C", str(ROOT))], ids=" ".join)
def test_relative_scene_is_resolved_where_make_was_called(tmp_path, options):
    """Also with a space in its name, and when make works in another folder."""
    (tmp_path / "my scene.hdr").touch()
    said = make(tmp_path, *options, "-n", "book", "SCENE=my scene.hdr")
    assert f"--scene '{tmp_path}/my scene.hdr'" in said.stdout


def test_scene_that_is_no_path_stays_a_name(tmp_path):
    """The package knows its scenes by name; make does not."""
    assert (
        "--scene 'samson'" in make(tmp_path, "-C", str(ROOT), "-n", "book", "SCENE=samson").stdout
    )


def test_missing_data_folder_is_one_sentence(tmp_path):
    """Else every chapter would look in another place and find nothing."""
    said = make(tmp_path, "-C", str(ROOT), "-n", "test", HSISR_DATA="nowhere")
    assert said.returncode == 2 and "HSISR_DATA names no folder: nowhere" in said.stderr


def test_no_gpu_is_one_line_and_no_failure():
    """An empty CUDA_VISIBLE_DEVICES hides the GPUs of a machine that has some."""
    said = make(ROOT, "-s", "test-gpu", f"PYTHON={sys.executable}", CUDA_VISIBLE_DEVICES="")
    assert said.returncode == 0 and "sees no GPU" in said.stdout
    assert len(said.stdout.splitlines()) == 1
