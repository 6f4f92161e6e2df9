"""Digital: contrast, saturation, pixels, JPEG and elastic distortion.

Each function takes images (N, C, H, W) in [0, 1], the constants of a severity, and the generator, from which it draws
image by image. The result may leave [0, 1].
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from engine.attacks.corruptions.sampling import box_matrix, gaussian_blurred, sampled
from engine.errors import InvalidInputError


def contrast(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Each channel's distance from its mean multiplied by c."""
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) * share + mean


def saturate(images: Tensor, constants: tuple[float, float], generator: torch.Generator) -> Tensor:
    """The saturation of hue, saturation and value, s, becomes s·c₀ + c₁, within 0 and 1.

    A pixel without any colour has the hue of red, as in the authors' code: c₁ > 0 tints it.

    Raises:
        InvalidInputError: unless the images have three channels; grey has no saturation.
    """
    if images.shape[1] != 3:
        raise InvalidInputError(
            f"saturate: expected images with 3 channels; got {images.shape[1]}. Grey has no saturation to change: "
            "choose another corruption."
        )
    factor, offset = constants
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    saturation = chroma / value.clamp_min(1e-12)
    wanted = (saturation * factor + offset).clamp(0.0, 1.0)
    # How far each channel lies below the value, as a share of the chroma: red has (0, 1, 1).
    red = torch.tensor([0.0, 1.0, 1.0]).to(images)[None, :, None, None]
    below = torch.where(chroma > 0, (value - images) / chroma.clamp_min(1e-12), red)
    return value * (1 - wanted * below)


def pixelate(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Shrunk to c of the size with a box filter, and enlarged again."""
    for dimension in (2, 3):
        size = images.shape[dimension]
        small = max(1, int(size * share))
        matrix = (box_matrix(small, size) @ box_matrix(size, small)).to(images)
        images = (images.movedim(dimension, -1) @ matrix.T).movedim(-1, dimension)
    return images


def jpeg(images: Tensor, quality: int, generator: torch.Generator) -> Tensor:
    """Stored as JPEG with quality c, which also rounds to 8 bits.

    Raises:
        InvalidInputError: unless the images have one or three channels.
    """
    if images.shape[1] not in (1, 3):
        raise InvalidInputError(f"jpeg: expected images with 1 or 3 channels; got {images.shape[1]}.")
    stored = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    read = [_through_jpeg(pixels, quality) for pixels in stored]
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).to(images) / 255


def _through_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    file = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(pixels.shape)


def elastic(images: Tensor, constants: tuple[float, float, float], generator: torch.Generator) -> Tensor:
    """A random affine map that moves three points by up to c₂ pixels, then a random smooth displacement.

    The displacement is uniform noise in [−1, 1], blurred with a Gaussian of c₁ pixels and multiplied by c₀. The
    constants are those of 32 pixels whatever the image's size.
    """
    strength, sigma, shift = constants
    corners, fields = [], []
    for _ in range(len(images)):
        corners.append(torch.rand(3, 2, generator=generator, dtype=torch.float64) * 2 - 1)
        fields.append(torch.rand((2, *images.shape[2:]), generator=generator) * 2 - 1)
    height, width = images.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    back = _inverse_affine(torch.stack(corners) * shift, height, width)
    places = torch.stack([columns, rows, torch.ones_like(rows)]).double()
    moved = torch.einsum("nij,jhw->nihw", back, places).to(images)
    images = sampled(images, moved[:, 1], moved[:, 0], border="mirror")
    field = gaussian_blurred(torch.stack(fields).to(images), sigma, truncate=3.0, border="symmetric") * strength
    down, right = field[:, 1], field[:, 0]
    return sampled(images, rows.to(images) + down, columns.to(images) + right, border="symmetric")


def _inverse_affine(shifts: Tensor, height: int, width: int) -> Tensor:
    """(N, 2, 3): from where a pixel arrives, (x, y, 1), to where it comes from.

    Three corners of a square in the middle, a third of the shorter side from the centre, move by ``shifts`` (N, 3, 2).
    """
    across, down = width // 2, height // 2
    reach = max(min(height, width) // 3, 1)
    corners = torch.tensor(
        [[across + reach, down + reach], [across + reach, down - reach], [across - reach, down - reach]],
        dtype=torch.float64,
    )
    arrived = torch.cat([corners + shifts, torch.ones(len(shifts), 3, 1, dtype=torch.float64)], dim=2)
    # arrived · Bᵀ = corners; lstsq also answers where a tiny image's three points fall on one line.
    solution: Tensor = torch.linalg.lstsq(arrived, corners.expand(len(shifts), -1, -1), driver="gelsd").solution
    return solution.mT
