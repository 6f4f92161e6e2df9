"""What every attack in the registry must hold to, one table over all of them."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks import Attack, AttackResult, attacks
from engine.errors import Cancelled, EngineError, InvalidInputError
from engine.registry import Entry, Parameter

# Few steps keep the table fast; ε is large enough to break the tiny net.
FAST = {
    "fgsm": {"epsilon": 0.3},
    "bim": {"epsilon": 0.3, "steps": 4, "relative_step": 0.5},
    "pgd_linf": {"epsilon": 0.3, "steps": 4, "relative_step": 0.5},
    "pgd_l2": {"epsilon": 2.0, "steps": 4, "relative_step": 0.5},
    "mi_fgsm": {"epsilon": 0.3, "steps": 4, "relative_step": 0.5},
    "step_ll": {"epsilon": 0.3},
    "deepfool": {},
    "carlini_wagner": {"steps": 40, "search_steps": 3, "learning_rate": 0.1},
    "jsma": {"max_share": 0.5},
    "spsa": {"epsilon": 0.3, "steps": 20, "directions": 20, "learning_rate": 0.1},
    "nattack": {"epsilon": 0.3, "steps": 20, "samples": 40},
    "patch": {"steps": 30, "scale_low": 0.8, "scale_high": 1.0},
    "gaussian_noise": {"severity": 5},
    "corruption": {"severity": 5},
    "unrecognisable": {"confidence": 0.6},
}
# They do not look at the model, so that they need not break this one.
BLIND = {"gaussian_noise", "corruption"}
# They draw for one image after the other, so that only the first gets alone what it gets in a batch.
RANDOM = {"spsa", "nattack", "patch", "unrecognisable", *BLIND}
# AutoAttack needs four classes, where the tiny net has three, and draws for a batch at once: test_auto_attack.py.
RUNNABLE = [entry for entry in attacks if entry.name != "auto_attack"]


def names(entry: Entry[Attack]) -> set[str]:
    return {parameter.name for parameter in entry.parameters}


def over(chosen: list[Entry[Attack]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", chosen, ids=[entry.name for entry in chosen])


def with_setting(name: str) -> pytest.MarkDecorator:
    return over([entry for entry in RUNNABLE if name in names(entry)])


every_entry = over(list(attacks))
every_attack = over(RUNNABLE)


def searching(entry: Entry[Attack], search: bool) -> dict[str, object]:
    return {"search": search, "search_steps": 3} if "search" in names(entry) else {}


def made(entry: Entry[Attack], **settings: object) -> Attack:
    return entry.create(**{**FAST[entry.name], **settings})


def without_randomness(entry: Entry[Attack], **settings: object) -> Attack:
    return made(entry, **settings, **({"random_start": False} if "random_start" in names(entry) else {}))


def arrays(result: AttackResult) -> dict[str, np.ndarray]:
    values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def state(net: nn.Module) -> dict[str, object]:
    return {
        "modes": [part.training for part in net.modules()],
        "weights": {name: value.clone() for name, value in net.state_dict().items()},
        "gradients": [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        "requires_grad": [p.requires_grad for p in net.parameters()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in net.modules()],
    }


def assert_same_state(net: nn.Module, before: dict[str, object]) -> None:
    after = state(net)
    for name in ("modes", "requires_grad", "hooks"):
        assert after[name] == before[name], name
    assert all(torch.equal(after["weights"][name], value) for name, value in before["weights"].items())
    for now, then in zip(after["gradients"], before["gradients"], strict=True):
        assert (now is None) == (then is None)
        assert now is None or torch.equal(now, then)


@every_entry
def test_entry_is_complete(entry):
    attack = entry.create()
    assert attack.name == entry.name
    assert attack.settings == {parameter.name: parameter.default for parameter in entry.parameters}
    assert entry.facts["norm"] in {"linf", "l2", "l0", "none"}
    assert entry.facts["targeted"] == entry.factory.targetable
    assert entry.facts["family"] in {"gradient", "minimal", "black box", "patch", "noise", "yardstick"}
    assert "arXiv" in entry.paper
    assert all(parameter.label and parameter.help for parameter in entry.parameters)


@every_entry
def test_presets_are_settings_that_can_be_taken(entry):
    for settings in entry.facts["presets"].values():
        assert entry.create(**settings).settings == {**entry.create().settings, **settings}


def bad_values(parameter: Parameter) -> list[object]:
    if parameter.kind in ("bool", "choice"):
        return [3, "nothing"]
    return [parameter.low - 1, parameter.high + 1, float("nan"), "much"]


@every_entry
def test_settings_out_of_range_are_refused_both_ways(entry):
    for parameter in entry.parameters:
        for bad in bad_values(parameter):
            with pytest.raises(InvalidInputError, match=parameter.name):
                entry.create(**{parameter.name: bad})
            with pytest.raises(InvalidInputError, match=parameter.name):
                entry.factory(**{parameter.name: bad})


@every_attack
def test_result_has_the_declared_types_and_survives_pickling(entry, net, images, labels):
    result = made(entry)(net, images, labels, seed=5)
    types = {name: (value.dtype.name, value.shape) for name, value in arrays(result).items()}
    assert types == {
        "adversarial": ("float32", tuple(images.shape)),
        **dict.fromkeys(("success", "scored", "survives_rounding"), ("bool", (6,))),
        **dict.fromkeys(("predictions_before", "predictions_after"), ("int64", (6,))),
        **dict.fromkeys(("l0", "l2", "linf", "epsilon"), ("float64", (6,))),
    }
    assert (result.attack, result.seed) == (entry.name, 5)
    loaded = pickle.loads(pickle.dumps(result))
    assert loaded.settings == result.settings


@every_attack
def test_stays_in_the_image_range_and_in_its_ball(entry, net, images, labels):
    extreme = torch.cat([images, torch.zeros(1, 2, 5, 5), torch.ones(1, 2, 5, 5)])
    result = made(entry)(net, extreme, torch.cat([labels, torch.tensor([0, 1])]))
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    norms = getattr(result, entry.facts["norm"]) if entry.facts["norm"] != "none" else result.l2
    assert (norms[result.success] > 0).all()
    if "epsilon" in names(entry):
        assert (norms <= result.epsilon + 1e-6).all()
    else:
        assert np.isnan(result.epsilon).all()


@every_attack
def test_norms_are_those_of_the_change(entry, net, images, labels):
    result = made(entry)(net, images, labels)
    change = (result.adversarial.astype(np.float64) - images.numpy().astype(np.float64)).reshape(6, -1)
    np.testing.assert_array_equal(result.l0, (change != 0).sum(axis=1))
    np.testing.assert_allclose(result.l2, np.linalg.norm(change, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(result.linf, np.abs(change).max(axis=1))


@every_attack
def test_works_and_scores_only_what_was_right(entry, net, images, labels):
    result = made(entry)(net, images, labels)
    assert result.scored.tolist() == [True] * 5 + [False]
    assert result.success.sum() >= 3 or entry.name in BLIND
    assert not result.success[~result.scored].any()
    expected = result.scored & (result.predictions_after != labels.numpy())
    np.testing.assert_array_equal(result.success, expected)
    assert result.success_rate == result.success.sum() / 5


@every_attack
def test_targeted(entry, net, images, labels):
    if not entry.facts["targeted"]:
        with pytest.raises(InvalidInputError, match=f"targets: .*{entry.name} has no targeted form"):
            made(entry)(net, images, labels, targets=labels)
        return
    targets = (labels + 1) % 3
    targets[0] = labels[0]
    result = made(entry)(net, images, labels, targets=targets)
    assert not result.scored[0]
    assert result.success.any()
    np.testing.assert_array_equal(result.success, result.scored & (result.predictions_after == targets.numpy()))


@with_setting("loss")
def test_margin_loss_works_too(entry, net, images, labels):
    assert made(entry, loss="margin")(net, images, labels).success.any()
    assert made(entry, loss="margin")(net, images, labels, targets=(labels + 1) % 3).success.any()


@every_attack
def test_survival_of_rounding_is_what_a_png_would_show(entry, net, images, labels):
    result = made(entry)(net, images, labels)
    stored = np.round(result.adversarial * 255).astype(np.uint8)
    with torch.no_grad():
        read = copy.deepcopy(net).eval()(torch.from_numpy(stored).float() / 255).argmax(dim=1).numpy()
    np.testing.assert_array_equal(result.survives_rounding, result.success & (read != labels.numpy()))


@with_setting("epsilon")
def test_no_strength_no_success(entry, net, images, labels):
    result = made(entry, epsilon=0.0)(net, images, labels)
    assert not result.success.any()
    np.testing.assert_array_equal(result.adversarial, images.numpy())
    assert not result.l0.any()


@every_attack
def test_same_seed_same_result(entry, net, images, labels):
    torch.manual_seed(1)
    first = made(entry)(net, images, labels, seed=4)
    untouched = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched), "the global random state was used"
    again = made(entry)(net, images, labels, seed=4)
    for name, value in arrays(first).items():
        np.testing.assert_array_equal(value, getattr(again, name))
    if "random_start" in names(entry) or entry.name in RANDOM:
        assert not np.array_equal(first.adversarial, made(entry)(net, images, labels, seed=6).adversarial)


@every_attack
def test_a_batch_equals_one_by_one(entry, net, images, labels):
    # A patch is learnt from all images together by its very definition; the white one is the same for any.
    attack = without_randomness(entry, **({"control": "white"} if entry.name == "patch" else {}))
    together = attack(net, images, labels)
    for row in range(1 if entry.name in RANDOM else len(images)):
        alone = attack(net, images[row : row + 1], labels[row : row + 1])
        np.testing.assert_allclose(alone.adversarial[0], together.adversarial[row], atol=1e-6)
        assert alone.success[0] == together.success[row]


@every_attack
def test_batch_limit_changes_nothing(entry, net, images, labels, monkeypatch):
    whole = made(entry)(net, images, labels, seed=2)
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 4)
    parts = made(entry)(net, images, labels, seed=2)
    np.testing.assert_allclose(parts.adversarial, whole.adversarial, atol=1e-6)
    np.testing.assert_array_equal(parts.success, whole.success)


@every_attack
@pytest.mark.parametrize("search", [False, True])
def test_leaves_model_and_inputs_alone(entry, search, net, images, labels):
    before, given = state(net), (images.clone(), labels.clone())
    made(entry, **searching(entry, search))(net, images, labels)
    assert_same_state(net, before)
    assert torch.equal(images, given[0])
    assert torch.equal(labels, given[1])


@every_attack
@pytest.mark.parametrize("error", [Cancelled, RuntimeError])
@pytest.mark.parametrize("when", [1, 2])
def test_leaves_the_model_alone_when_progress_raises(entry, error, when, net, images, labels):
    before, seen = state(net), []

    def stop(fraction: float, message: str) -> None:
        seen.append(fraction)
        if len(seen) == when:
            raise error("stop")

    with pytest.raises(error, match="stop"):
        made(entry)(net, images, labels, progress=stop)
    assert_same_state(net, before)


@every_attack
def test_leaves_the_model_alone_when_it_fails(entry, net, images, labels):
    before = state(net)

    def fail(*_: object) -> None:
        raise ValueError("broken layer")

    with net.act.register_forward_hook(fail), pytest.raises(ValueError, match="broken layer"):
        made(entry)(net, images, labels)
    assert_same_state(net, before)


@every_attack
def test_progress_rises_to_one(entry, net, images, labels, monkeypatch):
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 4)
    for search in (False, True):
        seen: list[tuple[float, str]] = []
        made(entry, **searching(entry, search))(
            net, images, labels, progress=lambda fraction, message, seen=seen: seen.append((fraction, message))
        )
        fractions = [fraction for fraction, _ in seen]
        assert fractions == sorted(fractions)
        assert fractions[0] == 0
        assert fractions[-1] == 1
        assert any("batch 2 of 2" in message for _, message in seen)


@every_attack
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_name_the_batch(entry, value, net, images, labels, monkeypatch):
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 2)
    doomed = float(images[3, 0, 0, 0])

    def spoil(module: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        hit = (given[0][:, 0, 0, 0] == doomed - 0.5).float()
        return output + torch.where(hit > 0, value, 0.0)[:, None, None, None]

    with net.conv.register_forward_hook(spoil), pytest.raises(EngineError, match=r"batch index 1 \(images 2 to 3\)"):
        made(entry)(net, images, labels)


@every_attack
def test_runs_inside_no_grad_and_inference_mode(entry, net, images, labels):
    plain = made(entry)(net, images, labels).adversarial
    with torch.no_grad():
        np.testing.assert_array_equal(made(entry)(net, images, labels).adversarial, plain)
    with torch.inference_mode():
        np.testing.assert_array_equal(made(entry)(net, images.clone(), labels.clone()).adversarial, plain)


@every_attack
def test_takes_numpy(entry, net, images, labels):
    plain = made(entry)(net, images, labels).adversarial
    np.testing.assert_array_equal(made(entry)(net, images.double().numpy(), labels.tolist()).adversarial, plain)
