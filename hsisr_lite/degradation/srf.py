"""Spectral response functions: how a multispectral sensor gathers narrow bands into broad ones.

A sensor's response curves are tabulated every 2.5 nm (``sensors/*.csv``, whose first lines name
their source); here they are carried over to the bands of one hyperspectral scene.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError, as_wavelengths

_TABLES = Path(__file__).with_name("sensors")
_LEAST_COVERAGE = 0.5  # of an MSI band's response that the scene must see


class ResponseTable(NamedTuple):
    """Response curves: ``wavelengths`` (n,) in nm, ``responses`` (msi_bands, n), band ``names``."""

    wavelengths: np.ndarray
    responses: np.ndarray
    names: tuple[str, ...]


class SensorSRF(NamedTuple):
    """A sensor seen through one scene's bands.

    ``srf`` is (msi_bands, hsi_bands) with rows that sum to 1, ``names`` the kept bands and
    ``centres`` their response-weighted mean wavelengths in nm.
    """

    srf: np.ndarray
    names: tuple[str, ...]
    centres: np.ndarray


def sensors():
    """Names of the sensors whose response curves come with the package.

    Examples
    --------
    >>> sensors()
    ('landsat8', 'sentinel2', 'worldview2')
    """
    return tuple(sorted(path.stem for path in _TABLES.glob("*.csv")))


def read_table(path):
    """Read response curves from a CSV file: first column nanometres, then one column per band.

    Lines that start with ``#`` are comments; the first other line names the columns.

    Raises
    ------
    InputError
        A missing file, a table that is not numbers, or curves that are negative or all zero.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(
            f"the response table {path} does not exist: a CSV file is needed; check its path."
        )
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        lines = [line for line in lines if not line.startswith("#")]
        if not lines:
            raise ValueError("no lines")
        names = tuple(name.strip() for name in lines[0].split(",")[1:])
        table = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
        if table.ndim != 2 or table.shape != (len(lines) - 1, len(names) + 1) or not names:
            raise ValueError("rows of unequal length")
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"the response table {path} cannot be read ({error}): a header line, then rows of "
            "'nanometres, response of each band' are needed; export it as plain CSV."
        ) from error
    grid = as_wavelengths(table[:, 0], name=f"the response table {path}")
    responses = table[:, 1:].T
    if len(grid) < 2 or not np.isfinite(responses).all() or responses.min() < 0:
        raise InputError(
            f"the response table {path} holds negative or missing responses: numbers of at least "
            "0 on two or more wavelengths are needed; set them to 0."
        )
    if (responses.max(axis=1) == 0).any():
        empty = names[int(np.argmin(responses.max(axis=1)))]
        raise InputError(
            f"band '{empty}' of the response table {path} is zero everywhere: a positive response "
            "is needed; drop that column."
        )
    return ResponseTable(grid, responses, names)


def response_table(sensor):
    """Response curves of a known sensor, of a ``.csv`` file, or the table itself.

    Raises
    ------
    InputError
        An unknown sensor, or a file that is no response table.

    Examples
    --------
    >>> response_table("worldview2").names[0]
    'coastal'
    """
    if isinstance(sensor, ResponseTable):
        return sensor
    if str(sensor) in sensors():
        return read_table(_TABLES / f"{sensor}.csv")
    if Path(str(sensor)).suffix.lower() == ".csv":
        return read_table(sensor)
    raise InputError(
        f"sensor '{sensor}' is not known: one of {', '.join(sensors())} is needed, or the path of "
        "a .csv response table."
    )


def band_cells(wavelengths, fwhm=None):
    """The stretch of spectrum that each band stands for, as (bands, 2) edges in nm.

    A cell reaches half-way to its neighbours, so that overlapping detectors share the spectrum
    instead of counting it twice; beside a gap it ends where the band's own width ends.

    Examples
    --------
    >>> band_cells([500, 510, 520, 900])
    array([[495. , 505. ],
           [505. , 515. ],
           [515. , 525. ],
           [892.5, 907.5]])
    """
    centres = as_wavelengths(wavelengths)
    if len(centres) == 1:
        width = np.array([10.0]) if fwhm is None else np.asarray(fwhm, dtype=np.float64)
        return np.column_stack([centres - width / 2, centres + width / 2])
    step = np.diff(centres)
    nearest = np.minimum(np.append(step[0], step), np.append(step, step[-1]))
    # A lone band between two gaps has no near neighbour: it borrows the spacing next to it.
    padded = np.concatenate([nearest[1:2], nearest, nearest[-2:-1]])
    nearest = np.minimum(nearest, 1.5 * np.maximum(padded[:-2], padded[2:]))
    spacing = np.maximum(nearest, np.median(step))
    reach = spacing / 2 if fwhm is None else np.maximum(spacing, np.asarray(fwhm)) / 2
    half = step / 2
    gap = step > 2 * np.maximum(spacing[:-1], spacing[1:])
    left = centres - np.append(reach[0], np.where(gap, np.minimum(half, reach[1:]), half))
    right = centres + np.append(np.where(gap, np.minimum(half, reach[:-1]), half), reach[-1])
    return np.column_stack([left, right])


def sensor_srf(sensor, wavelengths, *, fwhm=None, strict=False):
    r"""SRF of a sensor for a scene's bands.

    .. math:: S_{mb} = \frac{\int_{c_b} R_m(\lambda)\,d\lambda}
                            {\sum_{b'} \int_{c_{b'}} R_m(\lambda)\,d\lambda}

    where :math:`R_m` is the tabulated response of MSI band m and :math:`c_b` the cell of HSI band b
    (:func:`band_cells`).

    Parameters
    ----------
    sensor : str or ResponseTable
        One of :func:`sensors`, the path of a ``.csv`` table, or a table already read.
    wavelengths : (hsi_bands,) array
        Band centres of the scene in nm, ascending.
    fwhm : (hsi_bands,) array, optional
        Band widths of the scene in nm; default the spacing of the centres.
    strict : bool
        Raise, instead of warn, when an MSI band has to be dropped.

    Returns
    -------
    response : SensorSRF
        ``srf`` (msi_bands, hsi_bands) float64, ``names``, ``centres``.

    Raises
    ------
    InputError
        An unknown sensor, no MSI band at least half inside the scene's bands, or, with ``strict``,
        any band that is not.

    Examples
    --------
    >>> response = sensor_srf("worldview2", np.arange(400, 1050, 10.0))
    >>> response.srf.shape, float(response.srf[0].sum().round(12))
    ((8, 65), 1.0)
    """
    table = response_table(sensor)
    cells = band_cells(wavelengths, fwhm)
    # Integrals of the piecewise linear curves, exact at every cell edge.
    edges = np.unique(np.concatenate([table.wavelengths, cells.ravel()]))
    curves = np.array([np.interp(edges, table.wavelengths, r, left=0, right=0)
                       for r in table.responses])  # fmt: skip
    pieces = np.diff(edges) * (curves[:, 1:] + curves[:, :-1]) / 2
    running = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(pieces, axis=1)], axis=1)
    weights = (running[:, np.searchsorted(edges, cells[:, 1])]
               - running[:, np.searchsorted(edges, cells[:, 0])])  # fmt: skip
    coverage = weights.sum(axis=1) / running[:, -1]
    kept = coverage >= _LEAST_COVERAGE
    if not kept.all():
        dropped = [f"{n} ({c:.0%})" for n, c in zip(table.names, coverage, strict=True)
                   if c < _LEAST_COVERAGE]  # fmt: skip
        seen = f"{cells[0, 0]:.0f} to {cells[-1, 1]:.0f} nm"
        sentence = (
            f"MSI bands less than half covered by the scene ({seen}): {', '.join(dropped)} of "
            f"{'the table' if isinstance(sensor, ResponseTable) else sensor}"
        )
        if not kept.any():
            raise InputError(f"{sentence}; none is left, so choose a sensor that fits the scene.")
        if strict:
            raise InputError(f"{sentence}; choose another sensor, or strict=False to drop them.")
        warnings.warn(f"{sentence}; they are dropped.", stacklevel=2)
    step = np.gradient(table.wavelengths)  # tables need not be uniform
    centres = table.responses @ (table.wavelengths * step) / (table.responses @ step)
    srf = weights[kept] / weights[kept].sum(axis=1, keepdims=True)
    names = tuple(name for name, keep in zip(table.names, kept, strict=True) if keep)
    return SensorSRF(srf, names, centres[kept])
