"""The figures of the Sensitivity page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input

from dashboard.components.figure_card import Nothing, register_card
from dashboard.figures.agreement import agreement_bars
from dashboard.figures.damping import suppression_curves
from dashboard.figures.importance import importance_scatter
from dashboard.figures.ratio_curves import ratio_by_layer, ratio_by_strength
from dashboard.figures.regions import region_grid
from dashboard.figures.theme import Theme
from dashboard.figures.unit_bars import sensitivity_curves
from dashboard.frame import THEME
from dashboard.pages.sensitivity import cards, ids
from dashboard.pages.sensitivity.layout import ALL_LAYERS
from dashboard.pages.sensitivity.page import PAGE
from dashboard.pages.sensitivity.seen import chosen_unit, least_sensitive, regions_of
from dashboard.pages.sensitivity.view import View, having, models_of, named, plain_layer, view_or_wait
from dashboard.selection import Selection
from dashboard.services import Services
from engine.attacks.catalogue import attacks
from engine.sensitivity.suppression import ALL_LAYERS as TOGETHER

DrawView = Callable[[View, Theme], go.Figure]


def register(app: Dash, services: Services) -> None:
    """Registers the figure cards."""
    search, outcome = PAGE.outcome_inputs()
    inputs = [search, Input(THEME, "data"), outcome]
    for card, draw in (
        (cards.UNITS, _units),
        (cards.RATIOS, _ratios),
        (cards.STRENGTH, _strength),
        (cards.AGREEMENT, _agreement),
    ):
        register_card(app, services.drawings, card, _from_query(services, draw), inputs)

    def region(search: str, theme: Theme, _outcome: str | None) -> go.Figure:
        selection, view = _looked_at(services, search)
        return _regions(services, selection, view, chosen_unit(services, selection, view), theme)

    def least(search: str, theme: Theme, _outcome: str | None) -> go.Figure:
        selection, view = _looked_at(services, search)
        return _regions(services, selection, view, least_sensitive(services, selection, view), theme)

    def suppression(search: str, theme: Theme, _outcome: str | None, damped: str | None) -> go.Figure:
        return _suppression(_looked_at(services, search)[1], theme, damped)

    def importance(search: str, theme: Theme, _outcome: str | None, chosen: str | None) -> go.Figure:
        return _importance(_looked_at(services, search)[1], theme, chosen)

    register_card(app, services.drawings, cards.REGION, region, inputs)
    register_card(app, services.drawings, cards.LEAST, least, inputs)
    register_card(app, services.drawings, cards.SUPPRESSION, suppression, [*inputs, Input(ids.DAMPED, "value")])
    register_card(app, services.drawings, cards.IMPORTANCE, importance, [*inputs, Input(ids.CLASS, "value")])


def _from_query(services: Services, draw: DrawView) -> Callable[..., go.Figure]:
    return lambda search, theme, _outcome: draw(_looked_at(services, search)[1], theme)


def _looked_at(services: Services, search: str) -> tuple[Selection, View]:
    selection = services.select(search)
    return selection, view_or_wait(services, selection)


def _units(view: View, theme: Theme) -> go.Figure:
    measured = having(view.report, view.layer)
    models = [{"label": label, "sensitivity": entry["sensitivity"]} for label, entry in measured]
    figure = sensitivity_curves(plain_layer(view.layer), models, view.sensitive, theme)
    if view.chosen is not None and view.chosen < view.entry["units"]:
        _mark(figure, view, view.chosen, is_share=len(models) > 1)
    return figure


def _mark(figure: go.Figure, view: View, unit: int, *, is_share: bool) -> None:
    """An arrow to the chosen unit."""
    value = view.entry["sensitivity"][unit]
    if value is not None:
        place = view.rank(unit) / len(view.order) if is_share else view.rank(unit)
        figure.add_annotation(x=place, y=value, text=f"unit {unit}", showarrow=True, arrowhead=2, ax=18, ay=-26)


def _ratios(view: View, theme: Theme) -> go.Figure:
    layers = [plain_layer(entry["name"]) for entry in view.report["layers"]]
    models = [
        {"label": model["label"], "ratios": [_ratio(named(model, layer)) for layer in layers]}
        for model in models_of(view.report)
    ]
    return ratio_by_layer(layers, [one for one in models if any(ratio is not None for ratio in one["ratios"])], theme)


def _ratio(entry: Mapping[str, Any] | None) -> float | None:
    return None if entry is None else entry["mean_ratio"]


def _strength(view: View, theme: Theme) -> go.Figure:
    found = view.report["strength"]
    if found is None:
        attack = view.report["attack"]
        label = attacks[attack].label if attack in attacks else attack
        raise Nothing(f"{label} has no strength ε that could be varied, or searches it itself.")
    layers = [plain_layer(name) for name in found["layers"]]
    return ratio_by_strength(found["strengths"], layers, found["ratio"], found["success"], theme)


def _agreement(view: View, theme: Theme) -> go.Figure:
    entries = [{**entry, "layer": plain_layer(entry["layer"])} for entry in view.report["agreement"]]
    if all(entry["levenshtein"] is None for entry in entries):
        raise Nothing(
            "The copies were misled to fewer than two classes: there is nothing to compare. Take more images."
        )
    return agreement_bars(entries, theme)


def _suppression(view: View, theme: Theme, damped: str | None) -> go.Figure:
    entry = view.suppression(TOGETHER if damped == ALL_LAYERS else view.layer)
    if entry is None and damped == ALL_LAYERS and len(view.report["suppression"]) == 1:
        entry = view.report["suppression"][0]  # the only layer that can be damped
    if entry is None:
        raise Nothing(
            f"The units of {plain_layer(view.layer)} are the model's answers; they are not damped. Choose another "
            "layer above."
        )
    return suppression_curves({**entry, "layer": plain_layer(entry["layer"])}, theme)


def _importance(view: View, theme: Theme, chosen: str | None) -> go.Figure:
    found = view.report["importance"]
    if found is None:
        raise Nothing(f"The importance of units cannot be told for this model: {view.report['reason']}")
    if not found["classes"]:
        raise Nothing("The attack misled no image, so there is no class it led to. Take more images or more strength.")
    entries = {str(entry["class"]): entry for entry in found["classes"]}
    busiest = max(entries.values(), key=lambda one: (one["images"], -one["class"]))
    entry = entries.get(chosen or "", busiest)
    return importance_scatter(
        plain_layer(found["layer"]), entry["sensitivity"], entry["importance"], entry["votes"], theme,
        class_name=view.report["classes"][entry["class"]], spearman=entry["spearman"], k=found["k"],
    )  # fmt: skip


def _regions(services: Services, selection: Selection, view: View, unit: int, theme: Theme) -> go.Figure:
    found = regions_of(services, selection, view, unit)
    return region_grid(found.clean, found.adversarial, found.clean_regions, found.adversarial_regions, theme)
