"""Adversarial attacks: one a file, one base class that validates, runs, clips and judges."""

from engine.attacks.base import Attack, AttackResult
from engine.attacks.catalogue import attacks

__all__ = ["Attack", "AttackResult", "attacks"]
