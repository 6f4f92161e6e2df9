"""Detectors come back as they were, for what they were made for, and run no code."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.pipeline import FunctionTransformer
from skops import io as skops

from engine.detection.catalogue import detectors
from engine.detection.storage import DetectorCard, load_detector, save_detector
from engine.errors import InvalidInputError

CARD = DetectorCard(
    "joint_similarity", "m" * 64, "d" * 64, 0.5, "synapses", None, tuple("abcdef"), {"FGSM": {"attack": "fgsm"}}, 0.2,
    {"FGSM": 0.95}, (3, 4), (0.5,) * 6, {"epsilon": 0.2, "steps": 10, "images": 9, "misled": 8, "missed": 3},
)  # fmt: skip


@pytest.fixture(params=detectors.names())
def saved(request, tmp_path):
    random = np.random.default_rng(0)
    values, labels = random.random((60, 6)), np.repeat([0, 1], 30)
    detector = detectors[request.param].create().fit(values, labels)
    save_detector(tmp_path / "detector", detector, replace(CARD, detector=request.param))
    return tmp_path / "detector", detector, values


def load(folder, **keys):
    return load_detector(folder, **({"model_key": "m" * 64, "dataset_key": "d" * 64} | keys))


def test_it_comes_back_as_it_was(saved):
    folder, detector, values = saved
    loaded, card = load(folder)
    np.testing.assert_allclose(loaded.predict_proba(values), detector.predict_proba(values))
    assert card == replace(CARD, detector=card.detector)
    assert not [file for file in folder.iterdir() if file.suffix == ".partial"]


@pytest.mark.parametrize("keys", [{"model_key": "other"}, {"dataset_key": "other"}])
def test_it_is_for_its_model_and_data_alone(saved, keys):
    with pytest.raises(InvalidInputError, match="fit it again"):
        load(saved[0], **keys)


def test_another_version_is_refused(saved):
    folder = saved[0]
    content = json.loads((folder / "detector.json").read_text())
    content["card"]["version"] = "0.0.1"
    (folder / "detector.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInputError, match="version"):
        load(folder)


@pytest.mark.parametrize("name", ["detector.json", "detector.skops"])
def test_a_damaged_file_is_refused(saved, name):
    file = saved[0] / name
    if not file.exists():
        pytest.skip("joint similarity is JSON alone")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InvalidInputError):
        load(saved[0])


def test_other_types_are_refused_before_anything_is_loaded(tmp_path):
    random = np.random.default_rng(0)
    forest = detectors["random_forest"].create().fit(random.random((20, 6)), np.repeat([0, 1], 10))
    folder = tmp_path / "detector"
    save_detector(folder, forest, replace(CARD, detector="random_forest"))
    data = skops.dumps(FunctionTransformer(func=json.dumps))
    (folder / "detector.skops").write_bytes(data)
    content = json.loads((folder / "detector.json").read_text())
    content["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "detector.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInputError, match="types of a detector"):
        load(folder)


@pytest.mark.parametrize("coef", [[1.0] * 5, [1.0] * 5 + [-1.0], [1.0] * 5 + ["x"]])
def test_coefficients_that_make_no_detector_are_refused(tmp_path, coef):
    values, labels = np.random.default_rng(0).random((60, 6)), np.repeat([0, 1], 30)
    save_detector(tmp_path, detectors["joint_similarity"].create().fit(values, labels), CARD)
    content = json.loads((tmp_path / "detector.json").read_text())
    content["joint_similarity"]["coef"] = coef
    (tmp_path / "detector.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInputError, match="coefficients"):
        load(tmp_path)
