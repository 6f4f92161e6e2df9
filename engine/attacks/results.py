"""Results of attacks on disk, found again by what they were made from."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engine.attacks.base import Attack, AttackResult
from engine.errors import InvalidInputError
from engine.files import DAMAGED_ARCHIVE, mark_used, write_atomically
from engine.network.classifiers import classifier_key
from engine.progress import Progress, silent
from engine.version import VERSION

log = logging.getLogger(__name__)


def save_result(file: Path, result: AttackResult) -> None:
    """Writes a result as one compressed npz file, whole or not at all."""
    arrays = {
        f.name: getattr(result, f.name) for f in fields(result) if isinstance(getattr(result, f.name), np.ndarray)
    }
    about = {"attack": result.attack, "settings": dict(result.settings), "seed": result.seed}

    def write(partial: Path) -> None:
        with partial.open("wb") as stream:
            np.savez_compressed(stream, about=np.array(json.dumps(about)), **arrays)

    write_atomically(file, write)


def load_result(file: Path) -> AttackResult:
    """Reads what :func:`save_result` wrote.

    Raises:
        InvalidInputError: if the file is absent, damaged or of another kind.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            arrays = {name: archive[name] for name in archive.files if name != "about"}
        return AttackResult(**arrays, **about)
    except DAMAGED_ARCHIVE as error:
        raise InvalidInputError(f"{file}: expected the result of an attack; {error}.") from error


def attack_once(
    attack: Attack,
    model: nn.Module,
    images: torch.Tensor,
    labels: np.ndarray,
    *,
    folder: Path | None,
    targets: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> AttackResult:
    """Attacks the images, or reads from ``folder`` what the same attack on the same images and model gave before.

    A damaged file is computed again. Arguments are those of :class:`engine.attacks.base.Attack`; ``folder`` None keeps
    nothing.
    """

    def run() -> AttackResult:
        return attack(model, images, labels, targets=targets, seed=seed, progress=progress)

    if folder is None:
        return run()
    parts = (VERSION, attack.name, json.dumps(attack.settings, sort_keys=True), seed)
    digest = hashlib.sha256("|".join(map(str, parts)).encode())
    digest.update(classifier_key(model, type(model).__name__).encode())
    for array in (images.numpy(), labels, targets):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return _read_or_make(folder / f"attack-{digest.hexdigest()[:40]}.npz", run)


def _read_or_make(file: Path, run: Callable[[], AttackResult]) -> AttackResult:
    if file.exists():
        try:
            found = load_result(file)
        except InvalidInputError as error:
            log.warning("attacking again: %s", error)
        else:
            mark_used(file)
            return found
    result = run()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_result(file, result)
    return result
