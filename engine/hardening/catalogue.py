"""The hardening methods a user can choose."""

from __future__ import annotations

from collections.abc import Mapping

from engine.hardening.methods.alp import ALP
from engine.hardening.methods.base import HardeningMethod, Start
from engine.hardening.methods.pat import PAT
from engine.hardening.methods.route_gradient import RouteGradient
from engine.hardening.methods.route_weight import RouteWeight
from engine.hardening.methods.sns import SNS
from engine.hardening.methods.vanilla import Vanilla
from engine.registry import Entry, Registry, Value

MADRY = (
    "Madry, Makelov, Schmidt, Tsipras, Vladu: Towards Deep Learning Models Resistant to Adversarial Attacks. "
    "ICLR 2018. arXiv:1706.06083"
)
KANNAN = "Kannan, Kurakin, Goodfellow: Adversarial Logit Pairing. 2018. arXiv:1803.06373"
ZHANG = (
    "Zhang et al.: Interpreting and Improving Adversarial Robustness of Deep Neural Networks with Neuron Sensitivity. "
    "IEEE Transactions on Image Processing 2020. arXiv:1909.06978"
)
LI = "Li et al.: Understanding Adversarial Robustness via Critical Attacking Route. Information Sciences 2021"

Settings = Mapping[str, Value]
#: The papers' attack for 32×32 colour images; lighter ones, of strengths that MNIST and the digits are attacked with.
_ATTACK: dict[str, Settings] = {
    "cifar10": {"epsilon": 8 / 255, "steps": 10, "relative_step": 0.3162},
    "mnist": {"epsilon": 0.3, "steps": 10, "relative_step": 0.3162},
    "digits": {"epsilon": 0.1, "steps": 5, "relative_step": 0.4},
}
_SELECTION: dict[str, Settings] = {
    "cifar10": {"selection_images": 5000}, "mnist": {"selection_images": 2000}, "digits": {"selection_images": 500},
}  # fmt: skip
#: Weights of the route penalties: about a tenth of PAT's loss at the start, for the weights of a trained, narrow VGG-16
#: a thirtieth.
_GRADIENTS: dict[str, Settings] = {
    "cifar10": {"gradients": 1e-3}, "mnist": {"gradients": 0.03}, "digits": {"gradients": 0.01},
}  # fmt: skip
_WEIGHTS: dict[str, Settings] = {
    "cifar10": {"weights": 1e-4}, "mnist": {"weights": 0.05}, "digits": {"weights": 0.01},
}  # fmt: skip


def _presets(*further: Mapping[str, Settings]) -> dict[str, Settings]:
    return {
        name: {**attack, **{key: value for each in further for key, value in each.get(name, {}).items()}}
        for name, attack in _ATTACK.items()
    }


def _entry(
    method: type[HardeningMethod], label: str, paper: str, start: Start, presets: Mapping[str, Settings]
) -> Entry[HardeningMethod]:
    return Entry(
        method.name, label, method, method.parameters, paper=paper, facts={"start": start, "presets": dict(presets)}
    )


def _catalogue() -> Registry[HardeningMethod]:
    registry: Registry[HardeningMethod] = Registry("hardening method")
    registry.add(_entry(Vanilla, "Vanilla", "", "scratch", {name: {} for name in _ATTACK}))
    registry.add(_entry(PAT, "PAT", MADRY, "scratch", _presets()))
    registry.add(_entry(ALP, "ALP", KANNAN, "scratch", _presets()))
    registry.add(_entry(SNS, "SNS", ZHANG, "parent", _presets(_SELECTION)))
    registry.add(_entry(RouteGradient, "Route gradients", LI, "parent", _presets(_GRADIENTS)))
    registry.add(_entry(RouteWeight, "Route weights", LI, "parent", _presets(_WEIGHTS)))
    return registry


hardening_methods: Registry[HardeningMethod] = _catalogue()
