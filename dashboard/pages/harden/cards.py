"""The figure cards of the Harden page: what each says about itself."""

from dashboard.components.figure_card import Card
from dashboard.pages.citations import QIU, ZHANG
from engine.hardening.catalogue import MADRY

_HELD_OUT = (
    "Held-out images are the first of the test images. They are looked at after every epoch, and nothing is chosen by "
    "them: the weights of the last epoch are kept."
)
_SENSITIVITY = (
    "The sensitivity of a unit, a channel of a convolution, is the mean over pairs of an image and its attacked copy "
    "of ‖F(x) − F(x')‖₁ / dim(F), before its activation function. A layer's value is the mean over its units."
)
_PAIRS = (
    "The pairs: of the first test images those that all models compared classify correctly, and what PGD L∞ makes of "
    "each. Every model faces an attack of its own."
)

LOSS = Card(
    "harden-loss",
    "Loss, epoch by epoch",
    "Does it still fall, and which of its terms is large?",
    (
        "The loss is the mean over the training images while the epoch ran. Where it has several terms, each is shown "
        "as it counts in the sum: multiplied by its weight.",
    ),
    ZHANG,
    260,
)
ACCURACY = Card(
    "harden-accuracy",
    "Accuracy, epoch by epoch",
    "Do attacked images become right, and what does that cost on clean ones?",
    (
        "Training images: those right before the step that they were used in.",
        _HELD_OUT,
        "Attacked: right both before and after PGD L∞, 10 steps, at the strength that the page names.",
    ),
    MADRY,
    260,
)
STRENGTH = Card(
    "harden-strength",
    "Accuracy by strength of the attack",
    "How far does the attack have to go before a model fails?",
    (
        "PGD L∞ with 10 steps of ε/√10, up to 200 of the test images. ε = 0 is the accuracy without an attack; the "
        "bars are 95 % intervals (Wilson). An image counts as right only if it is right before the attack too.",
    ),
    ZHANG,
    280,
)
LAYERS = Card(
    "harden-layers",
    "How much each layer reacts to the attack",
    "A lower line: the same attack moves the layer less.",
    (_SENSITIVITY, _PAIRS),
    ZHANG,
    280,
)
UNITS = Card(
    "harden-units",
    "How much the units of a layer react, sorted",
    "Does training calm all units, or only the most sensitive ones?",
    (_SENSITIVITY, _PAIRS),
    ZHANG,
    300,
)
DENSITY = Card(
    "harden-density",
    "Density of the class paths per layer",
    "Do the classes need more, or fewer, of a layer's synapses?",
    (
        "A class path is the union of the effective paths (θ = 0.5) of training images that the model classifies "
        "correctly. Density is the share of a layer's synapses that is on the path of any class.",
        "Class similarity is |Sa ∩ Sb| / |Sa ∪ Sb| of two class paths, its mean over all pairs of classes.",
    ),
    QIU,
    300,
)

RUNNING = (LOSS, ACCURACY)
COMPARED = (STRENGTH, LAYERS, UNITS, DENSITY)
ALL = (*RUNNING, *COMPARED)
