"""Published ImageNet weights: found in a folder, in a library's own cache, or downloaded."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.errors import CheckpointError
from engine.network.catalogue import TIMM
from engine.network.checkpoint import LoadedCheckpoint, file_sha256, load_checkpoint, non_finite_tensors

#: Catalogue entries that are timm's; the rest of those for ImageNet are torchvision's.
OF_TIMM = ("inception_v4", "resnetv2_50")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def load_pretrained(module: nn.Module, architecture: str, folder: Path | None = None) -> str:
    """Loads the weights that torchvision (its first version) or timm publish for an architecture.

    Looked for in ``folder``, under the file name of the publisher (``vgg16-397923af.pth``) or the architecture's
    (``vgg16.pth``), then where the library keeps what it downloaded before, then on the network.

    Returns:
        where the weights come from, for the model's card.

    Raises:
        CheckpointError: if there are none for it, they can be found nowhere, or they do not fit.
    """
    if architecture in OF_TIMM or architecture.startswith(TIMM):
        return _load_timm(module, architecture.removeprefix(TIMM), folder)
    return _load_torchvision(module, architecture, folder)


def _load_torchvision(module: nn.Module, architecture: str, folder: Path | None) -> str:
    torchvision = import_module("torchvision.models")
    if architecture not in torchvision.list_models():
        raise CheckpointError(f"{architecture}: nobody publishes weights for it; train it, or give --weights none.")
    published = torchvision.get_model_weights(architecture).IMAGENET1K_V1
    name = published.url.rpartition("/")[2]
    file = _in_folder(folder, name, architecture) or Path(torch.hub.get_dir()) / "checkpoints" / name
    if not file.is_file():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            checksum = name.rpartition("-")[2].partition(".")[0]
            torch.hub.download_url_to_file(published.url, str(file), hash_prefix=checksum, progress=False)
        except (OSError, RuntimeError) as error:
            raise _unreachable(architecture, name, published.url, error) from error
    _load_published(module, file)
    return f"torchvision {architecture} IMAGENET1K_V1 ({name})"


def _load_timm(module: nn.Module, name: str, folder: Path | None) -> str:
    published = import_module("timm").get_pretrained_cfg(name)
    full = f"{published.architecture}.{published.tag}" if published.tag else name
    file = _in_folder(folder, f"{full}.safetensors", full, name)
    if file is None and not published.hf_hub_id:
        raise CheckpointError(f"{name}: nobody publishes weights for it; train it, or give --weights none.")
    if file is None:
        where = f"huggingface.co/{published.hf_hub_id}"
        try:
            file = Path(import_module("huggingface_hub").hf_hub_download(published.hf_hub_id, "model.safetensors"))
        except Exception as error:  # of many kinds: no network, no such repository, a damaged cache
            raise _unreachable(name, f"{full}.safetensors", where, error) from error
    network = module.get_submodule("network")
    _load_published(network, file)
    return f"timm {full}"


def _in_folder(folder: Path | None, *names: str) -> Path | None:
    """The first file of one of those names, or of one of them with a checkpoint's ending."""
    if folder is None:
        return None
    candidates = [folder / f"{name}{suffix}" for name in names for suffix in ("", *SUFFIXES)]
    return next((file for file in candidates if file.is_file()), None)


def _load_published(module: nn.Module, file: Path) -> LoadedCheckpoint:
    """As :func:`load_checkpoint`, and the older torch files too that publishers still offer; never running code."""
    if file.suffix != ".safetensors" and not _is_archive(file):
        state = _read_legacy(file)
        expected = module.state_dict()
        wrong = [name for name in expected if name not in state and not name.startswith("normalize.")]
        wrong += [name for name, value in state.items() if name not in expected or value.shape != expected[name].shape]
        if wrong:
            raise CheckpointError(f"{file.name} does not fit the model: {', '.join(wrong[:5])}.")
        module.load_state_dict(state, strict=False)
        return LoadedCheckpoint(file_sha256(file), non_finite_tensors(module))
    return load_checkpoint(module, file)


def _is_archive(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"PK"


def _read_legacy(file: Path) -> dict[str, torch.Tensor]:
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here, and all of them mean the same to the caller
        raise CheckpointError(f"{file}: cannot be loaded as weights alone ({error}); download it again.") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{file}: holds no state dict; expected a mapping of names to tensors.")
    return content


def _unreachable(architecture: str, name: str, source: str, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return CheckpointError(
        f"{architecture}: the published weights are not here and cannot be downloaded ({reason}). Put {name} from "
        f"{source} into a folder and give it as --weights-dir, give a checkpoint of your own as --weights FILE, or "
        "--weights none for random ones."
    )
