"""The attack tests' net of everything whose state could be disturbed."""

from tests.attacks.conftest import images, labels, net

__all__ = ["images", "labels", "net"]
