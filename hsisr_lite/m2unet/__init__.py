"""M2U-Net: learn the sensors, map the spectra, sharpen with an untrained network [m2unet2024]_."""

from hsisr_lite.m2unet.dil import DILNet
from hsisr_lite.m2unet.iie import SMLNet
from hsisr_lite.m2unet.unet import DualUNet, SingleUNet

__all__ = ["DILNet", "DualUNet", "SMLNet", "SingleUNet"]
