"""Runs that are stopped, killed and resumed, and the folder that they resume from."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from engine.errors import InvalidInputError
from engine.hardening.hardening import harden
from engine.hardening.methods.pat import PAT
from engine.hardening.state import LOCK, MANIFEST, RunFolder, TrainingState, epoch_weights
from engine.hardening.training import train_classifier
from engine.network.checkpoint import load_checkpoint
from tests.conftest import ROOT
from tests.hardening.interrupted import SETTINGS, run
from tests.hardening.nets import Normed, few, lenet, same_weights, toy_data


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sns", "pat"])
def test_a_run_killed_in_the_middle_of_an_epoch_gives_the_weights_of_one_that_was_not(name, tmp_path, capsys):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hardening.interrupted", str(folder), name, "0.03"], cwd=ROOT,
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("Epoch 3 of 4, batch 2 of 3"):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(20) == -signal.SIGKILL
    process.stdout.close()
    assert json.loads((folder / MANIFEST).read_text())["epoch"] == 2
    resumed, report = run(folder, name)
    assert "finished 1" not in capsys.readouterr().out
    whole, other = run(None, name)
    assert same_weights(whole, resumed)
    assert report.curves.report() | {"seconds": 0} == other.curves.report() | {"seconds": 0}


def test_a_run_killed_while_it_writes_leaves_a_whole_state(tmp_path, monkeypatch):
    """Whatever file is the last that is written, the manifest names a state that can be gone on from."""
    data = toy_data(32)
    parent, settings, method = lenet(data), few(epochs=3), PAT(epsilon=0.1, steps=1)
    from engine.hardening import hardening, state

    whole, _ = hardening.harden(parent, data, method, settings=settings)
    real = state.write_atomically

    class Killed(BaseException):
        pass

    for after in range(1, 12):
        written = []

        def write(path, fill, written=written, after=after):
            if len(written) == after:
                (path.parent / f".{path.name}.left.partial").write_bytes(b"half")
                raise Killed
            written.append(path)
            real(path, fill)

        monkeypatch.setattr(state, "write_atomically", write)
        folder = tmp_path / str(after)
        with pytest.raises(Killed):
            hardening.harden(parent, data, method, settings=settings, folder=folder)
        monkeypatch.setattr(state, "write_atomically", real)
        resumed, _ = hardening.harden(parent, data, method, settings=settings, folder=folder)
        assert same_weights(whole, resumed)
        names = sorted(file.name for file in folder.iterdir() if file.name != LOCK)
        assert names == [
            "epoch-001.safetensors", "epoch-002.safetensors", "epoch-003.safetensors", MANIFEST,
            "state-003.json", "state-003.safetensors",
        ]  # fmt: skip


def test_a_finished_run_is_not_trained_again(tmp_path, capsys):
    first, _ = run(tmp_path / "run", "pat")
    capsys.readouterr()
    again, report = run(tmp_path / "run", "pat")
    assert same_weights(first, again)
    assert report.curves.epochs == SETTINGS.epochs
    assert "Epoch" not in capsys.readouterr().out
    network = Normed()
    load_checkpoint(network, epoch_weights(tmp_path / "run")[4])
    assert same_weights(network, first)


def test_another_run_s_folder_is_refused_and_a_damaged_state_begun_anew(tmp_path, caplog):
    data = toy_data(32)
    parent, method = lenet(data), PAT(epsilon=0.1, steps=1)
    from engine.hardening.hardening import harden

    whole, _ = harden(parent, data, method, settings=few(), folder=tmp_path)
    for what, change in (("training", {"settings": few(lr=0.01)}), ("seed", {"seed": 9}), ("threads", {"threads": 2})):
        with pytest.raises(InvalidInputError, match=f"with other {what}"):
            harden(parent, data, method, **{"settings": few(), **change}, folder=tmp_path)
    with pytest.raises(InvalidInputError, match="method_settings"):
        harden(parent, data, PAT(epsilon=0.2, steps=1), settings=few(), folder=tmp_path)
    with pytest.raises(InvalidInputError, match="parent_key"):
        harden(lenet(data, seed=1), data, method, settings=few(), folder=tmp_path)
    (tmp_path / "state-002.safetensors").write_bytes(b"damaged")
    again, _ = harden(parent, data, method, settings=few(), folder=tmp_path)
    assert same_weights(whole, again)
    assert "begins anew" in caplog.text
    (tmp_path / MANIFEST).write_text("{")
    again, _ = harden(parent, data, method, settings=few(), folder=tmp_path)
    assert same_weights(whole, again)


def test_only_the_last_epoch_is_kept_if_so_wished(tmp_path):
    data = toy_data(32)
    model, _ = train_classifier("lenet5", data, epochs=3, folder=tmp_path, keep_epochs=False)
    assert list(epoch_weights(tmp_path)) == [3]
    saved = load_file(epoch_weights(tmp_path)[3])
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())


def test_plain_training_resumes_too(tmp_path):
    data = toy_data(32)
    whole, report = train_classifier("lenet5", data, epochs=3, seed=4, held_out=5)

    class Stop(Exception):
        pass

    def stop(curves):
        if curves.epochs == 2:
            raise Stop

    with pytest.raises(Stop):
        train_classifier("lenet5", data, epochs=3, seed=4, held_out=5, folder=tmp_path, on_epoch=stop)
    resumed, again = train_classifier("lenet5", data, epochs=3, seed=4, held_out=5, folder=tmp_path)
    assert same_weights(whole, resumed)
    assert report.loss.tolist() == again.loss.tolist()
    assert report.curves.clean.tolist() == again.curves.clean.tolist()


def test_two_runs_do_not_share_a_folder(tmp_path):
    data, settings, method = toy_data(32), few(epochs=1), PAT(epsilon=0.1, steps=1)

    def second(curves):
        with pytest.raises(InvalidInputError, match="expected a folder that nothing trains in; a process does now"):
            harden(lenet(data), data, method, settings=settings, folder=tmp_path)
        seen.append(curves.epochs)

    seen = []
    harden(lenet(data), data, method, settings=settings, folder=tmp_path, on_epoch=second)
    assert seen == [1]
    harden(lenet(data), data, method, settings=settings, folder=tmp_path)  # what is finished keeps nobody out


def test_a_state_holds_tensors_and_json_alone(tmp_path):
    folder = RunFolder(tmp_path, {"seed": 1})
    shared = torch.arange(4.0)
    model = nn.Linear(2, 2)
    folder.save(TrainingState(1, model.state_dict(), {"one": shared, "two": shared[:2]}, {"numbers": [0.1 + 0.2]}))
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json"}
    state = RunFolder(tmp_path, {"seed": 1}).load()
    assert state.plain == {"numbers": [0.1 + 0.2]}
    assert torch.equal(state.tensors["two"], shared[:2])
    assert folder.last_checkpoint == tmp_path / "epoch-001.safetensors"
