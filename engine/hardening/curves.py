"""How a training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.plain import plain

Floats = npt.NDArray[np.float64]
_SERIES = ("total", "accuracy", "clean", "robust", "learning_rate", "seconds")


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """What was measured in one epoch; the meanings are those of :class:`LearningCurves`."""

    terms: Mapping[str, float]
    total: float
    accuracy: float
    clean: float
    robust: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class LearningCurves:
    """What was measured in each of E epochs.

    Clean and robust accuracy are measured on the first images of the test split, to be looked at while a run goes on.
    Nothing is chosen by them: no run stops early, the weights of the last epoch are kept whatever they say.

    Attributes:
        weights: by loss term, what it counts in the total.
        terms: by loss term, (E,) its mean over the training images, before it is weighted.
        total: (E,) mean of the loss that was minimised.
        accuracy: (E,) share of the clean training images right while the epoch ran, 0 to 1.
        clean: (E,) share of the held-out images right after the epoch; NaN if not measured.
        robust: (E,) share of them right both before and after the attack; NaN if not measured.
        learning_rate: (E,) at the epoch's first step.
        seconds: (E,) wall time of the epoch.
        held_out: how many images clean and robust accuracy are measured on.
        epsilon: radius of the attack (PGD L∞) behind the robust accuracy, of full scale.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, Floats] = field(default_factory=dict)
    total: Floats = field(default_factory=_none)
    accuracy: Floats = field(default_factory=_none)
    clean: Floats = field(default_factory=_none)
    robust: Floats = field(default_factory=_none)
    learning_rate: Floats = field(default_factory=_none)
    seconds: Floats = field(default_factory=_none)
    held_out: int = 0
    epsilon: float = 0.0

    @property
    def epochs(self) -> int:
        """E, how many epochs were finished."""
        return len(self.total)

    def extended(self, weights: Mapping[str, float], figures: EpochFigures) -> LearningCurves:
        """The curves with one more epoch, whose loss terms were weighted as given."""
        terms = {name: np.append(self.terms.get(name, _none()), value) for name, value in figures.terms.items()}
        series: dict[str, Any] = {name: np.append(getattr(self, name), getattr(figures, name)) for name in _SERIES}
        return replace(self, weights=dict(weights), terms=terms, **series)

    def last(self) -> dict[str, Any]:
        """The values of the last epoch, as plain values to four digits; empty before the first."""
        if not self.epochs:
            return {}
        terms = {name: values[-1] for name, values in self.terms.items()}
        found: dict[str, Any] = plain(
            {"terms": terms} | {name: getattr(self, name)[-1] for name in _SERIES if name != "seconds"}, 4
        )
        return found

    def report(self) -> dict[str, Any]:
        """All of it as plain values for JSON; what was not measured is null."""
        found: dict[str, Any] = plain(
            {"epochs": self.epochs, "weights": self.weights, "terms": self.terms}
            | {name: getattr(self, name) for name in _SERIES}
            | {"held_out": self.held_out, "epsilon": self.epsilon}
        )
        return found

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> LearningCurves:
        """The curves that :meth:`report` told of, with the same values bit for bit."""
        return cls(
            weights=dict(report["weights"]),
            terms={name: _array(values) for name, values in report["terms"].items()},
            **{name: _array(report[name]) for name in _SERIES},
            held_out=int(report["held_out"]),
            epsilon=float(report["epsilon"]),
        )


def _array(values: list[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
