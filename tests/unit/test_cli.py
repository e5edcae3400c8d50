"""The shell command: what it prints, what it writes, and how it says no."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from hsisr_lite import cli
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.methods import fuse, methods
from hsisr_lite.scenes.readers import read_image
from hsisr_lite.scenes.synthetic import synthetic_scene
from hsisr_lite.scenes.writers import write_image


@pytest.fixture
def files(tmp_path):
    pair = simulate(synthetic_scene(), ratio=4)
    meta = {"scale": 10000.0, "dtype": "int16"}
    lr = write_image(tmp_path / "lr.hdr", pair.lr_hsi, wavelengths=pair.wavelengths, meta=meta)
    hr = write_image(tmp_path / "hr.hdr", pair.hr_msi, wavelengths=pair.msi_wavelengths, meta=meta)
    return ["--hsi", str(lr), "--msi", str(hr)]


def left(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_pair_is_fused_into_a_file_that_spectral_opens(files, tmp_path, capsys):
    from spectral.io import envi

    out = tmp_path / "fused.hdr"
    assert cli.main(["fuse", *files, "--out", str(out), "--method", "regression"]) == 0
    opened = envi.open(str(out))
    scene = synthetic_scene()
    assert opened.shape == scene.cube.shape
    assert opened.bands.centers == scene.wavelengths.tolist()
    printed = capsys.readouterr().out
    assert "96 x 96 pixels, 99 bands, by regression" in printed and str(out) in printed
    # The file holds what fuse gives, to half a count of 1/10000 (both pairs were rounded once).
    expected = fuse(simulate(scene, ratio=4), method="regression").hr_hsi
    assert np.abs(read_image(out).cube / 10000 - expected).mean() < 1e-3


@pytest.mark.parametrize("suffix", [".mat", ".npz", ".tif"])
def test_the_suffix_chooses_the_format_and_quiet_is_quiet(files, tmp_path, capsys, suffix):
    if suffix == ".tif":
        pytest.importorskip("rasterio", reason="the geotiff extra is not installed")
    out = tmp_path / f"fused{suffix}"
    assert cli.main(["fuse", *files, "--out", str(out), "--quiet", "--seed", "3"]) == 0
    assert read_image(out).cube.shape == (96, 96, 99)
    assert capsys.readouterr() == ("", "")


def test_the_degradation_can_be_given(files, tmp_path, capsys):
    pair = simulate(synthetic_scene(), ratio=4, blind=False)
    np.savetxt(tmp_path / "psf.csv", pair.psf, delimiter=",")
    np.save(tmp_path / "srf.npy", pair.srf)
    out = ["--out", str(tmp_path / "fused.npz"), "--psf", str(tmp_path / "psf.csv")]
    for spectral in (["--srf", str(tmp_path / "srf.npy")], ["--sensor", "worldview2"]):
        arguments = ["fuse", *files, *out, *spectral, "--ratio", "4", "--method", "srf_regression"]
        assert cli.main(arguments) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--hsi": "none.hdr"}, "none.hdr does not exist"),
        ({"--out": "fused.png"}, "one of .hdr, .mat, .npz, .tif, .tiff"),
        ({"--out": "none/fused.hdr"}, "does not exist"),
        ({"--out": "lr.hdr"}, "would replace the input"),
        ({"--out": "hr.hdr"}, "would replace the input"),
        ({"--method": "magic"}, "one of bicubic, regression"),
        ({"--sensor": "magic"}, "one of landsat8, sentinel2, worldview2"),
        ({"--ratio": "5"}, "ratio 5 needs"),
        ({"--psf": "none.npy"}, "none.npy does not exist"),
        ({"--hsi": "hr.hdr", "--msi": "lr.hdr"}, "look exchanged"),
        ({"--hsi": "cut.hdr"}, "is truncated"),
        ({"--hsi": "nan.npz"}, "NaN"),
        ({"--hsi": "two.npz"}, "holds 2 3-D variables"),
        ({"--hsi": "two.npz", "--hsi-variable": "c"}, "no variable 'c': it holds a ("),
        ({"--hsi": "micro.npz"}, "multiply them by 1000"),
        ({"--hsi": "twice.npz"}, "more than once"),
        ({"--hsi": "bare.npz"}, "has no wavelengths"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_file(
    files, tmp_path, monkeypatch, capsys, changes, words
):
    monkeypatch.chdir(tmp_path)
    cube = np.ones((24, 24, 99))
    gaps = np.where(np.arange(99) == 5, np.nan, cube)
    centres = np.arange(500, 599.0)
    np.savez("nan.npz", cube=gaps, wavelengths=centres)
    np.savez("two.npz", a=cube, b=cube, wavelengths=centres)
    np.savez("micro.npz", cube=cube, wavelengths=centres / 1000)
    np.savez("twice.npz", cube=cube, wavelengths=np.repeat(centres, 2)[:99])
    np.savez("bare.npz", cube=cube)
    (tmp_path / "cut.hdr").write_bytes((tmp_path / "lr.hdr").read_bytes())
    (tmp_path / "cut.img").write_bytes((tmp_path / "lr.img").read_bytes()[:-5])
    before = {name: (tmp_path / name).read_bytes() for name in left(tmp_path)}
    arguments = {"--hsi": "lr.hdr", "--msi": "hr.hdr", "--out": "fused.hdr", **changes}
    assert cli.main(["fuse", *(part for pair in arguments.items() for part in pair)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("hsisr-lite: ")
    assert words in printed.err and printed.err.count("\n") == 1 and "Traceback" not in printed.err
    assert {name: (tmp_path / name).read_bytes() for name in left(tmp_path)} == before


def test_a_disk_that_fills_up_leaves_no_file(files, tmp_path, monkeypatch, capsys):
    from hsisr_lite.scenes import writers

    def half(drafts, *_):
        drafts[0].write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "_write_envi", half)
    before = left(tmp_path)
    assert cli.main(["fuse", *files, "--out", str(tmp_path / "fused.hdr")]) == 2
    assert "No space left on device" in capsys.readouterr().err and left(tmp_path) == before


def test_an_interruption_is_130(files, tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "fuse", interrupted)
    assert cli.main(["fuse", *files, "--out", str(tmp_path / "fused.hdr")]) == 130
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "fused.hdr").exists()


def test_a_warning_is_one_line(files, tmp_path, monkeypatch, capsys):
    def warns(*args, **kwargs):
        warnings.warn("mind the gap", stacklevel=2)
        return fuse(*args, **kwargs)

    monkeypatch.setattr(cli, "fuse", warns)
    assert cli.main(["fuse", *files, "--out", str(tmp_path / "fused.hdr")]) == 0
    assert capsys.readouterr().err == "hsisr-lite: warning: mind the gap\n"


def test_scenes_are_listed_with_licence_and_citation(monkeypatch, capsys):
    monkeypatch.delenv("HSISR_DATA", raising=False)
    assert cli.main(["scenes"]) == 0
    printed = capsys.readouterr().out
    assert "synthetic" in printed and "96 x 96 x 99" in printed and "embedded" in printed
    assert printed.count("licence:") == printed.count("citation:") == 8
    assert "100 x 100 x 198" in printed and "399 to 2457" in printed
    assert max(len(line) for line in printed.splitlines()) <= 96


def test_the_module_is_the_command_and_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m hsisr_lite"
    done = subprocess.run(
        f"{command} fuse --help; {command} scenes | head -1; {command} fuse --hsi a",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "required: --msi, --out" in done.stderr
    assert all(name in done.stdout for name in methods()) and "found in" in done.stdout
    assert "Traceback" not in done.stderr and "Broken" not in done.stderr


@pytest.mark.parametrize("way", ["up and down", "a link", "a.img.hdr", "the SRF"])
def test_no_input_is_replaced_by_whatever_path(files, tmp_path, capsys, way):
    out = tmp_path / "lr.hdr"
    if way == "up and down":
        (tmp_path / "below").mkdir()
        out = tmp_path / "below" / ".." / "lr.hdr"
    elif way == "a link":
        (tmp_path / "same").symlink_to(tmp_path)
        out = tmp_path / "same" / "lr.hdr"
    elif way == "a.img.hdr":
        files[1] = str(out.rename(tmp_path / "lr.img.hdr"))  # its data are lr.img
    else:
        out = tmp_path / "srf.npz"
        np.savez(out, simulate(synthetic_scene(), ratio=4, blind=False).srf)
        files += ["--srf", str(out)]
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    assert cli.main(["fuse", *files, "--out", str(out)]) == 2
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before
    assert "would" in (error := capsys.readouterr().err) and "replace" in error


def test_an_error_of_the_system_is_a_sentence_too(files, tmp_path, capsys, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "lr.img")

    monkeypatch.setattr("hsisr_lite.degradation.loading.load_pair", refused)
    assert cli.main(["fuse", *files, "--out", str(tmp_path / "a.npz")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hsisr-lite: lr.img cannot be read or written (Permission denied): ")


def test_a_terminal_that_knows_few_letters_is_no_failure(files, tmp_path):
    out = tmp_path / "fusão.npz"
    done = subprocess.run(
        [sys.executable, "-m", "hsisr_lite", "fuse", *files, "--out", str(out)],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 and out.is_file() and b"fus\\xe3o.npz" in done.stdout, done.stderr


@pytest.mark.parametrize("wrong", [["--ratio", "x"], ["--budget", "huge"], ["--nonsense"], []])
def test_an_argument_that_cannot_be_read_gets_one_sentence(wrong, capsys):
    files = ["--hsi", "a.hdr", "--msi", "b.hdr", "--out", "c.hdr"] if wrong else []
    with pytest.raises(SystemExit) as stop:
        cli.main(["fuse", *files, *wrong])
    message = capsys.readouterr().err
    assert stop.value.code == 2 and message.startswith("hsisr-lite: ") and message.count("\n") == 1
