"""How sure a measured share is, and a difference of two shares measured on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm

from engine.errors import InvalidInputError

Flags = npt.NDArray[np.bool_]
CONFIDENCE = 0.95
#: The normal quantile of a 95 % interval, 1.96.
Z = float(norm.ppf(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two models, or two attacks, on the same images: how often each alone is right.

    Attributes:
        both, only_first, only_second, neither: numbers of images.
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def total(self) -> int:
        """How many images there are."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Share of the first less share of the second, from −1 to 1."""
        return (self.only_first - self.only_second) / self.total


def paired(first: Flags, second: Flags) -> Pairing:
    """Counts two sequences (N,) of right answers to the same N images.

    Raises:
        InvalidInputError: if they are empty or differ in length.
    """
    if first.shape != second.shape or not first.size:
        raise InvalidInputError(
            f"expected answers to the same images, at least one; got {first.shape} and {second.shape}."
        )
    return Pairing(
        both=int((first & second).sum()),
        only_first=int((first & ~second).sum()),
        only_second=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
    )


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share, Wilson 1927: unlike p ± 1.96·SE it keeps to [0, 1] and is good at 0 and 1.

    Raises:
        InvalidInputError: unless 0 ≤ hits ≤ total and total ≥ 1.
    """
    if not 0 <= hits <= total or total < 1:
        raise InvalidInputError(f"expected 0 to {total} hits among at least one image; got {hits} of {total}.")
    share, scale = hits / total, 1 + Z**2 / total
    centre = (share + Z**2 / (2 * total)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    # At 0 and 1 the ends are exact; the subtraction would leave 1e-18.
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == total else centre + half)


def newcombe(pairing: Pairing) -> tuple[float, float]:
    """The 95 % interval of a paired difference of shares, Newcombe 1998 (Statistics in Medicine 17:2635), method 10.

    The distances from each share to the ends of its Wilson interval are added in squares, less what the correlation φ
    of the pairs takes away; φ is corrected for continuity where it is positive.
    """
    n = pairing.total
    first, second = pairing.both + pairing.only_first, pairing.both + pairing.only_second
    (low1, high1), (low2, high2) = wilson(first, n), wilson(second, n)
    share1, share2 = first / n, second / n
    surplus = pairing.both * pairing.neither - pairing.only_first * pairing.only_second
    surplus_corrected = max(surplus - n / 2, 0.0) if surplus > 0 else float(surplus)
    spread = math.sqrt(first * (n - first) * second * (n - second))
    phi = surplus_corrected / spread if spread else 0.0
    below = _combined(share1 - low1, high2 - share2, phi)
    above = _combined(high1 - share1, share2 - low2, phi)
    return pairing.difference - below, pairing.difference + above


def mcnemar(pairing: Pairing) -> float:
    """The exact two-sided p of McNemar's test: only images that one of the two gets right tell them apart."""
    discordant = pairing.only_first + pairing.only_second
    return float(binomtest(pairing.only_first, discordant).pvalue) if discordant else 1.0


def mcnemar_greater(pairing: Pairing) -> float:
    """The exact one-sided p: small where the first is right more often than the second, beyond chance."""
    discordant = pairing.only_first + pairing.only_second
    if not discordant:
        return 1.0
    return float(binomtest(pairing.only_first, discordant, alternative="greater").pvalue)


def _combined(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))
