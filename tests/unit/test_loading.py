"""A person's own pair: one scale, one grid, and a plain word on what does not fit."""

import warnings

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.loading import load_pair
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.scenes.synthetic import synthetic_scene
from hsisr_lite.scenes.writers import write_image

UTM = {"crs": "EPSG:32633", "transform": (30.0, 0.0, 364095.0, 0.0, -30.0, 5809965.0)}


@pytest.fixture(scope="module")
def pair():
    return simulate(synthetic_scene(), ratio=4, sensor="worldview2", blind=False)


@pytest.fixture
def write(tmp_path):
    def write(name, cube, wavelengths, *, valid=None, **meta):
        meta = {"scale": 10000.0, "dtype": "int16", **meta}
        return write_image(tmp_path / name, cube, wavelengths=wavelengths, meta=meta, valid=valid)

    return write


@pytest.fixture
def files(write, pair):
    return (
        write("lr.hdr", pair.lr_hsi, pair.wavelengths),
        write("hr.hdr", pair.hr_msi, pair.msi_wavelengths),
    )


def undeclare(header, field="reflectance scale factor"):
    lines = [line for line in header.read_text().splitlines() if not line.startswith(field)]
    header.write_text("\n".join(lines) + "\n")


def test_a_pair_written_to_files_comes_back(files, pair):
    found = load_pair(*files)
    assert found.ratio == 4 and found.psf is None and found.srf is None and found.noise is None
    assert np.array_equal(found.wavelengths, pair.wavelengths)
    assert np.array_equal(found.msi_wavelengths, pair.msi_wavelengths)
    # Stored as counts of 1/10000, so half a count is lost at most (and a little of float32).
    np.testing.assert_allclose(found.lr_hsi, pair.lr_hsi, atol=0.51e-4)
    np.testing.assert_allclose(found.hr_msi, pair.hr_msi, atol=0.51e-4)
    assert found.meta["scale"] == 10000 and found.meta["dtype"] == "int16"
    assert found.lr_valid is None and found.hr_valid is None


def test_two_images_of_one_file_are_told_apart(tmp_path, pair):
    np.savez(tmp_path / "pair.npz", lr_hsi=pair.lr_hsi, hr_msi=pair.hr_msi, gt=np.ones((2, 2, 2)),
             wavelengths=pair.wavelengths)  # fmt: skip
    found = load_pair(tmp_path / "pair.npz", tmp_path / "pair.npz")
    assert found.lr_hsi.shape == pair.lr_hsi.shape and found.hr_msi.shape == pair.hr_msi.shape
    largest = max(pair.lr_hsi.max(), pair.hr_msi.max())
    np.testing.assert_allclose(found.meta["scale"], largest, rtol=1e-7)
    np.testing.assert_allclose(found.hr_msi * largest, pair.hr_msi, rtol=3e-7)


@pytest.mark.parametrize("brighter", [1, 3])
def test_undeclared_images_share_the_larger_maximum(files, write, pair, brighter):
    hr = write("bright.hdr", brighter * pair.hr_msi, pair.msi_wavelengths)
    for path in (files[0], hr):
        undeclare(path)
    found = load_pair(files[0], hr)
    largest = round(10000 * max(pair.lr_hsi.max(), brighter * pair.hr_msi.max()))
    assert found.meta["scale"] == largest and "larger maximum" in found.meta["notes"][-1]
    assert max(found.lr_hsi.max(), found.hr_msi.max()) == 1


@pytest.mark.parametrize("silent", [0, 1])
def test_one_declared_scale_serves_both(files, pair, silent):
    undeclare(files[silent])
    found = load_pair(*files)
    assert found.meta["scale"] == 10000
    assert f"the {('LrHSI', 'HrMSI')[silent]} declares no scale" in found.meta["notes"][-1]
    np.testing.assert_allclose(found.hr_msi, pair.hr_msi, atol=0.51e-4)


def test_different_scales_are_brought_to_the_lrhsis_units(files, write, pair):
    hr = write("hr255.hdr", pair.hr_msi, pair.msi_wavelengths, scale=255.0, dtype="uint8")
    found = load_pair(files[0], hr)
    assert found.meta["scale"] == 10000 and "from scale 255" in found.meta["notes"][-1]
    np.testing.assert_allclose(found.hr_msi, pair.hr_msi, atol=0.51 / 255)


def test_other_units_are_warned_of(files, write, pair):
    hr = write("counts.hdr", pair.hr_msi, pair.msi_wavelengths, scale=1.0, dtype="float32")
    undeclare(hr)
    with pytest.warns(UserWarning, match="different units"):
        found = load_pair(files[0], hr)
    # One scale holds for both, the declared one: nothing is guessed from the values.
    np.testing.assert_allclose(found.hr_msi, pair.hr_msi / 10000, rtol=1e-6)  # float32


def test_no_data_of_either_image_becomes_its_mask(write, pair):
    lr_valid = np.ones(pair.lr_hsi.shape[:2], bool)
    hr_valid = np.ones(pair.hr_msi.shape[:2], bool)
    lr_valid[3, 4] = hr_valid[:2] = False
    lr = write("lr.hdr", pair.lr_hsi, pair.wavelengths, valid=lr_valid, nodata=-1)
    hr = write("hr.hdr", pair.hr_msi, pair.msi_wavelengths, valid=hr_valid, nodata=-7)
    found = load_pair(lr, hr)
    assert np.array_equal(found.lr_valid, lr_valid) and np.array_equal(found.hr_valid, hr_valid)
    assert found.meta["nodata"] == -1  # results are written in the LrHSI's terms
    assert found.lr_hsi.min() >= 0 and found.hr_msi.min() >= 0


def test_the_result_lies_on_the_msis_grid(write, pair):
    coarse = {**UTM, "transform": (120.0, 0.0, 364095.0, 0.0, -120.0, 5809965.0)}
    moved = {**UTM, "transform": (120.0, 0.0, 7.0, 0.0, -120.0, 9.0)}
    lr = write("lr.hdr", pair.lr_hsi, pair.wavelengths, georeference=coarse)
    elsewhere = write("moved.hdr", pair.lr_hsi, pair.wavelengths, georeference=moved)
    hr = write("hr.hdr", pair.hr_msi, pair.msi_wavelengths, georeference=UTM)
    bare = write("bare.hdr", pair.hr_msi, pair.msi_wavelengths)
    # The MSI's own place wins; without one, it is the LrHSI's, four times finer.
    for first, second in [(lr, hr), (elsewhere, hr), (lr, bare)]:
        info = load_pair(first, second).meta["georeference"]["map info"]
        assert [float(part) for part in info[1:7]] == [1, 1, 364095, 5809965, 30, 30]


def test_psf_and_srf_come_as_arrays_or_files(files, tmp_path, pair):
    np.save(tmp_path / "psf.npy", pair.psf)
    np.savetxt(tmp_path / "srf.csv", pair.srf, delimiter=",")
    np.savez(tmp_path / "both.npz", psf=pair.psf, srf=pair.srf)
    for psf, srf in [(pair.psf, pair.srf), (tmp_path / "psf.npy", tmp_path / "srf.csv"),
                     (tmp_path / "both.npz", str(tmp_path / "both.npz"))]:  # fmt: skip
        found = load_pair(*files, psf=psf, srf=srf)
        np.testing.assert_allclose(found.psf, pair.psf, rtol=1e-12)  # rows are divided by their sum
        np.testing.assert_allclose(found.srf, pair.srf, rtol=1e-12)


def test_the_columns_of_an_srf_follow_the_bands_of_the_file(write, pair):
    """The file lists its bands in descending order and two of them as bad; so does the SRF."""
    backwards = slice(None, None, -1)
    lr = write("lr.hdr", pair.lr_hsi, pair.wavelengths)
    header, data = lr, lr.with_suffix(".img")
    cube = np.fromfile(data, np.int16).reshape(*pair.lr_hsi.shape)  # (rows, cols, bands)
    cube[..., backwards].tofile(data)
    good = np.ones(pair.wavelengths.size, int)
    good[[1, -1]] = 0
    kept = [line for line in header.read_text().splitlines() if not line.startswith("wavelength =")]
    kept.append("wavelength = {" + ", ".join(map(repr, pair.wavelengths[backwards].tolist())) + "}")
    kept.append("bbl = {" + ", ".join(map(str, good)) + "}")
    header.write_text("\n".join(kept) + "\n")
    hr = write("hr.hdr", pair.hr_msi, pair.msi_wavelengths)
    found = load_pair(lr, hr, srf=pair.srf[:, backwards])
    left = good[backwards] == 1
    expected = pair.srf[:, left] / pair.srf[:, left].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.srf, expected, rtol=1e-12)  # one more division
    assert np.array_equal(found.wavelengths, pair.wavelengths[left])


def test_a_sensor_gives_the_srf_of_the_lrhsis_bands(files, pair):
    found = load_pair(*files, sensor="worldview2")
    np.testing.assert_allclose(found.srf, pair.srf, rtol=1e-12)  # the same sum in the same order
    with pytest.raises(InputError, match="the HrMSI has 8 bands but sensor 'landsat8' 6"):
        load_pair(*files, sensor="landsat8")
    with pytest.raises(InputError, match="one of landsat8, sentinel2, worldview2"):
        load_pair(*files, sensor="worldview")
    with pytest.raises(InputError, match="transpose it"):
        load_pair(*files, srf=pair.srf.T)
    with pytest.raises(InputError, match="the SRF has 7 rows but the HrMSI 8 bands"):
        load_pair(*files, srf=pair.srf[:7])
    with pytest.raises(InputError, match="leave one out"):
        load_pair(*files, sensor="worldview2", srf=pair.srf)


def test_msi_bands_outside_the_lrhsis_range_are_dropped_with_a_sensor(write, pair):
    inside = pair.wavelengths < 800
    lr = write("lr.hdr", pair.lr_hsi[..., inside], pair.wavelengths[inside])
    hr = write("hr.npz", pair.hr_msi, pair.msi_wavelengths)
    with pytest.warns(UserWarning, match="(?i)less than half covered|lie outside"):
        found = load_pair(lr, hr, sensor="worldview2")
    assert found.hr_msi.shape[2] == len(found.srf) == len(found.msi_wavelengths) == 6
    assert "were dropped, outside the LrHSI's range" in " ".join(found.meta["notes"])


def test_bands_in_another_order_than_the_sensors_are_warned_of(files, write, pair):
    hr = write("hr2.hdr", pair.hr_msi[..., ::-1], pair.msi_wavelengths)
    swapped = pair.msi_wavelengths[::-1]
    with pytest.warns(UserWarning, match="order of the bands"):
        found = load_pair(files[0], hr, sensor="worldview2", msi_wavelengths=swapped)
    # The file's order stays: which of the two is wrong, a person has to say. Half a count is lost.
    np.testing.assert_allclose(found.hr_msi, pair.hr_msi[..., ::-1], atol=0.51e-4)


@pytest.mark.parametrize(
    ("crop", "ratio", "words"),
    [
        ((slice(0, 93), slice(None)), None, "93 x 96 and 8: .* 72 x 72 for "),
        ((slice(0, 48), slice(None)), None, "48 x 96"),
        ((slice(None), slice(None)), 5, "ratio 5 needs an HrMSI of 120 x 120"),
        ((slice(0, 24), slice(0, 24)), None, "must have more pixels"),
        ((slice(0, 12), slice(0, 12)), None, "12 x 12"),
        ((slice(None), slice(None)), 0, "at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(files, write, pair, crop, ratio, words):
    hr = write("cropped.hdr", pair.hr_msi[crop], pair.msi_wavelengths)
    with pytest.raises(InputError, match=words) as error:
        load_pair(files[0], hr, ratio=ratio)
    assert "\n" not in str(error.value)
    if ratio != 0:
        assert "24 x 24 pixels and 99 bands" in str(error.value)


def test_exchanged_images_are_recognised(files):
    with pytest.raises(InputError, match="look exchanged; give the hyper"):
        load_pair(files[1], files[0])


def test_an_lrhsi_without_wavelengths_needs_them(files, pair, tmp_path):
    undeclare(files[0], "wavelength =")
    with pytest.raises(InputError, match=r"lr\.hdr has no wavelengths: .* pass wavelengths="):
        load_pair(*files)
    np.save(tmp_path / "wl.npy", pair.wavelengths)
    for given in (pair.wavelengths, tmp_path / "wl.npy"):
        assert np.array_equal(load_pair(*files, wavelengths=given).wavelengths, pair.wavelengths)
    undeclare(files[1], "wavelength =")
    assert load_pair(*files, wavelengths=pair.wavelengths).msi_wavelengths is None


def test_an_msi_wholly_outside_the_range_is_an_error_and_a_band_outside_a_warning(files, pair):
    with pytest.raises(InputError, match=r"of the 8 bands of the HrMSI .* 8 lie outside"):
        load_pair(*files, msi_wavelengths=pair.msi_wavelengths + 9000)
    moved = pair.msi_wavelengths.copy()
    moved[0] = 9000
    with pytest.warns(UserWarning, match="1 lie outside"):
        load_pair(*files, msi_wavelengths=moved)


def test_images_of_different_places_are_warned_of(files, write, pair):
    rng = np.random.default_rng(0)
    other = rng.random(pair.hr_msi.shape)
    hr = write("other.hdr", other, pair.msi_wavelengths)
    with pytest.warns(UserWarning, match="resembles none of its bands"):
        found = load_pair(files[0], hr)
    np.testing.assert_allclose(found.hr_msi, other, atol=0.51e-4)  # as it stands; half a count
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_pair(*files)


@pytest.mark.parametrize("what", ["psf", "srf"])
def test_a_bad_psf_or_srf_file_is_one_sentence(files, tmp_path, what):
    with pytest.raises(FileNotFoundError, match=f"{what} file .* does not exist"):
        load_pair(*files, **{what: tmp_path / "none.npy"})
    (tmp_path / "bad.csv").write_text("a,b\nc,d\n")
    (tmp_path / "bad.doc").write_text("1")
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object))
    wrong = {"bad.csv": "as numbers", "bad.doc": "is needed", "pickled.npy": "as numbers"}
    for name, words in wrong.items():
        with pytest.raises(InputError, match=words) as error:
            load_pair(*files, **{what: tmp_path / name})
        assert "\n" not in str(error.value)
    np.save(tmp_path / "ones.npy", np.ones((3, 3) if what == "psf" else (8, 99)))
    with pytest.raises(InputError, match="sum of 1 is needed"):
        load_pair(*files, **{what: tmp_path / "ones.npy"})


def test_the_srf_of_one_band_is_a_table_of_one_row(files, write, pair, tmp_path):
    """A mark at the beginning, as spreadsheets write it, is no number."""
    pan = write("pan.hdr", pair.hr_msi.mean(axis=2, keepdims=True), [600.0])
    srf = np.full((1, pair.lr_hsi.shape[2]), 1 / pair.lr_hsi.shape[2])
    (tmp_path / "srf.csv").write_text(",".join(map(str, srf[0])), encoding="utf-8-sig")
    np.testing.assert_allclose(load_pair(files[0], pan, srf=tmp_path / "srf.csv").srf, srf)


def test_a_complex_or_empty_srf_is_one_sentence(files, pair, tmp_path):
    np.save(tmp_path / "srf.npy", pair.srf + 1j)
    with pytest.raises(InputError, match="not a real number"):
        load_pair(*files, srf=tmp_path / "srf.npy")
    (tmp_path / "srf.csv").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        load_pair(*files, srf=tmp_path / "srf.csv")
