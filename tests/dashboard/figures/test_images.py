import numpy as np
import pytest

from dashboard.figures.images import BRIGHTER, DARKER, image_figure, perturbation_figure
from dashboard.figures.theme import COLORS


def test_gray_image_keeps_its_values(theme):
    image = np.array([[[0.0, 0.5, 1.0], [0.25, 0.125, 0.3]]])
    (trace,) = image_figure(image, theme).data
    np.testing.assert_array_equal(trace.z, image[0].astype(np.float32))
    assert (trace.type, trace.zmin, trace.zmax, trace.z.dtype) == ("heatmap", 0, 1, np.float32)


def test_colour_image_is_bytes(theme):
    image = np.zeros((3, 2, 4))
    image[0, 1, 2], image[2, 0, 3] = 1.0, 0.5
    (trace,) = image_figure(image, theme).data
    assert (trace.type, trace.z.dtype, trace.z.shape) == ("image", np.uint8, (2, 4, 3))
    assert trace.z[1, 2].tolist() == [255, 0, 0]
    assert trace.z[0, 3].tolist() == [0, 0, 128]


def test_pixels_stay_square_and_upright(theme):
    layout = image_figure(np.zeros((1, 2, 3)), theme).layout
    assert (layout.yaxis.scaleanchor, layout.yaxis.scaleratio, layout.yaxis.autorange) == ("x", 1, "reversed")
    assert layout.xaxis.visible is False
    assert layout.yaxis.visible is False


@pytest.mark.parametrize("channels", [1, 3])
def test_perturbation_is_magnified_to_full_scale(theme, channels):
    delta = np.zeros((channels, 2, 2))
    delta[0, 0, 0], delta[0, 1, 1] = -0.05, 0.02
    figure, factor = perturbation_figure(delta, theme)
    assert factor == pytest.approx(20)
    low, high = np.ravel(figure.data[0].zmin)[0], np.ravel(figure.data[0].zmax)[0]
    assert (low, high) == (pytest.approx(-0.05), pytest.approx(0.05))
    shown = np.asarray(figure.data[0].z).reshape(2, 2, channels)
    np.testing.assert_array_equal(shown, delta.astype(np.float32).transpose(1, 2, 0))


def test_the_colours_of_a_change_have_no_other_meaning():
    scale = perturbation_figure(np.zeros((1, 2, 2)))[0].data[0].colorscale
    assert (scale[0][1], scale[-1][1]) == (DARKER, BRIGHTER)
    assert not {DARKER, BRIGHTER} & {color for colors in COLORS.values() for color in colors.values()}


def test_no_perturbation_is_mid_gray(theme):
    figure, factor = perturbation_figure(np.zeros((1, 2, 2)), theme)
    assert factor == 1
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-1, 1)
    assert figure.data[0].colorscale[1] == (0.5, "#808080")


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 4), (4, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="Expected an image of shape"):
        image_figure(np.zeros(shape))


def test_nan_is_refused():
    with pytest.raises(ValueError, match="finite"):
        perturbation_figure(np.full((1, 2, 2), np.nan))
