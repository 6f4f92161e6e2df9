"""Where the units of the outcome look, for those that have a place in the image."""

from __future__ import annotations

from dashboard.components.figure_card import Nothing
from dashboard.pages.sensitivity.view import View, plain_layer
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.regions import UnitRegions


def chosen_unit(services: Services, selection: Selection, view: View) -> int:
    """The unit that was chosen, or the most sensitive.

    Raises:
        Pending: while its layer is being looked at.
        Nothing: for a linear layer, or a unit that has no region.
    """
    unit, reacting = view.unit, _reacting(services, selection, view)
    if not reacting[unit]:
        raise Nothing(
            f"Unit {unit} of {plain_layer(view.layer)} is the same on all test images looked at, after its activation: "
            "it has no region. Choose another."
        )
    return unit


def least_sensitive(services: Services, selection: Selection, view: View) -> int:
    """The unit that reacts least to the attack, of those that react to an image at all.

    Raises:
        Pending, Nothing: as above.
    """
    reacting = _reacting(services, selection, view)
    found = next((unit for unit in reversed(view.order) if reacting[unit]), None)
    if found is None:
        raise Nothing(f"No unit of {plain_layer(view.layer)} reacts to a test image.")
    return found


def regions_of(services: Services, selection: Selection, view: View, unit: int) -> UnitRegions:
    """Where a unit of the layer looked at reacts, on clean images and on copies attacked as in the study.

    Raises:
        Pending: while it is being computed.
        EngineError: if the attack cannot run.
    """
    report, layer = view.report, plain_layer(view.layer)
    return services.regions.find(
        selection.model, layer, unit, report["attack"], report["attack_settings"], int(report["settings"]["seed"])
    )


def region_words(view: View, unit: int, found: UnitRegions) -> str:
    """Which unit it is, and which images these are."""
    rank, units = view.rank(unit), view.entry["units"]
    place = {1: "the most sensitive", units: "the least sensitive"}.get(rank, f"place {rank:,}")
    silent = " (those behind it never react)" if rank < units and unit != view.chosen and rank > 1 else ""
    images = ", ".join(str(index) for index in found.indices.tolist())
    return (
        f"Unit {unit} of {plain_layer(view.layer)}, {place} of {units:,}{silent}. Test images {images}; copies misled: "
        f"{int(found.misled.sum())} of {len(found.indices)}. The region is where the unit is above "
        f"{found.threshold:.3g}; at most {100 * (1 - found.quantile):.1f} % of its activations on {found.n_images:,} "
        "test images are."
    )


def _reacting(services: Services, selection: Selection, view: View) -> list[bool]:
    layer = plain_layer(view.layer)
    if not services.regions.layer(selection.model, layer).is_convolution:
        raise Nothing(
            f"{layer} is a linear layer: each of its units sees the whole image at once and has no map. Choose a "
            "convolution above."
        )
    return services.regions.reacting(selection.model, layer).tolist()
