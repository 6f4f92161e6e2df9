"""The figure cards of the Sensitivity page: what each says about itself."""

from dashboard.components.figure_card import Card
from dashboard.pages.citations import ZHANG

_SENSITIVITY = (
    "A unit is a channel of a convolution or an element of a linear layer. Its sensitivity is the mean, over pairs of "
    "an image and its attacked copy, of ‖F(x) − F(x')‖₁ / dim(F): how much its output changes, per element."
)
_RATIO = (
    "The ratio of a unit is the mean over pairs of ‖F(x) − F(x')‖₁ / ‖F(x)‖₁: the change as a share of the clean "
    "output. Pairs in which the clean output is 0 are left out. A layer's value is the mean over its units; 1 means "
    "that the change is as large as the output itself. Where a unit's clean output is close to 0, its ratio is large: "
    "in linear layers a few such pairs can make up most of the mean."
)
_REGION = (
    "The images are the five, of up to 1,000 test images that the model classifies right, whose largest activation of "
    "the unit, after its activation function, is highest. They are attacked as in the study."
)
_THRESHOLD = (
    "The unit's activation map is resized to the image. The region is where the map is above the unit's 0.995 "
    "quantile: over all these images, at most 0.5 % of the unit's activations lie above it."
)
_PAIRS = "The pairs: the first test images that the model classifies right, and what the attack made of each."

UNITS = Card(
    "sensitivity-units",
    "How much each unit reacts",
    "Do few units carry the change? Click a unit to look closely at it.",
    (_SENSITIVITY, _PAIRS, "Marked as sensitive is the share of the units that the form asks for, rounded up."),
    ZHANG,
    280,
)
RATIOS = Card(
    "sensitivity-ratios",
    "Change by layer, relative to the output",
    "Does the change grow on its way through the layers?",
    (_RATIO, _PAIRS, "All models see the same pairs: those made for the first one."),
    ZHANG,
    280,
)
REGION = Card(
    "sensitivity-region",
    "Where the unit looks",
    "Does the attacked copy excite the unit elsewhere? Outlined is its region of interest.",
    (_REGION, _THRESHOLD),
    ZHANG,
    280,
)
LEAST = Card(
    "sensitivity-least",
    "Where the least sensitive unit looks",
    "For comparison: does its region stay where it was?",
    (_REGION, _THRESHOLD, "Units that are the same on all these images are passed over: they have no region."),
    ZHANG,
    280,
)
SUPPRESSION = Card(
    "sensitivity-suppression",
    "What damping the sensitive units does",
    "Does accuracy change more than when as many other units are damped (dashed)?",
    (
        "The outputs of the most sensitive units are multiplied by β, after their activation function; all else stays. "
        "β = 1 changes nothing.",
        "Control: as many units that are not among the sensitive ones, drawn three times; the band spans the draws. "
        "Where a layer has too few others, the control is drawn from all its units.",
        "The attacked copies are those made for the undamped model. The last layer's units are the model's answers, "
        "and are not damped.",
    ),
    ZHANG,
    320,
)
STRENGTH = Card(
    "sensitivity-strength",
    "Change by strength of the attack",
    "Which layers react first, as the attack gets stronger?",
    (
        _RATIO,
        "The attack is run with a quarter, half, three quarters and the whole of its strength; all else stays.",
    ),
    ZHANG,
    320,
)
IMPORTANCE = Card(
    "sensitivity-importance",
    "Are the units that react those that decide?",
    "Top right: units that react strongly and speak for the class the attack leads to.",
    (
        "Of the layer before the answers. The importance of unit m for class y is F(x')·W[y, m], what it adds to the "
        "logit of the class, averaged over the attacked copies that were misled to y.",
        "Votes: each of these copies gives its 20 most important units 20, 19 … 1 votes. Spearman's rank correlation "
        "of sensitivity and votes is 1 where both rank the units alike, 0 where they have nothing in common.",
        _SENSITIVITY,
    ),
    ZHANG,
    320,
)
AGREEMENT = Card(
    "sensitivity-agreement",
    "Are the same units sensitive, whichever class the attack leads to?",
    "Near 1: always the same units. In a layer with hardly more units than are listed that says little.",
    (
        "For each class that copies were misled to, the 20 units of a layer with the largest sensitivity over these "
        "copies, most sensitive first.",
        "Same order: mean Levenshtein similarity of every two classes' lists, 1 − d(a, b) / (|a| + |b|). Lists that "
        "have nothing in common still have 0.5. Same units: units in all lists / units in any.",
    ),
    ZHANG,
    320,
)

ALL = (UNITS, RATIOS, REGION, LEAST, SUPPRESSION, STRENGTH, IMPORTANCE, AGREEMENT)
