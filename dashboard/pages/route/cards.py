"""The figure cards of the Route page: what each says about itself."""

from dashboard.components.figure_card import Card
from dashboard.pages.citations import LI, QIU, SELVARAJU, ZHANG

_UNITS = "A unit is one channel of a convolution's output, after its activation function."
_INSTANCE = (
    "Route of an image, on its attacked copy: in the last convolution the units with the largest gradient Σ|∂loss/∂s| "
    "over their elements s; before it, layer by layer, the units with the largest influence on those chosen in the "
    "next layer. The influence is one backward pass with the absolute weights, through the units that are active; "
    "where two elements are linked by several ways it is an upper bound."
)
_MODEL = (
    "Route of the model: in each layer the units that are on the routes of the most attacked training images. The "
    "experiments are made on test images, so that no image is judged by a route it helped to choose."
)
_CONTROL = (
    "Control: the same is done to as many units, drawn at random from those that are not on the route, three times; "
    "the bar or line is the mean of the draws, its band goes from the lowest to the highest."
)
_KINDS = (
    "Transplant: the outputs of the chosen units are replaced by those of the clean image. Deactivate: they are "
    "multiplied by the factor, 0 puts them out. Weaken: the weights that lead from chosen units of one layer to chosen "
    "units of the next are multiplied by the factor."
)

MAP = Card(
    "route-map",
    "Where the attack goes",
    "Columns are layers, marks are units. Rings: the route through this image. Click a unit to choose it.",
    (_UNITS, _INSTANCE, _MODEL, "A square marks a unit that is chosen for the experiment beside."),
    LI,
    390,
)
LIVE = Card(
    "route-live",
    "Change units and watch the answer",
    "Does the attacked image get its class back? Compare the route with a random control.",
    (
        _UNITS,
        _KINDS,
        "The bars are the model's probabilities: of the clean image, of its attacked copy, and of the attacked copy "
        "while the chosen units are changed. The model itself is not altered.",
    ),
    LI,
    230,
)
PATHS = Card(
    "route-paths",
    "What the change does to the path",
    "How many synapses does the attacked image's path lose and gain, layer by layer?",
    (
        "Effective path: from the predicted class backwards, the fewest synapses that explain the share θ of every "
        "active neuron's value. It is taken twice of the attacked image, without and with the chosen units changed.",
        "Similarity, below the figure: the share of the path's synapses that lie on the class path of a class, the "
        "union of the paths of its training images.",
    ),
    QIU,
    330,
)
CAM = Card(
    "route-cam",
    "What the route looks at",
    "Does the attacked image's evidence come from other places, and from units of the route or from others?",
    (
        "Grad-CAM: the maps of the last convolution's units, weighted by the mean gradient of the class that the model "
        "names, summed, kept where positive and resized to the image.",
        "The sum is split: over the units of this image's route, and over all other units. All four maps have one "
        "scale, so that they can be compared; bright is much evidence.",
    ),
    f"{LI} {SELVARAJU}",
    330,
)
SENSITIVITY = Card(
    "route-sensitivity",
    "Are route units more sensitive?",
    "The orange mark above the grey one: units of the route react more to the attack than the others do.",
    (
        "Sensitivity of a unit: mean change of its output from the clean image to its attacked copy, per element, over "
        "the test images.",
        "p is that of the two-sided Mann–Whitney test over units: how likely so large a difference would be if route "
        "and other units were alike. With few units in a layer it cannot be small.",
    ),
    f"{ZHANG} {LI}",
)
GRADIENT = Card(
    "route-gradient",
    "Does the loss depend more on them?",
    "The orange mark above the grey one: the loss changes more with units of the route.",
    (
        "Gradient of a unit: Σ|∂loss/∂s| over its elements s, the mean over clean test images with their true labels.",
        "p as in the card beside.",
    ),
    LI,
)
SINGLE = Card(
    "route-single",
    "Clean values in one layer",
    "How many misled images are right again, if one layer's route units take their clean values?",
    (_KINDS, _CONTROL),
    LI,
)
CUMULATIVE = Card(
    "route-cumulative",
    "Clean values in more and more layers",
    "The same from the first layer up to each: how much of the attack does the whole route carry?",
    (_KINDS, _CONTROL),
    LI,
)
DEACTIVATION = Card(
    "route-deactivation",
    "Route units switched off",
    "Does accuracy fall more than where as many other units are switched off?",
    (_KINDS, _CONTROL, "A layer at a time. All clean images are right without the experiment."),
    LI,
)
WEAKENING = Card(
    "route-weakening",
    "Connections of the route weakened",
    "Do attacked images recover (orange rises) before clean ones suffer (blue falls)?",
    (_KINDS, _CONTROL, "Towards the right less is left of the weights."),
    LI,
)
HARDNESS = Card(
    "route-hardness",
    "Which images are hard to attack",
    "Bars that rise to the right: hardness, told without attacking, foretells which images withstand an attack.",
    (
        "In each layer the images are ranked by the sum of the gradients on the route's units, of the clean image; the "
        "largest gets 1 vote, the smallest as many as there are images. Hardness is the sum of an image's votes over "
        "the layers.",
        "The images are put into five groups of equal size by hardness; then FGSM, one step of the attack, is tried.",
    ),
    LI,
    260,
)

LIVE_CARDS = (MAP, LIVE, PATHS, CAM)
STUDY_CARDS = (SENSITIVITY, GRADIENT, SINGLE, CUMULATIVE, DEACTIVATION, WEAKENING, HARDNESS)
ALL = (*LIVE_CARDS, *STUDY_CARDS)
