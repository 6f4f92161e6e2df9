"""A callback's answer by the name of its input, and the report of a comparison made by hand."""

import json

from dashboard.pages.harden import ids


def row(label, accuracy, attack="pgd_linf", family="white-box", warnings=(), images=50):
    low, high = max(0.0, accuracy - 0.1), min(1.0, accuracy + 0.1)
    return {"label": label, "attack": attack, "family": family, "images": images, "accuracy": accuracy, "low": low,
            "high": high, "warnings": list(warnings)}  # fmt: skip


def study(accuracies, warnings=(), checks=()):
    clean, attacked, black = accuracies
    rows = [
        row("Clean", clean, "", "clean"),
        row("PGD L∞ 0.1", attacked, warnings=warnings),
        row("SPSA 0.1", black, "spsa", "black-box", images=20),
    ]
    return {
        "table": {"rows": rows, "checks": list(checks), "left_out": []},
        "curve": {"attack": "pgd_linf", "epsilons": [0.0, 0.1], "table": {"rows": rows[:2]}},
    }


def inside(name, mean, density, similarity):
    return {
        "model": name, "label": name, "misled": 0.5,
        "sensitivity": [
            {"layer": "conv1", "mean": mean, "units": [mean, 2 * mean]},
            {"layer": "conv2", "mean": mean, "units": [mean, None]},
        ],
        "paths": {
            "images": 300, "density": density, "density_per_layer": {"conv1": density}, "similarity": similarity,
        },
    }  # fmt: skip


def difference(model, attack, value, outcome):
    return {"model": model, "against": "a", "attack": attack, "images": 50, "difference": value, "low": 0.0,
            "high": 0.0, "p": 0.01, "outcome": outcome}  # fmt: skip


def comparison(**parts):
    check = {"name": "x", "label": "PGD beats noise", "verdict": "passed", "sentence": "It does.", "concerned": []}
    outcomes = (("Clean", -0.04, "worse"), ("PGD L∞ 0.1", 0.5, "better"), ("SPSA 0.1", 0.0, "no difference shown"))
    effects = {
        "attack": "pgd_linf", "attack_settings": {"epsilon": 0.1}, "pairs": 40, "theta": 0.5, "path_images": 300,
        "models": [inside("a", 0.5, 0.1, 0.25), inside("b", 0.25, 0.2, 0.5)],
    }  # fmt: skip
    return {
        "models": [{"name": "a", "label": "Plain"}, {"name": "b", "label": "Hard"}],
        "images": 50,
        "studies": [study((1.0, 0.1, 0.2), checks=[check]), study((0.96, 0.6, 0.2), checks=[check])],
        "comparison": {"reference": "a", "differences": [difference("b", *one) for one in outcomes]},
        "left_out": ["AutoAttack, which takes minutes."],
        "effects": effects,
        "no_effects": "",
        **parts,
    }


def answer(app, client, trigger, values, output=""):
    """The answer of the callback with this input; ``values`` by "id.property", None where not given."""
    name, spec = next(
        (name, one)
        for name, one in app.callback_map.items()
        if output in name and any(f"{part['id']}.{part['property']}" == trigger for part in one["inputs"])
    )
    parts = [one.rpartition(".") for one in name.strip(".").split("...")]
    body = {
        "output": name,
        "outputs": [{"id": _id(part), "property": prop} for part, _, prop in parts],
        "inputs": [_sent(part, values) for part in spec["inputs"]],
        "state": [_sent(part, values) for part in spec["state"]],
        "changedPropIds": [values.get("pressed", trigger)],
    }
    if len(parts) == 1:
        body["outputs"] = body["outputs"][0]
    found = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert found.status_code in (200, 204), found.text[:500]
    return found.json["response"] if found.status_code == 200 else None


def _id(name):
    return json.loads(name) if name.startswith("{") else name


def _sent(part, values):
    """An input as the browser sends it; one that stands for several is a list of them."""
    key = f"{part['id']}.{part['property']}"
    if "ALL" in part["id"]:
        return [{"id": one, "property": part["property"], "value": value} for one, value in values.get(key, [])]
    return {"id": _id(part["id"]), "property": part["property"], "value": values.get(key)}


def pressed(app, client, search, button=ids.ASK, **more):
    return answer(app, client, f"{button}.n_clicks", {f"{button}.n_clicks": 1, f"{ids.SELECTION}.data": search, **more})
