"""The figure cards of the Classes page: what each says about itself."""

from dashboard.components.figure_card import Card
from dashboard.pages.citations import QIU

_CLASS_PATH = (
    "The class path of a class is the union, layer by layer, of the effective paths of the training images of "
    "that class that the "
    "model classifies correctly."
)

MATRIX = Card(
    "classes-matrix",
    "Similarity of class paths",
    "Bright cells are classes that use the same synapses. Click a cell to compare its two classes.",
    (
        _CLASS_PATH,
        "J(a, b) = |Sa ∩ Sb| / |Sa ∪ Sb| over the synapses of all layers together. The diagonal is 1. The cells of a "
        "class without a class path stay empty.",
        "Of many classes J is estimated: of synapses drawn at random, the same for all classes, the share on both "
        "paths among those on at least one (Broder 1997). With more than 60 classes the diagonal is left empty, and "
        "names are shown where the pointer is.",
    ),
    QIU,
    480,
)
PAIR = Card(
    "classes-pair",
    "The two classes, layer by layer",
    "Where do the two classes go separate ways? The most similar two, until you choose others.",
    (_CLASS_PATH, "|Sa ∩ Sb| / |Sa ∪ Sb| of the synapses of each layer."),
    QIU,
    250,
)
DENSITY = Card(
    "classes-density",
    "Density per layer",
    "How much of each layer do all classes together use, and how much one class?",
    (
        _CLASS_PATH,
        "Density of a layer is the number of its synapses on the path divided by all its synapses, padding "
        "excluded. The overall path is "
        "the union over all classes; the mean is taken over the class paths.",
    ),
    QIU,
    320,
)
GROWTH = Card(
    "classes-growth",
    "Density as classes merge",
    "A flat end means that further classes use synapses that others use already.",
    (
        _CLASS_PATH,
        "Density, over all layers together, of the union of the class paths of the first classes, one more at a time.",
    ),
    QIU,
    320,
)

PHASES = Card(
    "classes-phases",
    "Over training",
    "When do the classes go separate ways: together with accuracy, or long after?",
    (
        _CLASS_PATH,
        "After every epoch that was kept, the class paths (θ = 0.5) of the same training images are taken. A box spans "
        "the middle half of the similarities of every two classes, its whiskers all of them, its line the median.",
        "Density is that of all class paths together; accuracy is the share of held-out test images right.",
    ),
    QIU,
    320,
)

#: Those that wait for the class paths of the page; the one over training has a job of its own.
ALL = (MATRIX, PAIR, DENSITY, GROWTH)
