"""Hyperspectral image fusion, from the idea to the picture.

Names are loaded on first use, so that ``import hsisr_lite`` is quick and a chapter's fingerprint
covers only the modules it reaches.
"""

from importlib import import_module

# Not lazy: the room has the function's name, and a later import of it would hide the function.
from hsisr_lite.methods import fuse, methods

__version__ = "0.1.0"

_ROOM_OF = {
    "InputError": "arrays",
    "Scene": "scenes.scene",
    "load_scene": "scenes.catalog",
    "list_scenes": "scenes.catalog",
    "ObservedPair": "degradation.pair",
    "SpatialOperator": "degradation.operators",
    "SpectralOperator": "degradation.operators",
    "gaussian_psf": "degradation.psf",
    "sensor_srf": "degradation.srf",
    "sensors": "degradation.srf",
    "simulate": "degradation.simulate",
    "load_pair": "degradation.loading",
    "misregister": "degradation.misregistration",
    "register": "degradation.registration",
    "FusionResult": "results",
    "save": "results",
    "score": "metrics",
    "frames": "widgets",
    "show": "widgets",
    "pixel_picker": "picker",
}

__all__ = [*_ROOM_OF, "fuse", "methods"]


def __getattr__(name):
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'hsisr_lite' has no attribute '{name}'")
    value = getattr(import_module(f"hsisr_lite.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
