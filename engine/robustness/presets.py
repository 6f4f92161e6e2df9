"""The attacks that tables of the papers are made of, with their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.attacks.auto_attack import PACKAGE, is_installed
from engine.attacks.catalogue import attacks
from engine.datasets.dataset import Dataset
from engine.errors import UnknownNameError
from engine.registry import Value
from engine.robustness.plans import AttackPlan, Family

#: The papers' step of PGD as a share of ε, for 10 steps: α = ε/√10 (Zhang et al. 2020, section IV-A).
ROOT_STEP = 10**-0.5
#: Strengths of the noise of CIFAR-10-C.
SEVERITIES = (1, 2, 3, 4, 5)
GREY_RADII = (0.1, 0.2, 0.3)


@dataclass(frozen=True, slots=True)
class Preset:
    """The attacks of a table.

    Attributes:
        name: identifier.
        label: what a person reads.
        plans: the attacks, in the order of the table; the clean images always come before them.
        left_out: sentences about what the table should hold and cannot.
        epsilons: radii of the curve that goes with it, of full scale; 0 is the clean accuracy.
    """

    name: str
    label: str
    plans: tuple[AttackPlan, ...]
    left_out: tuple[str, ...]
    epsilons: tuple[float, ...]


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: for another name.
    """
    if name not in PRESETS:
        raise UnknownNameError(f"unknown preset {name[:60]!r}; known: {', '.join(PRESETS)}.")
    return PRESETS[name]()


def preset_for(data: Dataset) -> Preset:
    """The preset of the data set's name, or else the one for its kind of images."""
    if data.name in PRESETS:
        return preset(data.name)
    return preset("colour" if data.image_shape[0] == 3 else "mnist")


def _colour() -> Preset:
    """Zhang et al. 2020, section IV-A, and Li et al. 2020, section 4.1 (MI-FGSM, Step-LL).

    Deviations: the papers name neither the learning rate of C&W (0.01 here, its authors') nor the number of images of
    the black-box attacks; NAttack's learning rate is the catalogue's 0.3 for its own scale of unknowns, where the
    paper's 0.008 hardly leaves the image and would make every model look robust. Both black-box attacks ask a tenth and
    a sixth of the questions, so that a table takes minutes, not hours: of 17 images that the shipped PAT model has
    right, NAttack leaves 7 with 100 samples × 50 steps and 6 with 300 × 100, as does PGD of 40 steps; SPSA with
    128 × 40 leaves 9.
    """
    eight = {"epsilon": 8 / 255}
    pgd: Mapping[str, Value] = {"steps": 10, "relative_step": ROOT_STEP}
    cw: Mapping[str, Value] = {"initial_c": 0.01, "kappa": 0.0, "search_steps": 3, "steps": 300, "learning_rate": 0.01}
    spsa: Mapping[str, Value] = {"directions": 128, "learning_rate": 0.03, "steps": 40}
    nattack: Mapping[str, Value] = {"samples": 100, "sigma": 0.1, "steps": 50}
    momentum: Mapping[str, Value] = {"steps": 10, "relative_step": 0.1}
    yardstick, left_out = _yardstick("8/255", 8 / 255)
    plans = (
        AttackPlan("C&W L2", "carlini_wagner", cw),
        AttackPlan("PGD L2 80/255", "pgd_l2", {"epsilon": 80 / 255, **pgd}),
        AttackPlan("PGD L∞ 8/255", "pgd_linf", {**eight, **pgd}),
        AttackPlan("PGD L∞ 2/255", "pgd_linf", {"epsilon": 2 / 255, **pgd}),
        AttackPlan("FGSM 8/255", "fgsm", eight),
        AttackPlan("MI-FGSM 8/255", "mi_fgsm", {**eight, **momentum}),
        AttackPlan("Step-LL 8/255", "step_ll", eight),
        AttackPlan("SPSA 8/255", "spsa", {**eight, **spsa}, "black-box", images=100),
        AttackPlan("NAttack 8/255", "nattack", {**eight, **nattack}, "black-box", images=100),
        *_noise(),
        *yardstick,
    )
    return Preset("colour", "Colour images (Zhang et al. 2020)", plans, left_out, _of_255(0, 1, 2, 4, 8, 12, 16, 32))


def _mnist() -> Preset:
    """The radii of Madry et al. 2018 for MNIST, with their 40 steps."""
    pgd: Mapping[str, Value] = {"steps": 40, "relative_step": 2.5 / 40}
    spsa: Mapping[str, Value] = {"directions": 128, "learning_rate": 0.03, "steps": 100}
    yardstick, left_out = _yardstick("0.3", 0.3)
    plans = (
        *_within_linf(pgd),
        AttackPlan("PGD L2 1.5", "pgd_l2", {"epsilon": 1.5, **pgd}),
        AttackPlan("PGD L2 2.0", "pgd_l2", {"epsilon": 2.0, **pgd}),
        AttackPlan("C&W L2", "carlini_wagner"),
        AttackPlan("SPSA 0.3", "spsa", {"epsilon": 0.3, **spsa}, "black-box", images=100),
        AttackPlan("NAttack 0.3", "nattack", {"epsilon": 0.3}, "black-box", images=100),
        *_noise(),
        *yardstick,
    )
    return Preset("mnist", "MNIST (Madry et al. 2018)", plans, left_out, (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4))


def _digits() -> Preset:
    """The radii of MNIST with fewer steps: a table within seconds."""
    pgd: Mapping[str, Value] = {"steps": 10, "relative_step": ROOT_STEP}
    spsa: Mapping[str, Value] = {"directions": 64, "learning_rate": 0.03, "steps": 40}
    plans = (
        *_within_linf(pgd),
        AttackPlan("PGD L2 1.5", "pgd_l2", {"epsilon": 1.5, **pgd}),
        AttackPlan("C&W L2", "carlini_wagner", {"search_steps": 4, "steps": 100}),
        AttackPlan("SPSA 0.3", "spsa", {"epsilon": 0.3, **spsa}, "black-box", images=50),
        *_noise(),
    )
    left_out = ("AutoAttack and NAttack, which take minutes; `python -m engine evaluate --preset mnist` has them.",)
    return Preset("digits", "Digits, quick", plans, left_out, (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4))


PRESETS: Mapping[str, Callable[[], Preset]] = {"colour": _colour, "mnist": _mnist, "digits": _digits}


def _within_linf(pgd: Mapping[str, Value]) -> tuple[AttackPlan, ...]:
    largest = GREY_RADII[-1]
    return (
        *(AttackPlan(f"PGD L∞ {radius}", "pgd_linf", {"epsilon": radius, **pgd}) for radius in GREY_RADII),
        *(AttackPlan(f"FGSM {radius}", "fgsm", {"epsilon": radius}) for radius in GREY_RADII),
        AttackPlan(f"MI-FGSM {largest}", "mi_fgsm", {"epsilon": largest}),
        AttackPlan(f"Step-LL {largest}", "step_ll", {"epsilon": largest}),
    )


def _noise() -> tuple[AttackPlan, ...]:
    family: Family = "noise"
    return tuple(
        AttackPlan(f"Gaussian noise {level}", "gaussian_noise", {"severity": level}, family) for level in SEVERITIES
    )


def _yardstick(shown: str, epsilon: float) -> tuple[tuple[AttackPlan, ...], tuple[str, ...]]:
    """AutoAttack where its package is installed, or else a sentence that says how to get it."""
    if is_installed() and "auto_attack" in attacks:
        settings: Mapping[str, Value] = {"epsilon": epsilon, "norm": "linf"}
        return (AttackPlan(f"AutoAttack {shown}", "auto_attack", settings, "yardstick", images=200),), ()
    return (), (f"AutoAttack {shown}: the optional package {PACKAGE} is not installed (pip install {PACKAGE}==0.2.0).",)


def _of_255(*levels: int) -> tuple[float, ...]:
    return tuple(level / 255 for level in levels)
