"""The models that a model can be compared with, and which of them are ticked until somebody chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.pages.harden.running import job_of
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.studies.harden_form import MAX_BESIDE
from engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class Beside:
    """The models that stand to choose.

    Attributes:
        labels: what a person reads, by name: first those that were hardened from the model.
        ticked: those chosen in the URL, or else the one just hardened, or else all hardened from it.
    """

    labels: Mapping[str, str]
    ticked: list[str]


def beside(services: Services, parsed: Parsed) -> Beside:
    """The models of the same data; none is loaded."""
    model = parsed.values.get("model")
    if model is None:
        return Beside({}, [])
    children = _children(services, model)
    labels, datasets = services.choices.labels(), services.choices.datasets()
    same = [name for name in labels if name != model and datasets[name] == datasets[model]]
    ordered = sorted(same, key=lambda name: name not in children)
    return Beside({name: labels[name] for name in ordered}, _ticked(services, parsed, ordered, children))


def child_of(services: Services, parsed: Parsed) -> str | None:
    """The model that the hardening in the URL made; None until it is finished, or if it was removed."""
    job = job_of(services, parsed)
    if job is None or job.state != "done":
        return None
    try:
        report = services.hardenings.outcome(job.id, parsed.values["model"])
    except EngineError:  # the status says so
        return None
    return report["model"] if report and report["model"] in services.choices.model_names() else None


def _children(services: Services, model: str) -> list[str]:
    """The models whose cards name this one as their parent."""
    return [entry.name for entry in services.choices.registry() if entry.facts.get("parent") == model]


def _ticked(services: Services, parsed: Parsed, there: list[str], children: list[str]) -> list[str]:
    if "beside" in parsed.errors:
        return []
    chosen = parsed.values["harden_form"].beside
    if not chosen:
        child = child_of(services, parsed)
        chosen = tuple(children[:MAX_BESIDE] if child is None else [child])
    return [name for name in there if name in chosen]
