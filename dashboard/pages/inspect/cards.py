"""The figure cards of the Inspect page: what each says about itself."""

from dashboard.components.figure_card import Card
from dashboard.pages.citations import QIU, SELVARAJU

_EFFECTIVE_PATH = (
    "Extraction starts at one logit and goes backwards. Every active neuron is explained in the direction of its "
    "own value: the "
    "fewest synapses, largest contribution first, whose sum reaches θ of the neuron's positive sum are selected, "
    "and their inputs "
    "become active in turn."
)
_CLASS_PATH = (
    "The class path of a class is the union of the effective paths of the training images of that class that the model "
    "classifies correctly."
)
_SIMILARITY = (
    "Similarity in a layer is the share of the image's synapses that also lie on the class path: |S ∩ S̃| / |S|. "
    "The band spans "
    "the 5 % to 95 % quantiles of up to 200 correctly classified test images; the figure's key says how many."
)

ORIGINAL = Card(
    "inspect-original",
    "Original",
    "What the model really sees of the image.",
    ("Pixel values in [0, 1], before the normalisation that is part of the model.",),
    "",
    240,
)
PERTURBATION = Card(
    "inspect-perturbation",
    "Perturbation",
    "Where does it concentrate? Gray is no change.",
    (
        "Adversarial minus original image, magnified until the largest change is full scale. The factor is "
        "stated below.",
    ),
    "",
    240,
)
ADVERSARIAL = Card(
    "inspect-adversarial",
    "Adversarial",
    "Can you tell it apart from the original?",
    (
        "The image the attack returned, clipped to [0, 1]. An attack is scored only on images that the model "
        "classifies "
        "correctly; it succeeds when the prediction differs from the label, or equals the target.",
    ),
    "",
    240,
)
PROBABILITIES = Card(
    "inspect-probabilities",
    "Probabilities",
    "How sure is the model, before and after?",
    (
        "Softmax of the model's logits, for every class among the five most likely of either image; with a pinned "
        "image as the reference, among the two most likely of each. A share below 0.05 % is not written.",
    ),
    "",
    260,
)
GRAPH = Card(
    "inspect-graph",
    "Effective paths",
    "Where do the two paths part? Columns are layers, dots are units, lines are bundles of synapses.",
    (
        _EFFECTIVE_PATH,
        "Synapses between the same two units are drawn as one line; each layer shows its strongest bundles and "
        "most used units.",
    ),
    QIU,
    440,
)
RANK_1 = Card(
    "inspect-rank1",
    "Similarity with the predicted class",
    "An attacked image tends to fall below the band of normal images, mostly in the late layers.",
    (
        _EFFECTIVE_PATH,
        _CLASS_PATH,
        _SIMILARITY + " The path starts at the most likely class and is compared with its class path.",
    ),
    QIU,
    300,
)
RANK_2 = Card(
    "inspect-rank2",
    "Similarity with the second class",
    "An attacked image tends to rise above the band: its true class is often the runner-up.",
    (
        _EFFECTIVE_PATH,
        _CLASS_PATH,
        _SIMILARITY + " The path starts at the second most likely class and is compared with its class path.",
    ),
    QIU,
    300,
)
DENSITY = Card(
    "inspect-density",
    "Density per layer",
    "Which layers need more synapses for the attacked image?",
    (
        _EFFECTIVE_PATH,
        "Density of a layer is the number of its synapses on the path divided by all its synapses, padding excluded.",
    ),
    QIU,
    300,
)

DETECTOR = Card(
    "inspect-detector-card",
    "What speaks for an attack",
    "Which layers made the detector's score of the attacked image? To the right speaks for an attack.",
    (
        _EFFECTIVE_PATH,
        _CLASS_PATH,
        "Features are the similarities with the class paths of the most likely (rank 1) and of the second most likely "
        "class (rank 2), layer by layer. The contribution of one is the score less the score with that similarity at "
        "its median over normal images. For joint similarity the contributions add up to the score less that of an "
        "image all of whose similarities are usual.",
    ),
    QIU,
    300,
    grows=True,
)

_GRAD_CAM = (
    "Grad-CAM: the maps of the last convolution, after its activation, are weighted by the mean gradient of the "
    "class's logit over each map and added; what is below zero is cut off, and the sum is resized to the image. Each "
    "image is explained for the class that the model gives it. Both are drawn on one scale."
)
EVIDENCE_CLEAN = Card(
    "inspect-evidence-clean",
    "Evidence in the original",
    "Bright: what speaks for the class that the model gives it.",
    (_GRAD_CAM,),
    SELVARAJU,
    260,
)
EVIDENCE_ADVERSARIAL = Card(
    "inspect-evidence-adversarial",
    "Evidence in the adversarial",
    "Has the evidence moved, or only what is made of it?",
    (_GRAD_CAM,),
    SELVARAJU,
    260,
)

#: How many fields the customdata of a dot in the graph has; that of a bundle has more.
NODE_FIELDS = 5
ALL = (
    ORIGINAL,
    PERTURBATION,
    ADVERSARIAL,
    PROBABILITIES,
    GRAPH,
    RANK_1,
    RANK_2,
    DENSITY,
    DETECTOR,
    EVIDENCE_CLEAN,
    EVIDENCE_ADVERSARIAL,
)
CLASS_DEPENDENT = (RANK_1, RANK_2)
