"""The attacks a user can choose."""

from __future__ import annotations

from engine.attacks.base import Attack
from engine.attacks.bim import BIM
from engine.attacks.fgsm import FGSM
from engine.attacks.pgd_l2 import PGDL2
from engine.attacks.pgd_linf import PGDLinf
from engine.registry import Entry, Registry

GOODFELLOW = "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples. ICLR 2015. arXiv:1412.6572"
KURAKIN = (
    "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World. ICLR 2017 Workshop. arXiv:1607.02533"
)
MADRY = (
    "Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks. "
    "ICLR 2018. arXiv:1706.06083"
)


def _entry(attack: type[Attack], label: str, paper: str, norm: str) -> Entry[Attack]:
    facts = {"norm": norm, "targeted": True}
    return Entry(attack.name, label, attack, attack.parameters, paper=paper, facts=facts)


def _catalogue() -> Registry[Attack]:
    registry: Registry[Attack] = Registry("attack")
    registry.add(_entry(FGSM, "FGSM", GOODFELLOW, "linf"))
    registry.add(_entry(BIM, "BIM", KURAKIN, "linf"))
    registry.add(_entry(PGDLinf, "PGD L∞", MADRY, "linf"))
    registry.add(_entry(PGDL2, "PGD L2", MADRY, "l2"))
    return registry


attacks: Registry[Attack] = _catalogue()
