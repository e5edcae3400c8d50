"""UAFL: fuse two images that do not line up, by their abundances [uafl2026]_."""

from hsisr_lite.uafl.network import UAFL
from hsisr_lite.uafl.weights import load_weights, save_weights

__all__ = ["UAFL", "load_weights", "save_weights"]
