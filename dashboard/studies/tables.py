"""The words and tables of a detection study, as HTML: what was done and how well attacks are found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from dashboard.studies.words import CONTRAST, CONTRAST_EXPLAINED, adaptive_line, is_path_detector, method_label
from engine.attacks.catalogue import attacks
from engine.detection.catalogue import QIU
from engine.detection.outcome import authors_plans

Study = Mapping[str, Any]

#: What Qiu et al. 2019 report for LeNet on MNIST, by the name of the plan in :func:`authors_plans`.
PAPER: Final[Mapping[str, str]] = {
    "DeepFool": "0.91",
    "FGSM": "0.95",
    "BIM": "0.94",
    "JSMA, single pixels": "0.95",
    "C&W": "0.92",
    "random images": "93.85% detected",
}
_PAPER_MODEL = "lenet5-mnist"
_ATTACKS_A_TABLE = 7  # more columns do not fit a printed page
_NOTE = 'class="note"'


def tag(name: str, text: object, attributes: str = "") -> str:
    """An element that holds text, which is escaped; the attributes are HTML."""
    return f"<{name}{attributes and ' ' + attributes}>{escape(str(text))}</{name}>"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _fixed(value: Any, form: str = ".3f") -> str:
    return format(value, form) if _is_number(value) else "–"


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    """A table; the head is plain text, the rows are HTML."""
    cells = "".join(tag("th", text, 'class="words"' if text == "settings" else "") for text in head)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def opening(study: Study) -> str:
    """The heading and the answer in short."""
    lines = [
        tag("h1", "Can paths tell attacked images?"),
        tag("p", study["model"]["label"], 'class="model"'),
        tag(
            "p",
            "An attacked image takes another way through the network than a normal image of the class it is taken for. "
            "This study attacks test images, fits detectors on a share of their paths and judges them on the rest.",
            'class="lead"',
        ),
    ]
    for method in path_methods(study)[:1]:
        found = [row for row in study["table"] if row["method"] == method and _is_number(row["auc"])]
        if found:
            worst, best = (chosen(found, key=lambda row: row["auc"]) for chosen in (min, max))
            text = f"{method_label(method)} reaches an AUC of {worst['auc']:.3f} ({worst['attack']})"
            text += f" to {best['auc']:.3f} ({best['attack']})." if best is not worst else "."
            lines.append(tag("p", text, 'class="lead"'))
    return "\n".join(lines)


def settings_of(study: Study) -> str:
    """What was done."""
    model, settings = study["model"], study["settings"]
    layers = settings.get("last_layers")
    kept = "all layers" if layers is None else f"the last {layers} layers"
    split = f"{settings['train_share']:.0%} of the images with all their attacked copies; the others judge"
    facts = {
        "Model": f"{model['label']} ({model['name']}, key {str(model['key'])[:12]})",
        "Paths": f"θ = {study['theta']:g}, {settings.get('part', 'synapses')}, {kept}",
        "Images": f"up to {settings['n_images']:,} test images, the first that the model classifies correctly",
        "Fitted on": split,
        "Methods": ", ".join(method_label(method) for method in study["methods"]),
        "Seed": settings["seed"],
        "Version": study["version"],
    }
    if isinstance(settings.get("attention"), Mapping):
        facts["Latent attention"] = _words(settings["attention"])
    if study.get("seconds"):
        known = {name: value for name, value in study["seconds"].items() if _is_number(value)}
        facts["Time"] = ", ".join(f"{name} {_duration(value)}" for name, value in known.items())
    rows = "".join(tag("dt", name) + tag("dd", value) for name, value in facts.items())
    return f"<h2>What was done</h2><dl>{rows}</dl>"


def attack_table(study: Study) -> str:
    """Settings, success and size of each attack."""
    plans = {plan["name"]: plan for plan in study["settings"]["plans"]}
    rows = []
    for row in study["attacks"]:
        numbers = [
            f"{row['scored']:,}", _fixed(row["success rate"], ".1%"), _fixed(row["l0"], ",.0f"), _fixed(row["l2"]),
            _fixed(row["linf"]),
        ]  # fmt: skip
        words = _plan_words(plans.get(row["attack"], {}))
        cells = tag("td", row["attack"]) + tag("td", words, 'class="words"')
        rows.append(f"<tr>{cells}{''.join(tag('td', text) for text in numbers)}</tr>")
    note = "Sizes are means over the images on which the attack succeeds; only these are shown to the detectors."
    head = ("attack", "settings", "images", "success", "L0", "L2", "L∞")
    return f"<h2>Attacks</h2>{_table(head, rows)}{tag('p', note, _NOTE)}"


def auc_tables(study: Study) -> str:
    """AUC, interval and TPR of each method and attack, in tables that a printed page holds."""
    names = list(dict.fromkeys([*(row["attack"] for row in study["attacks"]), *(r["attack"] for r in study["table"])]))
    found = {(row["method"], row["attack"]): row for row in study["table"]}
    paper = _paper_values(study)
    parts = []
    for first in range(0, len(names), _ATTACKS_A_TABLE):
        shown = names[first : first + _ATTACKS_A_TABLE]
        best = {name: _best(study, name) for name in shown}
        rows = [
            f"<tr>{tag('th', method_label(method))}"
            + "".join(_auc_cell(found.get((method, name), {}), best[name]) for name in shown)
            + "</tr>"
            for method in study["methods"]
        ]
        if any(name in paper for name in shown):
            cells = "".join(tag("td", paper.get(name, "–")) for name in shown)
            rows.append(f'<tr class="paper">{tag("th", "paper")}{cells}</tr>')
        parts.append(_table(["method", *shown], rows))
    text = (
        "Each cell: area under the ROC curve (bold: the highest for this attack), its 95% interval, and the share of "
        "attacked images found where 5% of the normal ones are flagged (TPR)."
    )
    return f"<h2>How well attacks are found</h2>{tag('p', text)}{''.join(parts)}{_paper_note(paper)}"


def _best(study: Study, attack: str) -> float | None:
    known = [row["auc"] for row in study["table"] if row["attack"] == attack and _is_number(row["auc"])]
    return max(known, default=None)


def _auc_cell(row: Mapping[str, Any], best: float | None) -> str:
    auc = row.get("auc")
    if not _is_number(auc):
        return tag("td", "–")
    mark = ' class="best"' if auc == best else ""
    low, high = row.get("low"), row.get("high")
    interval = tag("small", f"{_fixed(low)}–{_fixed(high)}") if _is_number(low) and _is_number(high) else ""
    found = tag("small", f"TPR {_fixed(row.get('tpr at 5 % fpr'), '.1%')}")
    return f"<td><span{mark}>{auc:.3f}</span>{interval}{found}</td>"


def _paper_values(study: Study) -> dict[str, str]:
    """The paper's figure of each plan that is one of the authors' attacks, on the authors' model."""
    if study["model"]["name"] != _PAPER_MODEL:
        return {}
    authors = {plan.name: plan for plan in authors_plans() if plan.name in PAPER}
    return {
        plan["name"]: PAPER[name]
        for plan in study["settings"]["plans"]
        for name, one in authors.items()
        if plan["attack"] == one.attack and _same(plan["settings"], one.settings)
    }


def _paper_note(paper: Mapping[str, str]) -> str:
    if not paper:
        return ""
    text = (
        f"Row “paper”: AUC that {QIU} reports for LeNet on MNIST, under attacks with the same settings; only C&W "
        "runs in a cheaper one here. For random images the paper gives no AUC but the share detected; compare it with "
        "the TPR."
    )
    return tag("p", text, _NOTE)


def adaptive_list(study: Study) -> str:
    """How each detector fares against an attack that knows it; nothing where that was not measured."""
    lines = [
        f"<li>{tag('b', method_label(method))}: {escape(adaptive_line(found['adaptive'], method))}</li>"
        for method, found in study["methods"].items()
        if found.get("adaptive")
    ]
    return f"<h2>An attack that knows the detector</h2><ul>{''.join(lines)}</ul>" if lines else ""


def contrast_part(study: Study) -> str:
    """Latent attention by the measures of its authors; nothing where it was not measured."""
    rows = [
        "<tr>"
        + tag("th", f"{row['attack']}, {row['images']}")
        + "".join(tag("td", _fixed(row[name], ".1%")) for name in CONTRAST)
        + "</tr>"
        for row in study.get("contrast") or ()
    ]
    if not rows:
        return ""
    table = _table(("attack", *CONTRAST.values()), rows)
    return f"<h2>Latent attention by its authors' measures</h2>{table}{tag('p', CONTRAST_EXPLAINED, _NOTE)}"


def path_methods(study: Study) -> list[str]:
    """The detectors that look at paths."""
    return [method for method in study["methods"] if is_path_detector(method)]


def _plan_words(plan: Mapping[str, Any]) -> str:
    """The settings of an attack, by the labels of its parameters."""
    settings = plan.get("settings") or {}
    known = attacks[plan["attack"]].parameters if plan.get("attack") in attacks else ()
    labels = {parameter.name: parameter.label for parameter in known}
    return _words({labels.get(name, name): value for name, value in settings.items()}) or "usual settings"


def _words(settings: Mapping[str, Any]) -> str:
    return "; ".join(f"{str(name).replace('_', ' ')}: {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _same(given: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether settings agree as far as a report writes them, to six decimals."""
    return given.keys() == expected.keys() and all(
        math.isclose(value, expected[name], abs_tol=1e-6) if _is_number(value) and _is_number(expected[name])
        else value == expected[name]
        for name, value in given.items()
    )  # fmt: skip
