"""SRFs: published curves carried over to a scene's bands."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.srf import ResponseTable, band_cells, read_table, sensor_srf, sensors

FULL = np.arange(390, 2500, 10.0)


@pytest.mark.parametrize("sensor", sensors())
def test_rows_are_weights(sensor):
    response = sensor_srf(sensor, FULL)
    assert response.srf.min() >= 0
    np.testing.assert_allclose(response.srf.sum(axis=1), 1, atol=1e-12)
    assert len(response.names) == len(response.centres) == len(response.srf)


@pytest.mark.parametrize("sensor", sensors())
def test_a_linear_spectrum_is_seen_at_the_band_centre(sensor):
    """The integral of r(nm) nm is the mean wavelength; cells of 2 nm leave 1 nm."""
    response = sensor_srf(sensor, np.arange(350, 2500, 2.0))
    np.testing.assert_allclose(response.srf @ np.arange(350, 2500, 2.0), response.centres, atol=1.0)


def test_worldview2_is_its_eight_multispectral_bands():
    # Half-maximum ranges published by the operator, in nm; the mean must lie well inside.
    ranges = [
        (402, 453),
        (447, 508),
        (512, 580),
        (590, 625),
        (630, 688),
        (705, 743),
        (772, 890),
        (862, 953),
    ]
    response = sensor_srf("worldview2", FULL)
    assert len(response.names) == 8
    for centre, (low, high) in zip(response.centres, ranges, strict=True):
        assert low < centre < high


def test_bands_outside_the_scene_are_dropped_and_named():
    with pytest.warns(
        UserWarning, match=r"near infrared 2 \(\d+%\) of worldview2; they are dropped"
    ):
        response = sensor_srf("worldview2", np.linspace(401, 889, 156))
    assert len(response.names) == 7
    with pytest.raises(InputError, match="strict=False"):
        sensor_srf("worldview2", np.linspace(401, 889, 156), strict=True)


def test_no_band_left_is_an_error_that_names_them():
    with pytest.raises(InputError, match="none is left"):
        sensor_srf("worldview2", np.arange(1500, 2400, 10.0))


def test_an_unknown_sensor_lists_the_known_ones():
    with pytest.raises(InputError, match="landsat8, sentinel2, worldview2"):
        sensor_srf("modis", FULL)


def test_overlapping_detectors_share_the_spectrum():
    """Adding a second detector over part of the range must not count that part twice."""
    once = np.arange(400, 1000, 10.0)
    twice = np.sort(np.concatenate([once, np.arange(803, 900, 10.0)]))
    flat_then_step = lambda nm: np.where(nm < 800, 1.0, 3.0)  # noqa: E731
    box = ResponseTable(np.array([699.0, 700, 900, 901]), np.array([[0.0, 1, 1, 0]]), ("box",))
    for grid in (once, twice):
        seen = sensor_srf(box, grid).srf @ flat_then_step(grid)
        assert seen[0] == pytest.approx(2.0, abs=0.06)  # one cell of 10 nm at the step: 0.05


def test_cells_tile_the_spectrum_and_stop_at_gaps():
    cells = band_cells([400, 410, 420, 600, 610, 620])
    np.testing.assert_allclose(cells[1:3, 0], cells[:2, 1])
    assert cells[2, 1] == 425 and cells[3, 0] == 595


def test_band_widths_close_what_centres_leave_open():
    # Centres 10 nm apart inside, a 30 nm hole: bands 25 nm wide reach 12.5 nm into it.
    cells = band_cells([400, 410, 440, 450], fwhm=[25] * 4)
    assert cells[1, 1] == 422.5 and cells[2, 0] == 427.5


def test_tables_are_read_with_one_sentence_for_each_fault(tmp_path):
    faults = {
        "missing.csv": (None, "does not exist"),
        "words.csv": ("wavelength_nm,a\n500,x\n510,1\n", "cannot be read"),
        "ragged.csv": ("wavelength_nm,a,b\n500,1\n510,1,1\n", "cannot be read"),
        "negative.csv": ("wavelength_nm,a\n500,-1\n510,1\n", "negative"),
        "empty.csv": ("wavelength_nm,a,b\n500,0,1\n510,0,1\n", "zero everywhere"),
        "micrometres.csv": ("wavelength_um,a\n0.5,1\n0.51,1\n", "multiply micrometres"),
        "nothing.csv": ("", "cannot be read"),
    }
    for name, (text, words) in faults.items():
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=words):
            sensor_srf(str(tmp_path / name), FULL)


def test_a_persons_own_table_is_a_sensor(tmp_path):
    text = "# as a spreadsheet saves it\nnm,left,right\n# note\n500,1,0\n600,1,1\n700,0,1\n"
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8-sig")
    table = read_table(tmp_path / "mine.csv")
    assert table.names == ("left", "right")
    assert sensor_srf(str(tmp_path / "mine.csv"), FULL).names == ("left", "right")


def test_our_tables_are_the_published_curves(data_folder):
    """Half-maximum ranges of the packaged tables against those of the published files."""
    import json

    published = json.loads((data_folder / "srf" / "meta.json").read_text())
    files = {
        "worldview2": "worldview2.csv",
        "sentinel2": "sentinel2a_msi.csv",
        "landsat8": "landsat8_oli.csv",
    }
    for sensor, file in files.items():
        from hsisr_lite.degradation import srf

        table = read_table(srf._TABLES / f"{sensor}.csv")
        ranges = published[file]["half_max_range_nm"][: len(table.names)]
        for curve, (low, high) in zip(table.responses, ranges, strict=True):
            above = table.wavelengths[curve >= curve.max() / 2]
            # Both tables are sampled, theirs down to 1 nm and ours at 2.5 nm.
            assert abs(above[0] - low) <= 2.5 and abs(above[-1] - high) <= 2.5
