"""Where an image lies on the ground, in ENVI's words and in GeoTIFF's.

ENVI keeps ``map info`` (projection, tie pixel, its coordinates, pixel size) and a ``coordinate
system string``; GeoTIFF keeps a CRS and an affine ``transform`` (a, b, c, d, e, f) with
``x = a col + b row + c`` and ``y = d col + e row + f``.
"""

import re
import warnings


def as_envi(georeference):
    """Return ENVI header fields for a georeference of either kind.

    Examples
    --------
    >>> utm = 'PROJCS["WGS 84 / UTM zone 33N"]'
    >>> place = as_envi({"crs": utm, "transform": (30, 0, 364095, 0, -30, 5809965)})
    >>> ", ".join(place["map info"][:7])
    'UTM, 1, 1, 364095.0, 5809965.0, 30.0, 30.0'
    """
    if not georeference:
        return {}
    fields = {
        key: georeference[key]
        for key in ("map info", "coordinate system string")
        if georeference.get(key)
    }
    if "transform" in georeference and "map info" not in fields:
        a, b, c, d, e, f = (float(number) for number in georeference["transform"])
        if b or d or a <= 0 or e >= 0:
            _left_out("a rotated or flipped grid", "ENVI")
            return {}
        crs = georeference.get("crs") or ""
        place = ["1", "1", repr(c), repr(f), repr(a), repr(-e)]
        zone = _utm_zone(crs)
        if zone:
            number, hemisphere = zone
            datum = ["WGS-84"] if "WGS" in crs or "EPSG:32" in crs else []
            fields["map info"] = ["UTM", *place, str(number), hemisphere, *datum, "units=Meters"]
        elif crs.startswith(("GEOGCS", "GEOGCRS", "EPSG:4326")):
            fields["map info"] = ["Geographic Lat/Lon", *place, "WGS-84", "units=Degrees"]
        else:
            fields["map info"] = ["Arbitrary", *place]
        if "[" in crs:
            fields["coordinate system string"] = crs
    return fields


def as_geotiff(georeference):
    """Return ``(crs or None, transform or None)`` for a georeference of either kind.

    Examples
    --------
    >>> place = {"map info": ["UTM", "1", "1", "364095", "5809965", "30", "30", "33", "North"]}
    >>> as_geotiff(place)
    ('EPSG:32633', (30.0, 0.0, 364095.0, 0.0, -30.0, 5809965.0))
    """
    if not georeference:
        return None, None
    if "transform" in georeference:
        transform = tuple(float(number) for number in georeference["transform"])
        return georeference.get("crs") or None, transform
    crs = georeference.get("coordinate system string") or None
    info = georeference.get("map info") or []
    if any("rotation" in str(part) and not str(part).rstrip().endswith("=0") for part in info):
        _left_out("a rotated grid", "GeoTIFF")
        return None, None
    try:
        column, row, x, y, width, height = (float(part) for part in info[1:7])
    except ValueError:
        return crs, None  # no tie point: the projection alone is kept
    crs = _crs_of(info) if crs is None else crs
    transform = (width, 0.0, x - (column - 1) * width, 0.0, -height, y + (row - 1) * height)
    return crs, transform


def refined(georeference, ratio):
    """The georeference of a grid ``ratio`` times finer with the same upper left corner.

    Examples
    --------
    >>> refined({"transform": (30, 0, 364095, 0, -30, 5809965)}, 3)["transform"]
    (10.0, 0.0, 364095, 0.0, -10.0, 5809965)
    """
    if not georeference:
        return None
    finer = dict(georeference)
    if "transform" in finer:
        a, b, c, d, e, f = finer["transform"]
        finer["transform"] = (a / ratio, b / ratio, c, d / ratio, e / ratio, f)
    if "map info" in finer:
        info = list(finer["map info"])
        try:
            for place in (1, 2):  # the tie pixel, counted from 1 at the upper left corner
                info[place] = repr((float(info[place]) - 1) * ratio + 1)
            for place in (5, 6):
                info[place] = repr(float(info[place]) / ratio)
        except (ValueError, IndexError):
            return None
        finer["map info"] = info
    return finer


def _crs_of(info):
    """EPSG code for ENVI's map info, where its projection and datum are known, else ``None``."""
    words = [*(str(part).strip() for part in info[7:]), "", "", ""]
    if info[0] == "UTM":
        zone, side, datum = words[:3]
    elif info[0] == "Geographic Lat/Lon":
        zone, side, datum = "", "", words[0]
    else:
        return None
    # Without a datum WGS-84 is meant; any other lies up to hundreds of metres away.
    if datum and not datum.startswith(("WGS-84", "WGS 84", "WGS84", "units=")):
        warnings.warn(f"the datum '{datum}' is not known here: the CRS is left out.", stacklevel=3)
        return None
    if info[0] != "UTM":
        return "EPSG:4326"
    if not side or not zone.isdigit() or not 1 <= int(zone) <= 60:
        return None
    return f"EPSG:{(32600 if side.startswith('N') else 32700) + int(zone)}"


def _utm_zone(crs):
    named = re.search(r"UTM[ _]zone[ _](\d+)([NS])", crs, re.IGNORECASE)
    if named:
        return int(named[1]), "North" if named[2].upper() == "N" else "South"
    coded = re.fullmatch(r"EPSG:32([67])(\d\d)", crs)
    return (int(coded[2]), "North" if coded[1] == "6" else "South") if coded else None


def _left_out(what, kind):
    warnings.warn(
        f"{what} cannot be written to {kind} here: the georeference is left out.", stacklevel=3
    )
