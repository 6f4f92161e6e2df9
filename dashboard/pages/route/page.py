"""What is fixed about the Route page: its help, its form and the fields of the URL that it looks with."""

from __future__ import annotations

from dashboard.pages.attack_form import AttackForm
from dashboard.pages.citations import LI, ZHANG
from dashboard.pages.route import cards, ids
from dashboard.pages.shell import Shell
from dashboard.pages.unit_pages import UnitPage
from dashboard.studies.unit_form import ROUTE_SETTINGS

HELP = [
    (
        "What this page shows",
        "Along which units an attack travels through the network, for one image and for the model as a whole, and what "
        "becomes of the answer when these units are changed.",
    ),
    ("Unit", "One channel of a convolution's output, after its activation function."),
    (
        "Route of an image",
        "In the last convolution the units with the largest gradient of the loss; before it, layer by layer, the units "
        "with the largest influence on those. The influence of a unit is the sum of |∂z/∂s| over its elements s and "
        "the elements z of the chosen units of the next layer.",
    ),
    ("Route of the model", "In each layer the units that are on the routes of the most attacked training images."),
    (
        "Experiments",
        "Transplant puts the clean image's values into the attacked one, deactivate scales the units' outputs, weaken "
        "scales the weights between chosen units. Try them on this image; the study makes them on many test images, "
        "each beside a control with as many units that are not on the route.",
    ),
    (
        "Hardness",
        "V = Σ over layers of the image's rank by the gradient on the route's units, the largest gradient first: "
        "images with a high V are expected to withstand attacks.",
    ),
    ("Papers", f"{LI} {ZHANG}"),
]
ATTACK = AttackForm("route", has_target=False)
SHELL = Shell(
    "route",
    "Route",
    HELP,
    marked={"image": ids.NUMBER, "epsilon": ATTACK.part("epsilon"), "seed": ATTACK.part("seed")},
    waiting=(cards.PATHS,),
)
PAGE = UnitPage(
    "route",
    SHELL,
    ATTACK,
    ROUTE_SETTINGS,
    ("image", "picked", "act", "factor", "layer"),
    lambda services: services.routes,
)
