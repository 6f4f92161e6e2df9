"""The folder of a run: weights of its epochs, and the state that it resumes from after a stop of any kind."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.errors import InvalidInputError
from engine.files import PARTIAL, write_atomically
from engine.network.checkpoint import file_sha256

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOCK = ".lock"
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Everything that a run needs to go on as if it had never stopped.

    Attributes:
        epoch: how many epochs are finished.
        weights: the model's state by name, as it is saved for the epoch.
        tensors: the rest by name: of the optimiser, the random generators and the objective.
        plain: values for JSON: the optimiser's and the schedule's numbers, the learning curves.
    """

    epoch: int
    weights: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]


class RunFolder:
    """A folder that belongs to one run.

    After every epoch it holds ``epoch-NNN.safetensors`` (weights), ``state-NNN.safetensors`` and ``state-NNN.json``
    (all else), and last of all ``manifest.json``, which names them with their hashes. Each file is written beside its
    place and moved there in one step, and older files go only when the manifest no longer names them: whenever the
    process is killed, the manifest names a whole state. Nothing in it is a pickle.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], *, keep_epochs: bool = True) -> None:
        """Opens the folder, or makes it.

        Args:
            path: the folder.
            about: plain values that determine the run; a state of another run is refused.
            keep_epochs: whether the weights of all epochs stay, or those of the last alone.

        Raises:
            InvalidInputError: if the folder belongs to another run; names what differs.
        """
        self.path = path
        self._about = json.loads(json.dumps(about))  # as it will be read again
        self._keep_epochs = keep_epochs
        path.mkdir(parents=True, exist_ok=True)
        for left in path.glob(f".*{PARTIAL}"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        self._manifest = self._read_manifest()
        if self._manifest is not None:
            self._require_same(self._manifest)

    @property
    def epoch(self) -> int:
        """How many epochs are finished."""
        return 0 if self._manifest is None else int(self._manifest["epoch"])

    @property
    def last_checkpoint(self) -> Path | None:
        """The weights of the last finished epoch; None before the first."""
        return self.path / _weights_name(self.epoch) if self.epoch else None

    def load(self) -> TrainingState | None:
        """The state to go on from; None to begin anew, because there is none or its files are damaged."""
        if self._manifest is None:
            return None
        epoch = self.epoch
        try:
            for name, digest in self._manifest["files"].items():
                if file_sha256(self.path / name) != digest:
                    raise ValueError(f"{name} is not what was written")
            weights = load_file(self.path / _weights_name(epoch))
            tensors = load_file(self.path / _state_name(epoch, ".safetensors"))
            plain = json.loads((self.path / _state_name(epoch, ".json")).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            log.warning("%s: the saved state is damaged (%s); training begins anew", self.path, error)
            self._manifest = None
            return None
        return TrainingState(epoch, weights, tensors, plain)

    def save(self, state: TrainingState) -> None:
        """Writes a state, the manifest last, and then takes away what no manifest names any more."""
        weights = _weights_name(state.epoch)
        tensors, plain = (_state_name(state.epoch, suffix) for suffix in (".safetensors", ".json"))
        self._write_tensors(weights, state.weights)
        self._write_tensors(tensors, state.tensors)
        self._write_json(plain, state.plain)
        files = {name: file_sha256(self.path / name) for name in (weights, tensors, plain)}
        manifest = {
            "format": FORMAT, "identity": identity(self._about), "epoch": state.epoch, "files": files,
            "about": self._about,
        }  # fmt: skip
        self._write_json(MANIFEST, manifest)
        self._manifest = manifest
        self._clean(set(files))

    def _clean(self, named: set[str]) -> None:
        stale = [*self.path.glob("state-*.*"), *(() if self._keep_epochs else self.path.glob("epoch-*.safetensors"))]
        for file in stale:
            if file.name not in named:
                file.unlink(missing_ok=True)

    def _read_manifest(self) -> dict[str, Any] | None:
        file = self.path / MANIFEST
        if not file.exists():
            return None
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
            int(manifest["epoch"]), dict(manifest["files"]), dict(manifest["about"])
            return dict(manifest)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged (%s); training begins anew", file, error)
            return None

    def _require_same(self, manifest: Mapping[str, Any]) -> None:
        then = manifest["about"]
        if manifest.get("format") == FORMAT and manifest.get("identity") == identity(self._about) == identity(then):
            return
        names = sorted(name for name in {*then, *self._about} if then.get(name) != self._about.get(name))
        raise InvalidInputError(
            f"{self.path}: expected the folder of this run; it holds another one's, with other "
            f"{', '.join(names) or 'files'}. Choose another folder, or take this one away."
        )

    def _write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        # Clones, because safetensors refuses tensors that share memory.
        whole = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
        write_atomically(self.path / name, lambda temporary: save_file(whole, temporary))

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(self.path / name, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def run_folder(path: Path | None, about: Mapping[str, Any], *, keep_epochs: bool) -> Iterator[RunFolder | None]:
    """The folder of a run that no other process trains in meanwhile; None for no folder.

    The lock is the operating system's: it is gone with the process, however that ends.

    Raises:
        InvalidInputError: if a process trains in the folder now, or it belongs to another run.
    """
    if path is None:
        yield None
        return
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InvalidInputError(
            f"{path}: expected a folder that nothing trains in; a process does now. Wait for it, stop it, or choose "
            "another folder."
        ) from None
    try:
        yield RunFolder(path, about, keep_epochs=keep_epochs)
    finally:
        lock.release()


def identity(about: Mapping[str, Any]) -> str:
    """A hash of plain values, whatever their order; 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def check_resume(path: Path | None, resume: bool) -> None:
    """Refuses to go on where there is nothing to go on with, and to touch a run that was not asked for.

    Raises:
        InvalidInputError: for ``resume`` without a folder that holds a run, or a folder that holds one without it.
    """
    holds = path is not None and (path / MANIFEST).is_file()
    if resume and not holds:
        raise InvalidInputError(f"--resume: expected --folder with a run that was stopped; {path} holds none.")
    if holds and not resume:
        raise InvalidInputError(f"--folder: {path} holds a run already; add --resume to go on, or choose another.")


def epoch_weights(path: Path) -> dict[int, Path]:
    """By epoch, counted from 1, the file of its weights; in order."""
    return {int(file.stem.removeprefix("epoch-")): file for file in sorted(path.glob("epoch-*.safetensors"))}


def _weights_name(epoch: int) -> str:
    return f"epoch-{epoch:03d}.safetensors"


def _state_name(epoch: int, suffix: str) -> str:
    return f"state-{epoch:03d}{suffix}"
