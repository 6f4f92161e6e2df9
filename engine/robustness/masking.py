"""Gradient masking: signs that attacks fail because gradients mislead, not because there is nothing to find.

After Athalye, Carlini, Wagner: Obfuscated Gradients Give a False Sense of Security, ICML 2018 (arXiv:1802.00420),
section 3.1, and Carlini et al.: On Evaluating Adversarial Robustness, 2019 (arXiv:1902.06705), section 4. The checks
are signs, not proofs: one that passes does not say that a number is right; a warning says that it should not be
believed as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.robustness.curve import RobustnessCurve
from engine.robustness.intervals import mcnemar_greater, paired, wilson
from engine.robustness.probes import Probes
from engine.robustness.table import AttackRow, Check, RobustnessTable

#: Chance of a false alarm of one check, shared among the pairs it looks at.
SIGNIFICANCE = 0.05
#: A share counts as near zero unless the lower end of its interval lies above this.
NEAR_ZERO = 0.02
#: With fewer images that are right without an attack, nothing can be told.
ENOUGH = 30
SINGLE_STEP = frozenset({"fgsm", "step_ll"})
ITERATIVE = frozenset({"bim", "mi_fgsm", "pgd_linf", "pgd_l2"})


def with_checks(table: RobustnessTable, curve: RobustnessCurve | None, probes: Probes | None) -> RobustnessTable:
    """The table with all checks that its rows, the curve and the probes allow."""
    concerned = tuple(row.plan.label for row in table.rows if row.plan.family == "white-box")
    found = [black_box_stronger(table), single_step_stronger(table)]
    if curve is not None:
        found.append(rising_with_strength(curve))
    if probes is not None:
        found += [unbounded_survived(probes), gradient_vanishes(probes)]
    if curve is not None and probes is not None:
        found.append(noise_as_bad(curve, probes))
    return replace(table, checks=tuple(_concerning(check, concerned) for check in found))


def black_box_stronger(table: RobustnessTable) -> Check:
    """An attack that asks for answers alone beats every white-box one of the same norm and radius."""
    black = [row for row in table.rows if row.plan.family == "black-box"]
    white = [row for row in table.rows if row.plan.family == "white-box"]
    name, label = "black-box", "Black-box attacks are no stronger than white-box ones"
    words = ("which asks for answers alone", "with gradients")
    return _stronger(name, label, black, white, words)


def single_step_stronger(table: RobustnessTable) -> Check:
    """One step along the gradient beats every attack of many steps of the same norm and radius."""
    single = [row for row in table.rows if row.plan.attack in SINGLE_STEP]
    many = [row for row in table.rows if row.plan.attack in ITERATIVE]
    name, label = "single-step", "One step is no stronger than many"
    return _stronger(name, label, single, many, ("which takes a single step", "of many steps"))


def rising_with_strength(curve: RobustnessCurve) -> Check:
    """Accuracy is higher at a larger radius, for any two radii of the curve, beyond chance."""
    name, label = "rising", "More strength does not help the model"
    points = list(zip(curve.epsilons[1:], curve.points[1:], strict=True))
    pairs = [(a, b) for place, a in enumerate(points) for b in points[place + 1 :]]
    if not pairs or _too_few(curve.points[0]):
        return Check(name, label, "not checked", "Needs a curve of two strengths or more on enough images.")
    p, (below, lower), (above, higher) = min(
        ((mcnemar_greater(paired(b[1].correct, a[1].correct)), a, b) for a, b in pairs), key=lambda found: found[0]
    )
    p = min(1.0, p * len(pairs))
    numbers = {"lower epsilon": below, "accuracy there": lower.accuracy, "higher epsilon": above,
               "accuracy at it": higher.accuracy, "p": p}  # fmt: skip
    if p >= SIGNIFICANCE:
        return Check(name, label, "passed", "Accuracy nowhere rises with the strength beyond chance.", numbers)
    sentence = (
        f"Accuracy rises with the strength of the attack, from {lower.accuracy:.1%} at ε = {below:.4g} to "
        f"{higher.accuracy:.1%} at ε = {above:.4g} (p = {p:.2g}): the attack does not find what is within its reach."
    )
    return Check(name, label, "warning", sentence, numbers)


def unbounded_survived(probes: Probes) -> Check:
    """PGD with room for any change leaves images right."""
    name, label = "large radius", "Accuracy reaches zero at a large strength"
    row = probes.large
    if _too_few(probes.clean):
        return Check(name, label, "not checked", f"Needs {ENOUGH} images that the model gets right.")
    epsilon = row.plan.radius or 0.0
    numbers = {"epsilon": epsilon, "accuracy": row.accuracy, "low": row.interval[0]}
    measured = f"{row.accuracy:.1%} of {row.n} images are right under PGD L∞ with ε = {epsilon:g}"
    if row.interval[0] <= NEAR_ZERO:
        return Check(name, label, "passed", f"{measured}: next to none, as it should be.", numbers)
    sentence = f"{measured}, which may turn any image into plain grey: the attack fails for want of a useful gradient."
    return Check(name, label, "warning", sentence, numbers)


def gradient_vanishes(probes: Probes) -> Check:
    """The gradient of the loss is exactly zero at images, so that no white-box attack can begin."""
    name, label = "zero gradient", "The loss has a gradient at the images"
    total, zero = probes.images_right, probes.images_without_gradient
    if total < ENOUGH:
        return Check(name, label, "not checked", f"Needs {ENOUGH} images that the model gets right.")
    numbers = {"images": float(total), "without gradient": float(zero)}
    if wilson(zero, total)[0] <= NEAR_ZERO:
        return Check(name, label, "passed", f"{total - zero} of {total} images have a gradient.", numbers)
    sentence = (
        f"The gradient of the loss is exactly zero at {zero} of {total} images that the model gets right: attacks that "
        "follow it stand still there. Saturated logits or a step such as rounding do this."
    )
    return Check(name, label, "warning", sentence, numbers)


def noise_as_bad(curve: RobustnessCurve, probes: Probes) -> Check:
    """Random signs of length ε do harm, and PGD of the same radius does no more of it.

    Radii at which PGD leaves next to nothing, or noise does no harm beyond chance, say nothing and are passed over.
    """
    name, label = "noise", "PGD is stronger than random noise"
    telling = []
    for epsilon, row, noisy in zip(curve.epsilons[1:], curve.points[1:], probes.noise, strict=True):
        harms = mcnemar_greater(paired(probes.clean.correct, noisy.correct)) < SIGNIFICANCE
        if harms and row.interval[0] > NEAR_ZERO:
            telling.append((mcnemar_greater(paired(noisy.correct, row.correct)), epsilon, row, noisy))
    if not telling or _too_few(probes.clean):
        sentence = "At no strength does noise do harm while PGD leaves images right: nothing to compare."
        return Check(name, label, "not checked", sentence)
    p, epsilon, row, noisy = max(telling, key=lambda found: found[0])
    numbers = {"epsilon": epsilon, "accuracy under PGD": row.accuracy, "accuracy under noise": noisy.accuracy, "p": p}
    measured = f"At ε = {epsilon:.4g} noise leaves {noisy.accuracy:.1%} right and PGD {row.accuracy:.1%}"
    if p < SIGNIFICANCE:
        return Check(name, label, "passed", f"{measured}.", numbers)
    sentence = f"{measured}: the search by gradients is hardly worth more than chance, so the gradients lead nowhere."
    return Check(name, label, "warning", sentence, numbers)


def _concerning(check: Check, rows: tuple[str, ...]) -> Check:
    """A warning that names no rows of its own puts all that rest on gradients in doubt."""
    return check if check.concerned or check.verdict != "warning" else replace(check, concerned=rows)


def _stronger(
    name: str, label: str, suspects: Sequence[AttackRow], others: Sequence[AttackRow], words: tuple[str, str]
) -> Check:
    """Whether a suspect leaves fewer images right than each of the others in the same ball, beyond chance.

    To beat all it must beat each, so that the largest p of the pairs is that of the claim; several suspects share the
    chance of a false alarm.
    """
    found = []
    for suspect in suspects:
        rivals = [row for row in others if _same_ball(row, suspect)]
        if rivals and suspect.n >= ENOUGH:
            found.append((max(_p_weaker(rival, suspect) for rival in rivals), suspect, rivals))
    if not found:
        return Check(name, label, "not checked", "Needs two such attacks of the same norm and radius on enough images.")
    p, suspect, rivals = min(found, key=lambda each: each[0])
    p = min(1.0, p * len(found))
    best = min(rivals, key=lambda row: row.correct[: suspect.n].mean())
    left = float(best.correct[: suspect.n].mean())
    missed = _missed(suspect, rivals)
    numbers = {"accuracy": suspect.accuracy, "accuracy under the strongest other": left, "p": p,
               "images only it breaks": float(missed)}  # fmt: skip
    measured = (
        f"{suspect.plan.label}, {words[0]}, leaves {suspect.accuracy:.1%} of {suspect.n} images right; the strongest "
        f"attack {words[1]}, {best.plan.label}, leaves {left:.1%}"
    )
    if p >= SIGNIFICANCE:
        return Check(name, label, "passed", f"{measured}.", numbers)
    concerned = _labels(row for _, each, group in found if _beats(each, group, len(found)) for row in group)
    sentence = f"{measured} (p = {p:.2g}): the gradients mislead, and accuracies measured with them are too high."
    return Check(name, label, "warning", sentence, numbers, concerned)


def _beats(suspect: AttackRow, rivals: Sequence[AttackRow], looks: int) -> bool:
    return max(_p_weaker(rival, suspect) for rival in rivals) * looks < SIGNIFICANCE


def _p_weaker(rival: AttackRow, suspect: AttackRow) -> float:
    """How likely the rival's higher accuracy on the images of both is by chance."""
    n = min(rival.n, suspect.n)
    return mcnemar_greater(paired(rival.correct[:n], suspect.correct[:n]))


def _missed(suspect: AttackRow, rivals: Sequence[AttackRow]) -> int:
    """How many images the suspect breaks and no rival does."""
    n = min(suspect.n, *(row.n for row in rivals))
    survived = ~suspect.correct[:n]
    for row in rivals:
        survived &= row.correct[:n]
    return int(survived.sum())


def _same_ball(first: AttackRow, second: AttackRow) -> bool:
    a, b = first.plan, second.plan
    return a.norm == b.norm and a.radius is not None and b.radius is not None and abs(a.radius - b.radius) < 1e-9


def _labels(rows: Iterable[AttackRow]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.plan.label for row in rows))


def _too_few(clean: AttackRow) -> bool:
    return int(clean.correct.sum()) < ENOUGH
