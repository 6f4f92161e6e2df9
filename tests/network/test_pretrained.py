"""Published weights: found in a folder, judged, and a clear word where they cannot be had."""

import hashlib
import urllib.error

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import CheckpointError
from engine.network import pretrained
from engine.network.catalogue import build_model
from engine.network.initialisation import he_initialise
from engine.network.pretrained import load_pretrained


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A machine without a network, where nothing was downloaded before."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def fail(*_arguments, **_options):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)


def plain_state(module):
    return {name: value for name, value in module.state_dict().items() if not name.startswith("normalize")}


def test_weights_in_a_folder_are_loaded_whatever_the_format(offline, tmp_path):
    source = build_model("resnet18")
    he_initialise(source, 1)
    state = plain_state(source)
    for place, save in enumerate(
        (
            lambda folder: torch.save(state, folder / "resnet18-f37072fd.pth"),
            lambda folder: torch.save(state, folder / "resnet18.pth", _use_new_zipfile_serialization=False),
            lambda folder: save_file(state, folder / "resnet18.safetensors"),
        )
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        save(folder)
        module = build_model("resnet18")
        assert "IMAGENET1K_V1" in load_pretrained(module, "resnet18", folder)
        assert torch.equal(module.layer1[0].conv1.weight, source.layer1[0].conv1.weight)


def test_weights_of_timm_fit_behind_the_normalisation(offline, tmp_path):
    source = build_model("timm/mobilenetv3_small_050")
    save_file(dict(source.network.state_dict()), tmp_path / "mobilenetv3_small_050.safetensors")
    module = build_model("timm/mobilenetv3_small_050")
    assert load_pretrained(module, "timm/mobilenetv3_small_050", tmp_path).startswith("timm mobilenetv3_small_050")
    assert torch.equal(module.network.conv_stem.weight, source.network.conv_stem.weight)


@pytest.mark.parametrize(
    ("name", "file"), [("resnet18", "resnet18-f37072fd.pth"), ("timm/mobilenetv3_small_050", "mobilenetv3_small_050")]
)
def test_without_a_network_the_message_says_what_to_do(offline, tmp_path, name, file):
    with pytest.raises(CheckpointError, match="--weights none") as error:
        load_pretrained(build_model(name), name, tmp_path)
    assert file in str(error.value)
    assert "no network" in str(error.value)


def test_a_download_is_checked_by_its_checksum(offline, monkeypatch, tmp_path):
    content = tmp_path / "content"
    torch.save(plain_state(build_model("resnet18")), content)
    asked = {}

    def download(url, target, hash_prefix, progress):
        asked.update(url=url, prefix=hash_prefix)
        data = content.read_bytes()
        if not hashlib.sha256(data).hexdigest().startswith("f37072fd"):
            raise RuntimeError("invalid hash value")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(CheckpointError, match="invalid hash value"):
        load_pretrained(build_model("resnet18"), "resnet18")
    assert asked["prefix"] == "f37072fd"
    assert asked["url"].endswith("resnet18-f37072fd.pth")


def test_weights_of_another_model_are_refused(offline, tmp_path):
    state = plain_state(build_model("resnet18", classes=7))
    torch.save(state, tmp_path / "resnet18.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"fc\.weight"):
        load_pretrained(build_model("resnet18"), "resnet18", tmp_path)
    (tmp_path / "resnet18.pth").write_bytes(b"no weights at all")
    with pytest.raises(CheckpointError, match="download it again"):
        load_pretrained(build_model("resnet18"), "resnet18", tmp_path)


def test_an_architecture_of_this_project_has_no_published_weights(offline):
    with pytest.raises(CheckpointError, match="nobody publishes"):
        load_pretrained(build_model("lenet5"), "lenet5")


def test_every_entry_said_to_be_of_timm_is_one():
    assert set(pretrained.OF_TIMM) == {"inception_v4", "resnetv2_50"}
    for name in pretrained.OF_TIMM:
        assert hasattr(build_model(name), "network")
