"""Endmembers by SVD: orthonormal, the same whatever library computes them, and never learned."""

import numpy as np
import pytest
import scipy.linalg
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.scenes.synthetic import synthetic_scene
from hsisr_lite.uafl.unmixing_head import abundances, endmembers, reconstruct
from hsisr_lite.unmixing.subspace import svd_subspace


def images(batch=2, bands=20, rows=9, cols=7, seed=0):
    """Spectra of different strengths, as those of a scene: directions are then well apart."""
    generator = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    spectra = rand(batch, bands, 6) * 0.5 ** torch.arange(6)
    mixed = torch.einsum("nbm,nmij->nbij", spectra, rand(batch, 6, rows, cols))
    return mixed + 0.001 * rand(batch, bands, rows, cols)


def scene():
    cube = synthetic_scene().cube
    return torch.from_numpy(np.moveaxis(cube, -1, 0)[None].copy())


def test_endmembers_are_orthonormal_with_their_largest_entry_positive():
    """Float32, rounded once: 1e-6."""
    e = endmembers(images(), 4)
    torch.testing.assert_close(e @ e.mT, torch.eye(4).expand(2, 4, 4), atol=1e-6, rtol=0)
    assert (e.gather(2, e.abs().argmax(2, keepdim=True)) > 0).all()


def test_they_are_the_left_singular_vectors_of_bands_by_pixels():
    """As published: of a matrix (bands, pixels), not centred; signs apart. Float32: 1e-5."""
    x = images()
    u = torch.linalg.svd(x.flatten(2).double())[0][..., :3].mT
    e = endmembers(x, 3)
    cosines = (u * e).sum(2)
    torch.testing.assert_close(cosines.abs(), torch.ones(2, 3).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", [images, scene])
def test_whatever_signs_the_svd_returns_the_result_is_the_same(make, monkeypatch):
    x, svd = make(), torch.linalg.svd
    before = endmembers(x, 3)
    for signs in ((1, -1, 1), (-1, 1, -1), (-1, -1, -1)):

        def flipped(matrix, full_matrices, signs=signs):
            u, s, vh = svd(matrix, full_matrices=full_matrices)
            sign = torch.ones(s.shape[-1], dtype=s.dtype)
            sign[:3] = torch.tensor(signs)
            return u * sign, s, vh * sign[:, None]

        monkeypatch.setattr(torch.linalg, "svd", flipped)
        assert torch.equal(endmembers(x, 3), before)


@pytest.mark.parametrize("driver", ["gesdd", "gesvd"])
@pytest.mark.parametrize("make", [images, scene])
def test_whatever_driver_of_lapack_computes_them_the_result_is_the_same(make, driver):
    """Two algorithms, with and without QR before them, in float64; then rounded to float32."""
    x = make()
    for image, e in zip(x, endmembers(x, 3), strict=True):
        matrix = image.flatten(1).double().numpy()
        u = scipy.linalg.svd(matrix, full_matrices=False, lapack_driver=driver)[0].T[:3]
        u *= np.sign(u[range(3), np.abs(u).argmax(1)])[:, None]
        np.testing.assert_allclose(e, u, atol=1e-6)


def test_they_are_those_of_the_packages_subspace():
    x = images()
    for image, e in zip(x, endmembers(x, 4), strict=True):
        np.testing.assert_allclose(
            e, svd_subspace(image.permute(1, 2, 0).numpy(), 4).basis, atol=1e-6
        )


def test_a_shuffled_image_has_the_same_endmembers():
    """What a warp does to an image, to first order: spectra stay, places change."""
    x = images()
    order = torch.randperm(63, generator=torch.Generator().manual_seed(3))
    mixed = x.flatten(2)[..., order].reshape(x.shape)
    torch.testing.assert_close(endmembers(mixed, 3), endmembers(x, 3), atol=1e-6, rtol=0)


def test_all_endmembers_reconstruct_the_image_and_fewer_come_nearest():
    """Float32 sums of 20 products: 1e-5."""
    x = images()
    e = endmembers(x, 20)
    torch.testing.assert_close(reconstruct(abundances(x, e), e), x, atol=1e-5, rtol=0)
    few = e[:, :3]
    left = x - reconstruct(abundances(x, few), few)
    torch.testing.assert_close(abundances(left, few), 0 * abundances(x, few), atol=1e-5, rtol=0)
    singular = torch.linalg.svdvals(x.flatten(2))[:, 3:]
    torch.testing.assert_close(
        left.square().sum((1, 2, 3)), singular.square().sum(1), atol=1e-4, rtol=1e-3
    )


def test_no_gradient_reaches_them():
    x = images().requires_grad_()
    assert not endmembers(x, 3).requires_grad


def test_fewer_pixels_than_bands_are_enough():
    e = endmembers(images(rows=2, cols=3), 6)
    torch.testing.assert_close(e @ e.mT, torch.eye(6).expand(2, 6, 6), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("count", "shape"), [(21, (9, 7)), (7, (2, 3)), (0, (9, 7))])
def test_more_endmembers_than_bands_or_pixels_are_an_error(count, shape):
    with pytest.raises(InputError, match=f"endmembers is {count}.*20 bands and"):
        endmembers(images(rows=shape[0], cols=shape[1]), count)
