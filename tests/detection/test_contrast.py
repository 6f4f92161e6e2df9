"""Contrast of classification and interpretation against counts made by hand."""

import math

import numpy as np
import pytest

from engine.detection.contrast import MaskClasses, contrast
from engine.errors import InvalidInputError

# Five images of the classes 0 to 4; the mask of the last is taken for a 0.
NORMAL = MaskClasses(np.array([0, 1, 2, 3, 4]), np.array([0, 1, 2, 3, 0]))
# Attacked copies of the images 0, 1, 1, 4.
ATTACKED = MaskClasses(np.array([5, 5, 6, 5]), np.array([0, 5, 7, 0]))
ORIGINS = np.array([0, 1, 1, 4])


def test_all_images_are_counted():
    found, _ = contrast(NORMAL, ATTACKED, ORIGINS)
    assert (found.normal, found.attacked) == (5, 4)
    assert found.true_negative == 4 / 5
    assert found.true_positive == 3 / 4  # the second one's mask agrees with the wrong answer
    assert found.recovery == 1 / 4  # only the first still shows its class
    assert found.invariance == 2 / 4  # the first, and the last, whose mask was wrong before


def test_images_whose_clean_mask_is_wrong_are_dropped():
    _, kept = contrast(NORMAL, ATTACKED, ORIGINS)
    assert (kept.normal, kept.attacked) == (4, 3)
    assert kept.true_negative == 1
    assert kept.true_positive == pytest.approx(2 / 3)
    assert kept.recovery == kept.invariance == pytest.approx(1 / 3)


def test_without_attacked_images_there_is_no_share():
    nothing = np.empty(0, np.int64)
    found, _ = contrast(NORMAL, MaskClasses(nothing, nothing), nothing)
    assert found.true_negative == 4 / 5
    assert math.isnan(found.true_positive)


def test_an_unknown_origin_is_refused():
    with pytest.raises(InvalidInputError, match="origins"):
        contrast(NORMAL, ATTACKED, np.array([0, 1, 1, 5]))
