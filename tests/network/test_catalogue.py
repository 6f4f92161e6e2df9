"""Architectures and classifiers."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from engine.datasets.catalogue import load_dataset
from engine.errors import CheckpointError, InvalidInputError, UnknownNameError
from engine.hardening.training import evaluate_accuracy
from engine.network.catalogue import build_model, models
from engine.network.checkpoint import load_checkpoint, save_checkpoint
from engine.network.classifiers import available_classifiers, load_classifier, load_custom
from engine.network.normalize import Normalize

DATA = Path(os.environ.get("DETOUR_DATA", "/nonexistent"))
SMALL = ["lenet5", "alexnet32", "vgg16_32", "vgg16_narrow", "resnet18_32"]
LARGE = ["alexnet", "vgg16", "resnet18", "resnet50", "inception_v3"]
TIMM = ["inception_v4", "resnetv2_50"]
NARROW = "vgg16_narrow-cifar10"
SHIPPED = ["alexnet32-cifar10", "lenet5-digits", "lenet5-mnist", NARROW, f"{NARROW}-pat", f"{NARROW}-sns"]


def test_names():
    assert models.names() == SMALL + LARGE + TIMM


@pytest.mark.parametrize("name", SMALL + LARGE + TIMM)
def test_gives_logits_and_has_normalisation_inside(name):
    model = build_model(name, classes=7 if name in SMALL else None).eval()
    shape = models[name].facts["image_shape"]
    shape = shape if name in SMALL else (3, 96, 96)
    with torch.no_grad():
        logits = model(torch.rand(2, *shape))
    assert logits.shape == (2, 7 if name in SMALL else 1000)
    assert isinstance(model.normalize, Normalize)


@pytest.mark.parametrize("name", SMALL)
def test_gives_logits_in_train_mode(name):
    images = torch.rand(4, *models[name].facts["image_shape"])
    assert build_model(name)(images).shape == (4, 10)


@pytest.mark.parametrize(
    ("name", "convolutions", "linear"),
    [
        ("lenet5", 2, 3),
        ("alexnet32", 5, 3),
        ("vgg16_32", 13, 3),
        ("vgg16_narrow", 13, 3),
        ("resnet18_32", 20, 1),
        ("resnet50", 53, 1),
    ],
)
def test_layer_counts(name, convolutions, linear):
    kinds = [type(module) for module in build_model(name).modules()]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.Linear)) == (convolutions, linear)


def test_alexnet_has_the_channels_of_cdrp():
    for name in ("alexnet32", "alexnet"):
        assert sum(m.out_channels for m in build_model(name).modules() if isinstance(m, nn.Conv2d)) == 1152


def test_an_architecture_of_timm_needs_no_entry():
    model = build_model("timm/mobilenetv3_small_050", classes=5, image_shape=(3, 48, 48)).eval()
    assert model(torch.rand(1, 3, 48, 48)).shape == (1, 5)
    assert model.normalize.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    with pytest.raises(UnknownNameError, match="no architecture 'nothing'"):
        build_model("timm/nothing")


def test_lenet_layers():
    model = build_model("lenet5")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert list(layers) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert sum(p.numel() for p in model.parameters()) == 61_706


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet5", (1, 11, 28)),
        ("alexnet32", (3, 15, 15)),
        ("vgg16_32", (3, 31, 32)),
        ("vgg16_narrow", (3, 31, 32)),
        ("resnet18_32", (3, 4, 4)),
    ],
)
def test_image_too_small(name, shape):
    with pytest.raises(InvalidInputError, match="at least"):
        build_model(name, 10, shape)


@pytest.mark.parametrize("name", LARGE)
def test_imagenet_models_need_colour(name):
    with pytest.raises(InvalidInputError, match="3 channels"):
        build_model(name, 10, (1, 299, 299))


def test_too_few_classes_and_wrong_normalisation():
    with pytest.raises(InvalidInputError, match="at least 2 classes"):
        build_model("lenet5", 1)
    with pytest.raises(InvalidInputError, match="expected 1 means"):
        build_model("lenet5", mean=(0.5, 0.5), std=(1.0, 1.0))
    with pytest.raises(InvalidInputError, match="positive"):
        Normalize((0.5,), (0.0,))


def test_compatibility():
    digits = load_dataset("digits")
    assert models["lenet5"].is_compatible(digits)
    assert not models["vgg16_32"].is_compatible(digits)
    assert not models["alexnet"].is_compatible(digits)


def test_normalisation():
    out = Normalize((0.5, 0.25), (0.5, 0.25))(torch.ones(1, 2, 1, 1))
    assert out.flatten().tolist() == [1.0, 3.0]


def test_shipped_digits_classifier():
    classifier = load_classifier("lenet5-digits")
    accuracy = evaluate_accuracy(classifier.module, load_dataset("digits").test)
    assert accuracy >= 0.98
    assert accuracy == pytest.approx(classifier.card["test_accuracy"], abs=1e-6)
    assert not classifier.module.training
    assert classifier.warning == ""
    assert (classifier.label, classifier.image_shape) == ("LeNet-5 · Digits (8×8)", (1, 28, 28))
    assert classifier.card["dataset_key"] == load_dataset("digits").key


@pytest.mark.skipif(not (DATA / "MNIST").is_dir(), reason="needs MNIST: set DETOUR_DATA to its folder")
def test_shipped_mnist_classifier():
    classifier = load_classifier("lenet5-mnist")
    assert evaluate_accuracy(classifier.module, load_dataset("mnist").test) >= 0.992


@pytest.mark.skipif(not (DATA / "cifar10").is_dir(), reason="needs CIFAR-10 images: set DETOUR_DATA to their folder")
@pytest.mark.parametrize(
    ("name", "accuracy"),
    [("alexnet32-cifar10", 0.8), (NARROW, 0.85), (f"{NARROW}-pat", 0.65), (f"{NARROW}-sns", 0.7)],
)
def test_shipped_cifar10_classifier(name, accuracy):
    classifier, data = load_classifier(name), load_dataset("cifar10")
    assert classifier.card["test_accuracy"] >= accuracy
    assert classifier.card["dataset_key"] == data.key
    rows = range(500)
    right = classifier.module(data.test.images(rows)).argmax(dim=1).numpy() == data.test.labels[rows]
    assert right.mean() == pytest.approx(classifier.card["test_accuracy"], abs=0.06)  # half a thousand images: 4 σ


def test_loading_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    first, second = load_classifier("lenet5-digits"), load_classifier("lenet5-digits")
    assert torch.equal(before, torch.get_rng_state())
    assert first.key == second.key
    assert first.key != load_classifier("lenet5-mnist").key


CARD = {
    "label": "Mine",
    "architecture": "lenet5",
    "dataset": "digits",
    "classes": ["a", "b"],
    "image_shape": [1, 28, 28],
}


def test_own_classifiers_are_found(tmp_path):
    save_checkpoint(build_model("lenet5", 2), tmp_path / "mine.safetensors", CARD)
    (tmp_path / "lonely.json").write_text("{}")
    registry = available_classifiers(tmp_path)
    assert registry.names() == [*SHIPPED, "mine"]
    assert registry["mine"].facts["image_shape"] == (1, 28, 28)
    assert load_classifier("mine", tmp_path).classes == ("a", "b")
    with pytest.raises(UnknownNameError, match="Did you mean 'mine'"):
        load_classifier("mime", tmp_path)


@pytest.mark.parametrize(
    ("name", "how"),
    [("resnet50", "add resnet50"), ("lenet5", "train lenet5 --dataset mnist")],
    ids=["published", "own"],
)
def test_an_architecture_is_no_classifier_and_says_how_to_make_one(name, how, tmp_path):
    with pytest.raises(UnknownNameError, match=f"{name} is an architecture .*: python -m engine {how}"):
        load_classifier(name, tmp_path)


def test_user_directory_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("DETOUR_HOME", str(tmp_path))
    assert available_classifiers().names() == SHIPPED
    save_checkpoint(build_model("lenet5", 2), tmp_path / "models" / "mine.safetensors", CARD)
    assert "mine" in available_classifiers()


def test_weights_that_do_not_match_their_card(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_checkpoint(build_model("lenet5", 2), path, CARD)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="does not match the sha256"):
        load_classifier("mine", tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "expected a model's card"),
        (json.dumps({**CARD, "classes": 3}), "'classes'"),
        (json.dumps({**CARD, "image_shape": [1, "x", 2]}), "three whole numbers"),
    ],
)
def test_damaged_card(tmp_path, text, reason):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    (tmp_path / "mine.json").write_text(text)
    found = available_classifiers(tmp_path)
    assert reason.strip("'") in found["mine"].facts["problem"]
    with pytest.raises(CheckpointError, match=reason):
        found["mine"].create()
    assert found["lenet5-digits"].create().name == "lenet5-digits"


def test_name_of_a_shipped_classifier_is_taken(tmp_path):
    save_checkpoint(build_model("lenet5", 2), tmp_path / "lenet5-mnist.safetensors", CARD)
    found = available_classifiers(tmp_path)
    with pytest.raises(CheckpointError, match="shipped classifier of that name"):
        found["lenet5-mnist-2"].create()
    assert found["lenet5-mnist"].facts["classes"] == [str(digit) for digit in range(10)]


def test_nan_weights_are_flagged(tmp_path):
    model = build_model("lenet5", 2)
    model.fc1.weight.data[0, 0] = float("nan")
    save_checkpoint(model, tmp_path / "mine.safetensors", CARD)
    assert "NaN or infinite values (fc1.weight)" in load_classifier("mine", tmp_path).warning


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\n"
        "def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))\n"
        "def fail():\n    raise RuntimeError('no luck')\n"
        "number = lambda: 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_net"
    sys.modules.pop("own_net", None)


SETTINGS = {"dataset": "mine", "classes": ("a", "b"), "image_shape": (1, 2, 2)}


def test_custom_model(user_module, tmp_path):
    trained = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    save_checkpoint(trained, tmp_path / "own.safetensors", {})
    classifier = load_custom("own_net:make", tmp_path / "own.safetensors", **SETTINGS)
    assert torch.equal(classifier.module[1].weight, trained[1].weight)
    assert (classifier.architecture, classifier.label) == ("own_net:make", "make · mine")
    assert not classifier.module.training


@pytest.mark.parametrize(
    ("spec", "changes", "reason"),
    [
        ("own_net", {}, "package.module:factory"),
        ("no_such_module:make", {}, "ModuleNotFoundError"),
        ("own_net:absent", {}, "AttributeError"),
        ("own_net:fail", {}, "no luck"),
        ("own_net:number", {}, "got int"),
        ("own_net:make", {"classes": ("a", "b", "c")}, r"expected logits of shape \(2, 3\)"),
        ("own_net:make", {"image_shape": (1, 3, 3)}, "cannot take images"),
    ],
)
def test_custom_model_that_does_not_fit(user_module, spec, changes, reason):
    with pytest.raises(InvalidInputError, match=reason):
        load_custom(spec, **{**SETTINGS, **changes})


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "inception_v3"])
def test_torchvisions_own_weights_fit_and_give_its_logits(name, tmp_path):
    options = {"init_weights": False} if name == "inception_v3" else {}
    theirs = torchvision.models.get_model(name, weights=None, num_classes=5, **options).eval()
    path = tmp_path / "theirs.safetensors"
    save_file(theirs.state_dict(), path)
    ours = build_model(name, 5).eval()
    load_checkpoint(ours, path)
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(ours.normalize(images)))
