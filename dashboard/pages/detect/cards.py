"""The figure cards of the Detect page: what each says about itself."""

from dashboard.components.figure_card import Card
from dashboard.pages.citations import QIU

_FEATURES = (
    "Features of an image: per layer, the share of its effective path that lies on the class path of its most likely "
    "class (rank 1), and of its second most likely class (rank 2)."
)
_PROTOCOL = (
    "Normal test images against their successfully attacked copies. A share of the images is fitted on, the rest "
    "judges; an image and its attacked copies are never on both sides, and both classes weigh the same."
)
_JOINT = (
    "Joint similarity: J̃ = Σ ωˡ·Jˡ(rank 1) − Σ ωˡ'·Jˡ(rank 2) with all ω ≥ 0, fitted by logistic loss with an elastic "
    "net; the score is the threshold of the fit minus J̃."
)
_ROC = (
    "Each point of the curve is a threshold: across, the share of normal images it flags; up, the share of attacked "
    "images it finds. AUC is the area under the curve: the chance that an attacked image scores above a normal one."
)

MATRIX = Card(
    "detect-matrix",
    "Which attacks each method finds",
    "1 is perfect, 0.5 is chance. Click a cell to look closely at it.",
    (
        _FEATURES,
        _PROTOCOL,
        _ROC,
        "The interval is 95 %, by bootstrap over the source images. CDRP: one gate per convolution output channel, 30 "
        "steps; latent attention: a classifier of attention masks. Both are baselines.",
    ),
    QIU,
    300,
    grows=True,
)
ROC = Card(
    "detect-roc",
    "ROC curves",
    "How many attacked images are found for how many normal ones flagged? The ring is the threshold below.",
    (_PROTOCOL, _ROC),
    QIU,
    340,
)
SCORES = Card(
    "detect-scores",
    "Scores and threshold",
    "Drag the threshold: how many attacked images does it let pass, how many normal ones does it flag?",
    (_FEATURES, _JOINT, "At first the threshold is the one that flags 5 % of the normal images."),
    QIU,
    260,
)
COEFFICIENTS = Card(
    "detect-coefficients",
    "What joint similarity looks at",
    "A large weight: that layer tells most. A layer without a bar tells nothing that the others do not.",
    (_FEATURES, _JOINT),
    QIU,
    300,
)
SWEEP = Card(
    "detect-sweep",
    "What detection depends on",
    "Where does the curve flatten? More than that does not help.",
    (
        _PROTOCOL,
        "One thing is varied, all else stays: θ, the number of images fitted on, the attacks fitted on (the others are "
        "then unseen), the layers counted from the last, synapses or weights. The band is the 95 % interval.",
    ),
    QIU,
    300,
)

ALL = (MATRIX, ROC, SCORES, COEFFICIENTS, SWEEP)
