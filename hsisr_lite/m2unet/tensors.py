"""Images as the networks see them: (1, bands, rows, cols), in units that reach up to one."""

import numpy as np
import torch


def as_tensor(image, device="cpu"):
    """(rows, cols, bands) array to (1, bands, rows, cols) float32 tensor.

    Examples
    --------
    >>> as_tensor(np.zeros((2, 3, 4))).shape
    torch.Size([1, 4, 2, 3])
    """
    values = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    return values.permute(2, 0, 1)[None].contiguous().to(device)


def as_image(tensor):
    """(1, bands, rows, cols) tensor to (rows, cols, bands) float32 array.

    Examples
    --------
    >>> as_image(torch.zeros(1, 4, 2, 3)).shape
    (2, 3, 4)
    """
    return np.ascontiguousarray(tensor.detach()[0].permute(1, 2, 0).float().cpu().numpy())


def unit_of(pair):
    """What the images are divided by: 1 where none exceeds 1, as published, else the largest.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> unit_of(hl.ObservedPair(np.ones((2, 2, 3)), np.full((4, 4, 2), 5.0), 2, [500, 600, 700]))
    5.0
    """
    images = (pair.lr_hsi, pair.lr_valid), (pair.hr_msi, pair.hr_valid)
    return float(max(1.0, *(i.max() if v is None else i[v].max() for i, v in images)))
