"""Checkpoints: round trips, and every way a file can be bad."""

import io
import json
import os
import pickle
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import engine.network.checkpoint as checkpoint
from engine.errors import CheckpointError
from engine.network.catalogue import build_model
from engine.network.checkpoint import file_sha256, load_checkpoint, save_checkpoint


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_refused(path, reason):
    module = net()
    before = state_of(module)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(module, path)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_round_trip(tmp_path):
    source, target = net(), net()
    path = tmp_path / "net.safetensors"
    card = save_checkpoint(source, path, {"label": "Net · é"})
    loaded = load_checkpoint(target, path)
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())
    assert card == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == loaded.sha256 == file_sha256(path)
    assert card["parameters"] == 20 + 4 + 27
    assert loaded.non_finite == ()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


def test_the_same_weights_give_the_same_file(tmp_path):
    module = net()
    first = save_checkpoint(module, tmp_path / "a.safetensors", {})
    assert first == save_checkpoint(module, tmp_path / "b.safetensors", {})


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save_checkpoint(net(), path, {})
    before = path.read_bytes()

    def full_disk(state, file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(net(), path, {})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_other_suffix_is_not_written(tmp_path):
    with pytest.raises(CheckpointError, match="safetensors"):
        save_checkpoint(net(), tmp_path / "net.pt", {})


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3}])
def test_torch_file(tmp_path, wrap):
    source, target = net(), net()
    torch.save(wrap(source.state_dict()), tmp_path / "net.pth")
    load_checkpoint(target, tmp_path / "net.pth")
    assert torch.equal(source[3].weight, target[3].weight)


def test_weights_of_data_parallel_training(tmp_path):
    source, target = net(), net()
    torch.save({f"module.{name}": value for name, value in source.state_dict().items()}, tmp_path / "net.pt")
    load_checkpoint(target, tmp_path / "net.pt")
    assert torch.equal(source[3].weight, target[3].weight)


def test_normalisation_and_step_counters_may_be_absent(tmp_path):
    source = build_model("resnet18_32")
    kept = {
        name: value
        for name, value in source.state_dict().items()
        if not name.startswith("normalize.") and not name.endswith("num_batches_tracked")
    }
    save_file(kept, tmp_path / "bare.safetensors")
    target = build_model("resnet18_32", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    load_checkpoint(target, tmp_path / "bare.safetensors")
    assert torch.equal(target.fc.weight, source.fc.weight)
    assert target.normalize.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_absent(tmp_path):
    assert_refused(tmp_path / "absent.pt", "no checkpoint at")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("name", ["evil.safetensors", "evil.pt", "evil.pth"])
@pytest.mark.parametrize("form", ["pickle", "archive", "legacy"])
def test_pickle_is_refused_and_not_run(tmp_path, name, form):
    payload = Payload(tmp_path / "was_run")
    if form == "pickle":
        (tmp_path / name).write_bytes(pickle.dumps(payload))
    else:
        torch.save({"a": payload}, tmp_path / name, _use_new_zipfile_serialization=form == "archive")
    assert_refused(tmp_path / name, "is not a (readable )?safetensors|nothing in it was run")
    assert not (tmp_path / "was_run").exists()


def test_archive_that_inflates_is_refused_before_loading(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", pickle.dumps({}))
        archive.writestr("bomb/data/0", bytes(64 * 2**20))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the archive was opened"))
    assert_refused(path, r"unpacks to 67,\d{3},\d{3} bytes")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_truncated(tmp_path, suffix, share):
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        torch.save(net().state_dict(), path)
    else:
        save_checkpoint(net(), path, {})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert_refused(path, "truncated|damaged|cannot be loaded")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".safetensors", ".pt"]))
def test_random_bytes(tmp_path_factory, data, suffix):
    path = tmp_path_factory.getbasetemp() / f"random{suffix}"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        load_checkpoint(net(), path)


def test_first_mismatches_are_listed(tmp_path):
    torch.save({f"layer{n}": torch.zeros(1) for n in range(9)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(net(), tmp_path / "other.pt")
    message = str(error.value)
    assert "0.weight is missing; 0.bias is missing" in message
    assert "and 12 more" in message


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_wrong_shape(tmp_path, suffix):
    state = {**net().state_dict(), "3.weight": torch.zeros(4, 8)}
    path = tmp_path / f"net{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert_refused(path, r"3\.weight has shape \(4, 8\), the model's is \(3, 8\)")


def test_content_that_is_no_state_dict(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    assert_refused(tmp_path / "list.pt", "holds no state dict")


def test_sparse_tensor(tmp_path):
    torch.save({**net().state_dict(), "3.weight": torch.zeros(3, 8).to_sparse()}, tmp_path / "sparse.pt")
    assert_refused(tmp_path / "sparse.pt", "not a plain dense tensor|cannot be loaded")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_weights_are_loaded_and_named(tmp_path, value):
    module = net()
    module[3].bias.data[1] = value
    save_checkpoint(module, tmp_path / "net.safetensors", {})
    assert load_checkpoint(net(), tmp_path / "net.safetensors").non_finite == ("3.bias",)


def test_zip_that_is_no_checkpoint(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "doc.pt").write_bytes(buffer.getvalue())
    assert_refused(tmp_path / "doc.pt", "cannot be loaded")
