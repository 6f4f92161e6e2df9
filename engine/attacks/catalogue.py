"""The attacks a user can choose."""

from __future__ import annotations

from collections.abc import Mapping

from engine.attacks.auto_attack import AUTO_ATTACK_PRESETS, AutoAttack, is_installed
from engine.attacks.base import Attack
from engine.attacks.bim import BIM, BIM_PRESETS
from engine.attacks.carlini_wagner import CARLINI_WAGNER_PRESETS, CarliniWagnerL2
from engine.attacks.corruptions.attack import CommonCorruption
from engine.attacks.deepfool import DEEPFOOL_PRESETS, DeepFool
from engine.attacks.fgsm import FGSM, FGSM_PRESETS
from engine.attacks.gaussian_noise import GaussianNoise
from engine.attacks.jsma import JSMA, JSMA_PRESETS
from engine.attacks.mi_fgsm import MIFGSM
from engine.attacks.nattack import NATTACK_PRESETS, NAttack
from engine.attacks.patch import AdversarialPatch
from engine.attacks.pgd_l2 import PGDL2
from engine.attacks.pgd_linf import PGDLinf
from engine.attacks.spsa import SPSA, SPSA_PRESETS
from engine.attacks.step_ll import StepLL
from engine.attacks.unrecognisable import Unrecognisable
from engine.registry import Entry, Registry, Value

GOODFELLOW = "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples. ICLR 2015. arXiv:1412.6572"
KURAKIN = (
    "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World. ICLR 2017 Workshop. arXiv:1607.02533"
)
MADRY = (
    "Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks. "
    "ICLR 2018. arXiv:1706.06083"
)
MOMENTUM = "Dong et al.: Boosting Adversarial Attacks with Momentum. CVPR 2018. arXiv:1710.06081"
AT_SCALE = "Kurakin, Goodfellow, Bengio: Adversarial Machine Learning at Scale. ICLR 2017. arXiv:1611.01236"
MOOSAVI = (
    "Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks. "
    "CVPR 2016. arXiv:1511.04599"
)
PAPERNOT = "Papernot et al.: The Limitations of Deep Learning in Adversarial Settings. EuroS&P 2016. arXiv:1511.07528"
CARLINI = "Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks. S&P 2017. arXiv:1608.04644"
UESATO = (
    "Uesato, O'Donoghue, van den Oord, Kohli: Adversarial Risk and the Dangers of Evaluating Against Weak Attacks. "
    "ICML 2018. arXiv:1802.05666"
)
LI = (
    "Li, Li, Wang, Zhang, Gong: NATTACK: Learning the Distributions of Adversarial Examples for an Improved Black-Box "
    "Attack on Deep Neural Networks. ICML 2019. arXiv:1905.00441"
)
BROWN = "Brown, Mané, Roy, Abadi, Gilmer: Adversarial Patch. 2017. arXiv:1712.09665"
HENDRYCKS = (
    "Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations. ICLR 2019. "
    "arXiv:1903.12261"
)
NGUYEN = (
    "Nguyen, Yosinski, Clune: Deep Neural Networks Are Easily Fooled: High Confidence Predictions for Unrecognizable "
    "Images. CVPR 2015. arXiv:1412.1897"
)
CROCE = (
    "Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-Free Attacks. "
    "ICML 2020. arXiv:2003.01690"
)

#: Settings by name, of one attack.
Settings = Mapping[str, Value]


def _entry(
    attack: type[Attack],
    label: str,
    paper: str,
    norm: str,
    family: str,
    presets: Mapping[str, Settings] | None = None,
) -> Entry[Attack]:
    facts = {"norm": norm, "targeted": attack.targetable, "family": family, "presets": dict(presets or {})}
    return Entry(attack.name, label, attack, attack.parameters, paper=paper, facts=facts)


def _catalogue() -> Registry[Attack]:
    registry: Registry[Attack] = Registry("attack")
    registry.add(_entry(FGSM, "FGSM", GOODFELLOW, "linf", "gradient", FGSM_PRESETS))
    registry.add(_entry(StepLL, "Step-LL", AT_SCALE, "linf", "gradient"))
    registry.add(_entry(BIM, "BIM", KURAKIN, "linf", "gradient", BIM_PRESETS))
    registry.add(_entry(MIFGSM, "MI-FGSM", MOMENTUM, "linf", "gradient"))
    registry.add(_entry(PGDLinf, "PGD L∞", MADRY, "linf", "gradient"))
    registry.add(_entry(PGDL2, "PGD L2", MADRY, "l2", "gradient"))
    registry.add(_entry(DeepFool, "DeepFool", MOOSAVI, "l2", "minimal", DEEPFOOL_PRESETS))
    registry.add(_entry(CarliniWagnerL2, "C&W L2", CARLINI, "l2", "minimal", CARLINI_WAGNER_PRESETS))
    registry.add(_entry(JSMA, "JSMA", PAPERNOT, "l0", "minimal", JSMA_PRESETS))
    registry.add(_entry(SPSA, "SPSA", UESATO, "linf", "black box", SPSA_PRESETS))
    registry.add(_entry(NAttack, "NAttack", LI, "linf", "black box", NATTACK_PRESETS))
    registry.add(_entry(AdversarialPatch, "Adversarial patch", BROWN, "none", "patch"))
    registry.add(_entry(GaussianNoise, "Gaussian noise", HENDRYCKS, "none", "noise"))
    registry.add(_entry(CommonCorruption, "Common corruption", HENDRYCKS, "none", "noise"))
    registry.add(_entry(Unrecognisable, "Unrecognisable image", NGUYEN, "none", "noise"))
    # A choice that can be seen has to work: without its optional package AutoAttack is not among them.
    if is_installed():
        registry.add(_entry(AutoAttack, "AutoAttack", CROCE, "linf", "yardstick", AUTO_ATTACK_PRESETS))
    return registry


attacks: Registry[Attack] = _catalogue()
