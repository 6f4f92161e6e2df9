"""What is fixed about the Harden page: its help, and what its form sets."""

from __future__ import annotations

from dataclasses import replace

from dashboard.pages.citations import LI, ZHANG
from dashboard.pages.shell import Shell
from dashboard.selection import SEED
from dashboard.studies.harden_form import TRAINING_SETTINGS
from engine.hardening.catalogue import MADRY

HELP = [
    (
        "What this page shows",
        "What a model becomes when it is trained against an attack: how many images it still classifies correctly, "
        "how many of their attacked copies, and what changes inside.",
    ),
    (
        "Robust accuracy",
        "The share of all images that the model gets right both before and after the attack. It is right only for the "
        "attacks that were tried; a stronger one can lower it.",
    ),
    (
        "Interval and verdict",
        "Next to each accuracy stands its 95 % interval (Wilson). Two models see the same images, so that they are "
        "compared image by image (McNemar’s exact test): better and worse mean p < 0.05 for that attack alone.",
    ),
    (
        "Gradient masking",
        "Some models only hide the direction in which to attack them. Signs of that, such as an attack without "
        "gradients that beats one with them, put a warning beside the numbers they concern.",
    ),
    (
        "Sensitivity",
        "How much a unit's output changes between an image and its attacked copy, per element: mean over pairs of "
        "‖F(x) − F(x')‖₁ / dim(F). Each model faces an attack of its own.",
    ),
    (
        "Class paths",
        "The synapses that carry the decision for a class. Density is the share of all synapses on them; similarity is "
        "the share that two classes have in common.",
    ),
    ("Papers", f"{MADRY} {ZHANG} {LI}"),
]
#: What the form asks for beside the method and its settings.
SETTINGS = (*TRAINING_SETTINGS, replace(SEED, label="Seed", help="The same seed gives the same model."))
SHELL = Shell("harden", "Harden", HELP, marked={})
#: The fields of the URL that keep a hardening, or a comparison, from being asked for when they are wrong.
ASKED = ("link", "model", "seed", "way", *(parameter.name for parameter in TRAINING_SETTINGS))
COMPARED = ("link", "model", "seed", "judged", "beside", "phased")
