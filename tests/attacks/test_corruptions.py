"""The common corruptions, against their formulas, SciPy, Pillow and the standard library's colours."""

import colorsys
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from engine.attacks.corruptions import blur, digital, noise, weather
from engine.attacks.corruptions.attack import CommonCorruption
from engine.attacks.corruptions.table import CORRUPTIONS
from engine.errors import InvalidInputError
from tests.attacks.nets import Stubborn

#: As written in the authors' make_cifar_c.py; lengths of elastic are theirs times 32.
CIFAR10C = {
    "shot_noise": (500, 250, 100, 75, 50),
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "zoom_blur": tuple(len(np.arange(1, last, 0.01)) for last in (1.06, 1.11, 1.16, 1.21, 1.26)),
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg": (80, 65, 58, 50, 40),
    "elastic": tuple(
        tuple(32 * share for share in shares)
        for shares in ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))
    ),
}
every_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
every_corruption = pytest.mark.parametrize("name", list(CORRUPTIONS))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 2, channels: int = 3, height: int = 32, width: int = 32) -> torch.Tensor:
    """Random images with some smoothness, and some elements at the ends of the range."""
    rough = torch.rand(count, channels, height, width, generator=generator(7)).numpy()
    smooth = ndimage.gaussian_filter(rough, (0, 0, 1, 1)) * 3 - 1
    return torch.from_numpy(smooth.clip(0, 1))


def constant(name: str, severity: int) -> object:
    return CORRUPTIONS[name].constants[severity - 1]


def test_the_constants_are_cifar10cs():
    assert set(CORRUPTIONS) == set(CIFAR10C)
    for name, constants in CIFAR10C.items():
        flat = [np.atleast_1d(value) for value in CORRUPTIONS[name].constants]
        np.testing.assert_allclose(np.stack(flat), np.stack([np.atleast_1d(value) for value in constants]))


@every_corruption
@every_severity
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 32, 32), (3, 5, 9), (1, 1, 1), (3, 40, 33)])
def test_any_size_stays_in_range_and_its_own_shape(name, severity, channels, height, width):
    if name == "saturate" and channels == 1:
        return
    images = pictures(2, channels, height, width)
    given = images.clone()
    result = CommonCorruption(corruption=name, severity=severity)(Stubborn(), images, [0, 0])
    assert result.adversarial.shape == images.shape
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    assert torch.equal(images, given)


# Saturate drains the colour at 1 and 2 and deepens it from 3 on; elastic trades the affine map for the displacement.
@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"saturate", "elastic"}))
def test_more_severe_is_further_away(name):
    images = pictures(8)
    far = [CommonCorruption(corruption=name, severity=s)(Stubborn(), images, [0] * 8).l2.mean() for s in (1, 5)]
    assert 0 < far[0] < far[1]


@every_corruption
def test_what_is_drawn_belongs_to_the_image(name, monkeypatch):
    images, attack = pictures(1).expand(5, -1, -1, -1).clone(), CommonCorruption(corruption=name, severity=4)
    whole = attack(Stubborn(), images, [0] * 5, seed=3).adversarial
    random = name.endswith("noise") or name in ("motion_blur", "fog", "elastic")
    assert np.array_equal(whole[0], whole[1]) != random
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 2)
    np.testing.assert_allclose(attack(Stubborn(), images, [0] * 5, seed=3).adversarial, whole, atol=1e-6)


def test_targets_are_refused():
    with pytest.raises(InvalidInputError, match=r"targets: .*no targeted form"):
        CommonCorruption()(Stubborn(), pictures(), [0, 0], targets=[1, 1])


@every_severity
def test_shot_noise_has_the_mean_and_variance_of_photons(severity):
    photons = constant("shot_noise", severity)
    for level in (0.2, 0.7):
        drawn = noise.shot_noise(torch.full((1, 1, 200, 200), level), photons, generator())
        assert float(drawn.mean()) == pytest.approx(level, rel=0.01)
        assert float(drawn.var()) == pytest.approx(level / photons, rel=0.04)
        np.testing.assert_allclose(drawn * photons, (drawn * photons).round(), atol=1e-3)


@every_severity
def test_impulse_noise_replaces_its_share_half_by_black_half_by_white(severity):
    amount = constant("impulse_noise", severity)
    drawn = noise.impulse_noise(torch.full((1, 3, 300, 300), 0.5), amount, generator())
    deviation = math.sqrt(amount / 2 / 270_000)
    for value in (0.0, 1.0):
        assert float((drawn == value).double().mean()) == pytest.approx(amount / 2, abs=4 * deviation)
    assert set(drawn.unique().tolist()) == {0.0, 0.5, 1.0}


@every_severity
def test_speckle_noise_grows_with_brightness(severity):
    sigma = constant("speckle_noise", severity)
    assert not noise.speckle_noise(torch.zeros(1, 1, 9, 9), sigma, generator()).any()
    for level in (0.2, 0.8):
        drawn = noise.speckle_noise(torch.full((1, 1, 200, 200), level), sigma, generator())
        assert float(drawn.std()) == pytest.approx(level * sigma, rel=0.02)


@every_severity
def test_gaussian_blur_is_scipys(severity):
    images, sigma = pictures(), constant("gaussian_blur", severity)
    expected = ndimage.gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=4)
    np.testing.assert_allclose(blur.gaussian_blur(images, sigma, generator()), expected, atol=1e-6)


def test_defocus_kernels_by_hand():
    # Radius 1: a cross of five fifths, softened by (t, 1, t)/(1 + 2t) with t = exp(−1/(2·0.2²)) = 3.7e-6 each way.
    soft = math.exp(-12.5)
    kernel = blur.disc_kernel(1, 0.2)
    assert kernel.shape == (5, 5)
    centre = (1 + 4 * soft) / 5 / (1 + 2 * soft) ** 2
    assert float(kernel[2, 2]) == pytest.approx(centre, rel=1e-9)
    assert float(kernel[2, 1]) == pytest.approx(0.2, rel=1e-4)
    assert float(kernel[1, 1]) == pytest.approx(2 * soft / 5, rel=1e-3)
    for radius, softness in CIFAR10C["defocus_blur"]:
        assert float(blur.disc_kernel(radius, softness).sum()) == pytest.approx(1.0, abs=1e-12)
    # Radius 1.5: nine ninths.
    np.testing.assert_allclose(blur.disc_kernel(1.5, 0.01), np.pad(np.full((3, 3), 1 / 9), 1), atol=1e-12)


@every_severity
def test_defocus_blur_is_a_correlation_with_mirrored_borders(severity):
    images, constants = pictures(), constant("defocus_blur", severity)
    kernel = blur.disc_kernel(*constants).numpy()
    expected = ndimage.correlate(images.numpy().astype(float), kernel[None, None], mode="mirror")
    np.testing.assert_allclose(blur.defocus_blur(images, constants, generator()), expected, atol=1e-6)


@every_severity
def test_motion_blur_is_the_weighted_sum_along_a_line(severity):
    radius, sigma = constant("motion_blur", severity)
    images = pictures(2, 1, 12, 15)
    result = blur.motion_blur(images, (radius, sigma), generator(5))
    stream = generator(5)
    angles = [(float(torch.rand((), generator=stream, dtype=torch.float64)) - 0.5) * math.pi / 2 for _ in range(2)]
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for image, angle, blurred in zip(images.numpy()[:, 0], angles, result.numpy()[:, 0], strict=True):
        assert abs(angle) <= math.pi / 4
        for row, column in ((0, 0), (5, 3), (11, 14), (2, 13)):
            total = 0.0
            for step, weight in enumerate(weights):
                right, down = math.ceil(step * math.cos(angle) - 0.5), math.ceil(step * math.sin(angle) - 0.5)
                total += weight * image[min(max(row + down, 0), 11), min(max(column + right, 0), 14)]
            assert blurred[row, column] == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.05, 1.13, 1.25])
@pytest.mark.parametrize("size", [28, 32])
def test_enlarging_is_scipys_zoom(factor, size):
    image = pictures(1, 1, size, size)
    cut = math.ceil(size / factor)
    first = (size - cut) // 2
    large = ndimage.zoom(image.numpy()[0, 0, first : first + cut, first : first + cut], factor, order=1)
    trim = (len(large) - size) // 2
    expected = large[trim : trim + size, trim : trim + size]
    np.testing.assert_allclose(blur.enlarged(image, factor)[0, 0], expected, atol=1e-6)


def test_zoom_blur_is_the_mean_of_the_image_and_its_enlargements():
    image = pictures(1)
    expected = (image + image + blur.enlarged(image, 1.01) + blur.enlarged(image, 1.02)) / 4
    np.testing.assert_allclose(blur.zoom_blur(image, 3, generator()), expected, atol=1e-6)


def with_colorsys(image: np.ndarray, change) -> np.ndarray:
    changed = [[colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel))) for pixel in row] for row in image]
    return np.array(changed)


def colours() -> torch.Tensor:
    special = torch.tensor([[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0.2, 0.2, 0.9]], dtype=torch.float32)
    return torch.cat([special, torch.rand(20, 3, generator=generator(2))]).T.reshape(1, 3, 5, 5)


@every_severity
def test_brightness_raises_the_value(severity):
    images, amount = colours(), constant("brightness", severity)
    expected = with_colorsys(images[0].permute(1, 2, 0).double().numpy(), lambda h, s, v: (h, s, min(v + amount, 1)))
    result = weather.brightness(images, amount, generator())
    np.testing.assert_allclose(result[0].permute(1, 2, 0), expected, atol=1e-6)
    grey = images[:, :1]
    np.testing.assert_allclose(weather.brightness(grey, amount, generator()), (grey + amount).clamp(max=1), atol=1e-6)


@every_severity
def test_saturate_changes_the_saturation(severity):
    images, (factor, offset) = colours(), constant("saturate", severity)
    expected = with_colorsys(
        images[0].permute(1, 2, 0).double().numpy(), lambda h, s, v: (h, min(max(s * factor + offset, 0), 1), v)
    )
    result = digital.saturate(images, (factor, offset), generator())
    np.testing.assert_allclose(result[0].permute(1, 2, 0), expected, atol=1e-6)


def test_saturate_refuses_grey_and_jpeg_two_channels():
    for name, message in (("saturate", "saturate: expected images with 3"), ("jpeg", "jpeg: expected images with 1")):
        with pytest.raises(InvalidInputError, match=message):
            CommonCorruption(corruption=name)(Stubborn(), pictures(1, 2), [0])


def test_contrast_by_hand():
    image = torch.tensor([0.0, 0.25, 0.75, 1.0]).reshape(1, 1, 2, 2)
    expected = [0.35, 0.425, 0.575, 0.65]  # 0.5 + 0.3 times the distance from 0.5
    np.testing.assert_allclose(digital.contrast(image, 0.3, generator()).ravel(), expected, atol=1e-6)


@every_severity
@pytest.mark.parametrize(("height", "width"), [(32, 32), (28, 37)])
def test_pixelate_is_pillows_box_filter(severity, height, width):
    share = constant("pixelate", severity)
    images = (pictures(1, 3, height, width) * 255).round() / 255
    picture = Image.fromarray((images[0] * 255).round().byte().permute(1, 2, 0).numpy())
    small = picture.resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    expected = np.asarray(small.resize((width, height), Image.Resampling.BOX)).transpose(2, 0, 1) / 255
    result = digital.pixelate(images, share, generator())[0]
    # Pillow rounds after every pass to bytes.
    np.testing.assert_allclose(result, expected, atol=1.01 / 255)


@every_severity
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(severity, channels):
    quality = constant("jpeg", severity)
    images = (pictures(2, channels) * 255).round() / 255
    result = digital.jpeg(images, quality, generator())
    for before, after in zip(images, result, strict=True):
        pixels, file = (before * 255).round().byte().permute(1, 2, 0).numpy(), io.BytesIO()
        Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(file, "JPEG", quality=quality)
        expected = np.asarray(Image.open(file)).reshape(pixels.shape).transpose(2, 0, 1) / 255
        np.testing.assert_allclose(after, expected, atol=1e-7)


@every_severity
@pytest.mark.parametrize(("height", "width"), [(32, 32), (30, 41)])
def test_elastic_is_an_affine_map_and_a_smooth_displacement(severity, height, width):
    strength, sigma, shift = constant("elastic", severity)
    images = pictures(1, 2, height, width)
    result = digital.elastic(images, (strength, sigma, shift), generator(9))
    stream = generator(9)
    moves = (torch.rand(3, 2, generator=stream, dtype=torch.float64).numpy() * 2 - 1) * shift
    field = torch.rand(2, height, width, generator=stream).double().numpy() * 2 - 1
    centre, reach = np.array([width // 2, height // 2]), min(height, width) // 3
    before = centre + np.array([[1, 1], [1, -1], [-1, -1]]) * reach
    # The matrix that takes the points (x, y) after the move to those before it, by solving for it exactly.
    back = np.linalg.solve(np.column_stack([before + moves, np.ones(3)]), before).T
    rows, columns = np.mgrid[:height, :width].astype(float)
    x, y = np.einsum("ij,jhw->ihw", back, np.stack([columns, rows, np.ones_like(rows)]))
    smooth = field * 0
    if sigma:
        smooth = np.stack([ndimage.gaussian_filter(f, sigma, mode="reflect", truncate=3) for f in field]) * strength
    for channel in range(2):
        # SciPy's "mirror" is what OpenCV calls reflect 101, its "reflect" repeats the edge.
        affine = ndimage.map_coordinates(images[0, channel].double().numpy(), [y, x], order=1, mode="mirror")
        places = [rows + smooth[1], columns + smooth[0]]
        expected = ndimage.map_coordinates(affine, places, order=1, mode="reflect")
        np.testing.assert_allclose(result[0, channel], expected, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 8, 32])
@pytest.mark.parametrize("decay", [3.0, 1.75])
def test_plasma_is_the_diamond_square_algorithm_point_by_point(size, decay):
    noise_field = torch.rand(size, size, generator=generator(3), dtype=torch.float64).numpy() * 2 - 1
    field, step, wibble = np.zeros((size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        starts = [(row, column) for row in range(0, size, step) for column in range(0, size, step)]
        for row, column in starts:  # middles of squares
            corners = [(row + i, column + j) for i in (0, step) for j in (0, step)]
            mean = sum(field[r % size, c % size] for r, c in corners) / 4
            field[row + half, column + half] = mean + wibble**2 * noise_field[row + half, column + half]
        for row, column in starts:  # middles of the upper and of the left edge
            for r, c in ((row, column + half), (row + half, column)):
                beside = [(r - half, c), (r + half, c), (r, c - half), (r, c + half)]
                mean = sum(field[i % size, j % size] for i, j in beside) / 4
                field[r, c] = mean + wibble**2 * noise_field[r, c]
        step, wibble = half, wibble / decay
    field -= field.min()
    expected = field / field.max() if size > 1 else field
    np.testing.assert_allclose(weather.plasma(1, size, decay, generator(3))[0], expected, atol=1e-9)


@every_severity
def test_fog_adds_the_plasma_and_keeps_the_maximum(severity):
    weight, decay = constant("fog", severity)
    images = pictures(1, 3, 28, 30) * 0.8
    cloud = weather.plasma(1, 32, decay, generator(1))[0, :28, :30].numpy()
    largest = float(images.max())
    expected = (images[0].numpy() + weight * cloud) * largest / (largest + weight)
    np.testing.assert_allclose(weather.fog(images, (weight, decay), generator(1))[0], expected, atol=1e-6)
    assert not weather.fog(torch.zeros(1, 1, 8, 8), (weight, decay), generator()).any()
