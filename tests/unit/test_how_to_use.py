"""The page on how to use the package: what it says of folders and files runs as it is written."""

import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite import cli
from hsisr_lite.uafl import folder
from hsisr_lite.uafl.folder_settings import default_of

PAGE = Path(__file__).parents[2] / "book" / "how_to_use.md"


def block(kind, words):
    """The one piece of code that has these words."""
    found = re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [code for code in found if words in code]
    return code


@pytest.fixture
def page(tmp_path, monkeypatch):
    """In an empty folder, the names that the page's first piece of code has made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HSISR_SCENE", raising=False)
    names = {}
    exec(block("python", "scene = hl.load_scene()"), names)
    return names


def test_a_simulated_pair_is_written_and_fused_from_the_shell(page, capsys):
    """To the image that fuse makes of the pair in memory; files hold float32: 1e-6."""
    exec(block("python", '"lr.hdr"), hl.save(hr'), page)
    program, *given = shlex.split(block("sh", "--hsi lr.hdr"))
    assert program == "hsisr-lite" and cli.main([*given, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    fused = hl.load_scene("fused.hdr")
    np.testing.assert_allclose(fused.cube, page["result"].hr_hsi, atol=1e-6)


def test_a_network_is_trained_on_a_folder_and_fuses(page, capsys):
    """In one epoch in place of all."""
    exec(block("python", "synthetic_scene"), page)
    assert len(list(Path("scenes").glob("*.hdr"))) == 5
    command = block("sh", "--out small.pt")
    run, module, name, *given = shlex.split(command.replace("\\\n", ""))
    assert (run, module, name) == ("python", "-m", "hsisr_lite.uafl.folder")
    assert folder.main([*given, "--epochs", "1", "--device", "cpu"]) == 0
    assert "small.pt: 5 steps in 1 epochs; on the held-out" in capsys.readouterr().out
    exec(block("python", 'weights="small.pt"'), page)
    assert page["colour"].hr_msi.shape[2] == 3
    assert "the network was read from small.pt, not trained." in page["result"].notes


def test_the_defaults_of_the_page_are_those_of_the_function():
    """Of every option that has one."""
    rows = re.findall(
        r"^\| `--(\w+)` \| `(.*?)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    own = inspect.signature(folder.train_on_folder).parameters
    wanted = {name: own[name].default for name in own if own[name].default is not own["out"].empty}
    for name in ("network", "psf", "checkpoint", "variable", "wavelengths", "progress"):
        del wanted[name]
    for name in ("width", "endmembers", "alignment"):
        wanted[name] = default_of(name)
    wanted["blocks"] = " ".join(map(str, default_of("blocks")))
    assert dict(rows) == {name: str(value) for name, value in wanted.items()}
