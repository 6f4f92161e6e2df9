"""What is fixed about the Sensitivity page: its help, its form and its parts."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.pages.attack_form import AttackForm
from dashboard.pages.citations import ZHANG
from dashboard.pages.shell import Shell
from dashboard.pages.unit_pages import UnitPage
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.studies.unit_form import SENSITIVITY_SETTINGS

KIND = "sensitivity"
HELP = [
    (
        "What this page shows",
        "Which units of a model react to an attack: how much the output of each changes between an image and its "
        "attacked copy, whether that grows from layer to layer, and whether the units that react most matter.",
    ),
    (
        "Unit",
        "A channel of a convolution, or an element of a linear layer. It is looked at before or after its activation "
        "function.",
    ),
    (
        "Sensitivity",
        "σ = mean over pairs of ‖F(x) − F(x')‖₁ / dim(F): the mean change of the unit's output, per element. Units of "
        "one layer can be compared; layers differ in the size of their outputs.",
    ),
    (
        "Ratio",
        "The mean over pairs of ‖F(x) − F(x')‖₁ / ‖F(x)‖₁: the change as a share of the clean output. It "
        "compares layers.",
    ),
    (
        "Control",
        "Whatever is done to sensitive units is also done to as many others. Only where the two differ does it matter "
        "that the units are sensitive.",
    ),
    (
        "Region of interest",
        "Where in an image a unit is excited: its activation map, resized to the image, above the unit's 0.995 "
        "quantile over the test images looked at.",
    ),
    ("Paper", ZHANG),
]
ATTACK = AttackForm(KIND, has_target=False)
SHELL = Shell(KIND, "Sensitivity", HELP, marked={"epsilon": ATTACK.part("epsilon"), "seed": ATTACK.part("seed")})


def comparable(services: Services, parsed: Parsed) -> Mapping[str, str]:
    """The other models that take the same images and tell as many classes apart: labels by name; none is loaded."""
    model = parsed.values.get("model")
    if model is None:
        return {}
    wanted = services.choices.get(model).classifier
    cards = services.choices.registry()

    def fits(name: str) -> bool:
        if name not in cards:  # a model of the command line, which is loaded
            other = services.choices.get(name).classifier
            return (other.image_shape, len(other.classes)) == (wanted.image_shape, len(wanted.classes))
        facts = cards[name].facts
        return (facts["image_shape"], len(facts.get("classes", ()))) == (wanted.image_shape, len(wanted.classes))

    return {name: label for name, label in services.choices.labels().items() if name != model and fits(name)}


PAGE = UnitPage(
    KIND,
    SHELL,
    ATTACK,
    SENSITIVITY_SETTINGS,
    ("layer", "unit"),
    lambda services: services.sensitivity,
    lambda services, parsed: {"others": list(comparable(services, parsed))},
)
