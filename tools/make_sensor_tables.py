"""Write the package's response tables from published ones, every 2.5 nm, rounded to 0.0001.

    HSISR_DATA=<folder> python tools/make_sensor_tables.py

Run once per change of the sources; the tables that it writes are committed.
"""

import csv
import os
from pathlib import Path

import numpy as np

STEP = 2.5  # nm: the coarsest spacing of the published tables
TABLES = {
    "worldview2": (
        "worldview2.csv",
        dict(
            C="coastal",
            B="blue",
            G="green",
            Y="yellow",
            R="red",
            RE="red edge",
            N="near infrared 1",
            N2="near infrared 2",
        ),
        "DigitalGlobe's relative responses, as tabulated in Orfeo ToolBox",
    ),
    "landsat8": (
        "landsat8_oli.csv",
        dict(
            Blue="blue",
            Green="green",
            Red="red",
            Near="near infrared",
            Shortwave="short-wave infrared",
        ),
        "USGS and NASA responses of the Operational Land Imager, as tabulated in EnMAP-Box",
    ),
    "sentinel2": (
        "sentinel2a_msi.csv",
        {},
        "ESA responses of the MultiSpectral Instrument of Sentinel-2A, as tabulated in EnMAP-Box",
    ),
}


def name_of(column, words):
    """A short band name: B8A for Sentinel-2, a word of the band for the others."""
    first = column.split()[0]
    if column.startswith("B") and first[1:2].isdigit():
        return first
    number = f" {column.split(')')[1].split()[0]}" if "(SWIR)" in column else ""
    return words[first] + number


def main():
    source = Path(os.environ["HSISR_DATA"]) / "srf"
    target = Path(__file__).parents[1] / "hsisr_lite" / "degradation" / "sensors"
    for sensor, (file, words, credit) in TABLES.items():
        with open(source / file, newline="", encoding="utf-8") as stream:
            columns, *rows = csv.reader(stream)
        table = np.array(rows, dtype=float)
        keep = [i for i, c in enumerate(columns[1:], 1) if not words or c.split()[0] in words]
        first = STEP * np.floor(table[0, 0] / STEP)
        grid = np.arange(first, table[-1, 0] + STEP, STEP)
        curves = [np.interp(grid, table[:, 0], table[:, i], left=0, right=0) for i in keep]
        curves = np.round(np.clip(curves, 0, None), 4)
        lines = [
            f"# Relative spectral response of {sensor}: {credit}.",
            f"# Resampled every {STEP} nm and rounded to four decimals.",
            ",".join(["wavelength_nm", *(name_of(columns[i], words) for i in keep)]),
        ]
        used = np.any(curves, axis=0)
        # The zero on either side of a curve stays: between rows the curves are straight lines.
        used |= np.append(used[1:], False) | np.append(False, used[:-1])
        for wavelength, values in zip(grid[used], np.transpose(curves)[used], strict=True):
            lines.append(",".join(f"{v:g}" for v in [wavelength, *values]))
        (target / f"{sensor}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{sensor}: {len(keep)} bands, {len(lines) - 3} wavelengths")


if __name__ == "__main__":
    main()
