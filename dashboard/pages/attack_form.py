"""The form of an attack, on every page that has one: name and strength in the sentence, all else below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import ALL, Dash, Input, Output, dcc, html

from dashboard.components.controls import choice_field, number_field, setting_field, shown_value
from dashboard.pages.shell import Shell, tie
from dashboard.selection import SETTING, Parsed
from dashboard.services import Services
from dashboard.studies.form import preset_label
from engine.registry import Parameter

# What the list of targets holds for an untargeted attack; assets/detour/selection.js knows it too.
ANY_CLASS = "any"
# What the list of presets holds for the usual settings; the script knows it too.
USUAL = "usual"
CONTROLLED = ("epsilon", "seed", "target")


@dataclass(frozen=True, slots=True)
class AttackForm:
    """The controls of an attack on one page.

    Attributes:
        name: prefix of the page's ids.
        has_target: whether the page lets the attack aim at a class.
    """

    name: str
    has_target: bool = True

    def part(self, name: str) -> str:
        """The id of a part: attack, epsilon, epsilon-slider, target, seed, setting, preset; attack- and preset-sent."""
        return f"{self.name}-{name}"

    @property
    def setting(self) -> dict[str, Any]:
        """The id of all fields of settings together."""
        return {"type": self.part("setting"), "name": ALL}

    def stores(self) -> list[dcc.Store]:
        """What the page remembers."""
        return [dcc.Store(id=self.part("attack-sent")), dcc.Store(id=self.part("preset-sent"))]

    def choice(self, services: Services, parsed: Parsed) -> html.Span:
        """The list of attacks, for a sentence."""
        labels = {entry.name: entry.label for entry in services.choices.attacks}
        chosen = parsed.values.get("attack")
        return choice_field(self.part("attack"), "Attack", labels, chosen, invalid="attack" in parsed.errors)

    def strength(self, services: Services, parsed: Parsed) -> html.Span:
        """The ε slider and its field; both stay in the page, out of sight for an attack without a strength."""
        strength = next((one for one in _parameters(services, parsed) if one.name == "epsilon"), None)
        value = parsed.values.get("epsilon")
        low, high = (strength.low or 0.0, strength.high or 1.0) if strength else (0.0, 1.0)
        field = number_field(self.part("epsilon"), "Strength ε", value, invalid="epsilon" in parsed.errors)
        slider = self.part("epsilon-slider")
        control = dbc.Input(
            id=slider,
            type="range",
            min=low,
            max=high,
            step=(high - low) / 200,
            value=value if value is not None else low,
            debounce=80,
            class_name="form-range",
        )
        label = html.Label("Strength ε, slider", htmlFor=slider, className="visually-hidden")
        blank = html.Span(["ε = ", field, label, control], className="blank")
        return html.Span([" at ", blank], hidden=strength is None)

    def settings(self, services: Services, parsed: Parsed) -> html.Details:
        """The form of everything else an attack takes; open when something in it was set or is wrong."""
        values, errors = parsed.values, parsed.errors
        attack, given = values.get("attack"), dict(values.get("settings", ()))
        fields = [
            setting_field(
                {"type": self.part("setting"), "name": parameter.name},
                parameter,
                None if SETTING + parameter.name in errors else given.get(parameter.name, parameter.default),
                errors.get(SETTING + parameter.name),
            )
            for parameter in _parameters(services, parsed)
            if parameter.name != "epsilon"
        ]
        name = services.choices.attacks[attack].label if attack else "the attack"
        form = [self._preset(services, parsed), self._target(services, parsed), self._seed(parsed), *fields]
        return html.Details(
            [html.Summary(f"Settings of {name}"), html.Div(form, className="settings-form mt-2")],
            className="more mt-2",
            open=any(field.startswith(SETTING) or field in ("target", "seed") for field in errors) or bool(given),
        )

    def facts(self, services: Services, parsed: Parsed) -> dict[str, Any]:
        """What the browser's part of these controls needs to know."""
        attack, parameters = parsed.values.get("attack"), _parameters(services, parsed)
        return {
            "attack": attack,
            "untargeted": [entry.name for entry in services.choices.attacks if not entry.facts["targeted"]],
            "has_epsilon": any(parameter.name == "epsilon" for parameter in parameters),
            "presets": preset_fields(services, attack) if attack else {},
            "defaults": {parameter.name: shown_value(parameter.default) for parameter in parameters},
        }

    def rendered(self, services: Services, parsed: Parsed) -> dict[str, str]:
        """The text in each control, by field; empty where the URL has a wrong value."""
        texts = {name: shown_value(parsed.values.get(name)) for name in CONTROLLED}
        names = [SETTING + parameter.name for parameter in _parameters(services, parsed)]
        return texts | {name: "" for name in names if name in parsed.errors} | {"target": shown_target(parsed)}

    def register(self, app: Dash, shell: Shell) -> None:
        """Ties the controls to the page's selection, in the browser."""
        selection = Input(shell.part("selection"), "data")
        tie(app, "presetShown", Output(self.part("preset"), "value"), selection, shell.known()[0])
        for kind in ("attack", "preset"):
            tie(app, kind, Output(self.part(f"{kind}-sent"), "data"), Input(self.part(kind), "value"), *shell.known())
        both = self.part("epsilon-slider"), self.part("epsilon")
        tie(app, "strength", *[Output(one, "value") for one in both], *[Input(one, "value") for one in both])

    def _preset(self, services: Services, parsed: Parsed) -> html.Div:
        """Settings that belong together, by name."""
        values, name = parsed.values, self.part("preset")
        if "attack" not in values:
            return html.Div(dbc.Select(id=name), hidden=True)
        entry = services.choices.attacks[values["attack"]]
        usual = {parameter.name: parameter.default for parameter in entry.parameters}
        strength = {"epsilon": values.get("epsilon")} if "epsilon" in usual else {}
        now = usual | dict(values.get("settings", ())) | strength
        named = {USUAL: {}, **entry.facts.get("presets", {})}
        chosen = next((preset for preset, settings in named.items() if usual | settings == now), "")
        options = [{"value": one, "label": "usual settings" if one == USUAL else preset_label(one)} for one in named]
        control = dbc.Select(id=name, options=options, value=chosen, placeholder="own settings")
        return _labelled("Preset", name, control, "Settings of a paper or for a kind of data.", hidden=len(named) == 1)

    def _target(self, services: Services, parsed: Parsed) -> html.Div:
        values, attack = parsed.values, parsed.values.get("attack")
        classes = services.choices.get(values["model"]).classifier.classes if "model" in values else ()
        control = dbc.Select(
            id=self.part("target"),
            options=target_options(classes, None, values.get("target")),
            value=shown_target(parsed),
            invalid="target" in parsed.errors,
        )
        cannot = bool(attack) and not services.choices.attacks[attack].facts["targeted"]
        hidden = cannot or not self.has_target
        return _labelled("Target", self.part("target"), control, "The class the attack aims at.", hidden=hidden)

    def _seed(self, parsed: Parsed) -> html.Div:
        control = dbc.Input(
            id=self.part("seed"),
            type="text",
            inputmode="numeric",
            value=shown_value(parsed.values.get("seed")),
            debounce=True,
            invalid="seed" in parsed.errors,
        )
        return _labelled("Seed", self.part("seed"), control, "The same seed gives the same attack.")


def preset_fields(services: Services, attack: str) -> dict[str, dict[str, str]]:
    """For every preset of an attack's settings, the fields of the URL that make it; the usual settings make none."""
    entry = services.choices.attacks[attack]
    usual = {parameter.name: parameter.default for parameter in entry.parameters}
    fields = {
        name: {
            key if key == "epsilon" else SETTING + key: shown_value(value)
            for key, value in settings.items()
            if value != usual[key]
        }
        for name, settings in entry.facts.get("presets", {}).items()
    }
    return {USUAL: {}, **fields}


def target_options(classes: Sequence[str], left_out: int | None, chosen: int | None) -> list[dict[str, str]]:
    """The list of targets, without the class that the attack leads away from, unless that is what is chosen."""
    options = [{"value": ANY_CLASS, "label": "any other class"}]
    return options + [
        {"value": str(index), "label": name}
        for index, name in enumerate(classes)
        if index != left_out or index == chosen
    ]


def shown_target(parsed: Parsed) -> str:
    """What the list of targets shows."""
    if "target" in parsed.errors:
        return ""
    return shown_value(parsed.values["target"]) if "target" in parsed.values else ANY_CLASS


def _parameters(services: Services, parsed: Parsed) -> Sequence[Parameter]:
    attack = parsed.values.get("attack")
    return services.choices.attacks[attack].parameters if attack else ()


def _labelled(label: str, name: str, control: object, text: str, *, hidden: bool = False) -> html.Div:
    words = html.Div(text, className="small text-body-secondary")
    return html.Div([html.Label(label, htmlFor=name, className="form-label mb-1"), control, words], hidden=hidden)
