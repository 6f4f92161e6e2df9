"""Saving and loading weights. Nothing that is loaded here can run code.

Two formats are read: safetensors, and torch's own zip archives restricted to tensors (``weights_only=True``). A file is
judged before its weights are: by its first bytes, by what its archive says it unpacks to, and by its keys and shapes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from engine.errors import CheckpointError
from engine.files import DAMAGED_ARCHIVE, write_atomically
from engine.network.normalize import Normalize

# An archive may also hold an optimiser's state (twice the weights); beyond that it is not a checkpoint of the model.
ARCHIVE_FACTOR = 4
ARCHIVE_SLACK = 16 * 2**20
MISMATCHES_LISTED = 5


@dataclass(frozen=True, slots=True)
class LoadedCheckpoint:
    """What is known of weights after loading them.

    Attributes:
        sha256: of the file.
        non_finite: names of the tensors with NaN or infinite values; empty for a sound checkpoint.
    """

    sha256: str
    non_finite: tuple[str, ...]


def save_checkpoint(
    module: nn.Module, path: Path, card: Mapping[str, Any], *, dtype: torch.dtype | None = None
) -> dict[str, Any]:
    """Writes the weights as safetensors to ``path`` and the card as JSON beside it, each in one piece or not at all.

    The card gains ``parameters`` (their number) and ``sha256`` (of the weights file), by which a later reader notices
    a card and weights that do not belong together. Returns the card as written. ``dtype`` is that of the parameters in
    the file, for half the size; as they are if None. Loading gives them the module's own.

    Raises:
        CheckpointError: if ``path`` does not end in ``.safetensors``.
    """
    if path.suffix != ".safetensors":
        raise CheckpointError(f"checkpoints are saved as .safetensors; got {path.name!r}.")
    # Clones, because safetensors refuses tensors that share memory.
    state = {name: value.detach().cpu().clone().contiguous() for name, value in module.state_dict().items()}
    if dtype is not None:
        state |= {name: state[name].to(dtype) for name, _ in module.named_parameters()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: save_file(state, temporary))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    full = {**card, "parameters": parameters, "sha256": file_sha256(path)}
    text = json.dumps(full, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path.with_suffix(".json"), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return full


def load_checkpoint(module: nn.Module, path: Path) -> LoadedCheckpoint:
    """Loads the weights of ``path`` into ``module``; on any error the module stays as it was.

    Normalisation constants and batch norm's step counters may be absent: they then keep the module's values, so that
    plain torchvision checkpoints fit. NaN and infinite weights are loaded, and named in the result.

    Raises:
        CheckpointError: for a file that is absent, of another format, damaged, unpacks to far more than the model
            needs, or does not fit; the first mismatches are listed.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; expected a .safetensors, .pt or .pth file.")
    expected = module.state_dict()
    state = _read_safetensors(path, expected) if path.suffix == ".safetensors" else _read_archive(path, expected)
    _check_fit(path, expected, {name: tuple(value.shape) for name, value in state.items()}, _optional_keys(module))
    for name, value in state.items():
        wanted = expected[name]
        plain = value.layout == torch.strided and not value.is_meta and not value.is_quantized
        kind = (value.is_complex(), value.is_floating_point())
        if not plain or kind != (wanted.is_complex(), wanted.is_floating_point()):
            raise CheckpointError(
                f"{path.name}: {name} is not a plain dense tensor of {wanted.dtype}; it is of {value.dtype}. "
                "Save the state_dict() of the model before it is quantised."
            )
    module.load_state_dict(state, strict=False)
    return LoadedCheckpoint(file_sha256(path), non_finite_tensors(module))


def non_finite_tensors(module: nn.Module) -> tuple[str, ...]:
    """Names of the module's parameters and buffers that hold NaN or infinite values."""
    return tuple(
        name
        for name, value in module.state_dict().items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _optional_keys(module: nn.Module) -> set[str]:
    optional = set()
    for prefix, child in module.named_modules():
        if isinstance(child, Normalize):
            optional |= {f"{prefix}.mean", f"{prefix}.std"}
        elif isinstance(child, nn.modules.batchnorm._BatchNorm):
            optional.add(f"{prefix}.num_batches_tracked")
    return optional


def _read_safetensors(path: Path, expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            # Tensors of other shapes are not read: _check_fit will refuse them by their header alone.
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return {
                name: file.get_tensor(name)
                if name in expected and shape == tuple(expected[name].shape)
                else torch.empty(shape, device="meta")
                for name, shape in shapes.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is not a readable safetensors file ({error}); it may be truncated: copy or save it again."
        ) from error


def _read_archive(path: Path, expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not zipfile.is_zipfile(path):
        # Older torch files are bare pickles; they are refused along with everything else that is not an archive.
        raise CheckpointError(
            f"{path.name} is not a safetensors file or a torch archive, or it is truncated; "
            "save the model's state_dict() with safetensors, or with torch.save of PyTorch 1.6 or newer."
        )
    _check_inflation(path, sum(value.numel() * value.element_size() for value in expected.values()))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here, and all of them mean the same to the caller
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path.name} cannot be loaded as weights alone ({reason}); nothing in it was run. "
            "Save the model's state_dict() instead."
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{path.name} holds no state dict; expected a mapping of names to tensors.")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _check_inflation(path: Path, needed: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except DAMAGED_ARCHIVE as error:
        raise CheckpointError(f"{path.name} is a damaged archive ({error}); copy or save it again.") from error
    limit = ARCHIVE_FACTOR * needed + ARCHIVE_SLACK
    if unpacked > limit:
        raise CheckpointError(
            f"{path.name} ({path.stat().st_size:,} bytes) unpacks to {unpacked:,} bytes, but the model needs "
            f"{needed:,}; refused above {limit:,}. Save only the model's state_dict()."
        )


def _check_fit(
    path: Path, expected: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]], optional: set[str]
) -> None:
    mismatches = [f"{name} is missing" for name in expected if name not in shapes and name not in optional]
    mismatches += [f"{name} is not in the model" for name in shapes if name not in expected]
    mismatches += [
        f"{name} has shape {shapes[name]}, the model's is {tuple(value.shape)}"
        for name, value in expected.items()
        if name in shapes and shapes[name] != tuple(value.shape)
    ]
    if mismatches:
        more = len(mismatches) - MISMATCHES_LISTED
        listed = "; ".join(mismatches[:MISMATCHES_LISTED]) + (f"; and {more} more" if more > 0 else "")
        raise CheckpointError(f"{path.name} does not fit the model: {listed}. Choose the architecture it was made for.")
