"""A detection study as one HTML page that needs nothing else: to keep, to print, to send.

``python -m dashboard.studies.report FOLDER MODEL [options of "python -m engine detect fit"]`` runs the study and writes
``study.json`` and ``report.html``; with ``--from study.json`` it only makes the page.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from html import escape
from itertools import count
from pathlib import Path

import click
import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from dashboard.figures.coefficients import coefficients
from dashboard.figures.roc import roc_curves
from dashboard.figures.scores import score_histogram
from dashboard.figures.sweep import AXES, sweep_curves
from dashboard.figures.theme import GRAPH_CONFIG
from dashboard.studies.tables import (
    Study,
    adaptive_list,
    attack_table,
    auc_tables,
    contrast_part,
    opening,
    path_methods,
    settings_of,
    tag,
)
from dashboard.studies.words import method_label
from engine.command_line.detect_fit import fit
from engine.detection.catalogue import QIU
from engine.detection.metrics import FALSE_POSITIVE_RATE
from engine.errors import InvalidInputError
from engine.files import write_atomically

_REQUIRED = ("version", "model", "theta", "settings", "attacks", "table", "methods")
# The browser then fetches nothing, whatever the page holds.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
<script>{plotly}</script>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
_STYLE = """
@page { margin: 12mm }
* { box-sizing: border-box }
body { margin: 0; background: #fff; color: #1f2933; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", "Noto Sans", Arial, sans-serif; font-variant-numeric: tabular-nums }
main { max-width: 732px; margin: 0 auto; padding: 2.5rem 16px 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .4rem; padding-top: 1rem; border-top: 1px solid #e3e7ec }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem }
p { margin: .3rem 0 .9rem }
.lead { font-size: 1.1rem }
.model { font-size: 1.1rem; font-weight: 600; color: #5b4fc7 }
.note, figcaption { color: #57606a; font-size: .875rem }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .35rem 1rem; margin: .8rem 0 }
dt { color: #57606a }
dd { margin: 0; overflow-wrap: anywhere }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .84rem; line-height: 1.35; margin: .6rem 0 1rem }
th, td { padding: .4rem .35rem; text-align: right; vertical-align: top; border-bottom: 1px solid #e3e7ec }
th { font-weight: 600; color: #57606a; vertical-align: bottom }
th:first-child, td:first-child, .words { text-align: left; overflow-wrap: break-word }
th:first-child, td:first-child { min-width: 6.5rem; max-width: 11rem }
.words { min-width: 9rem }
tbody th { color: #1f2933; vertical-align: top }
td small { display: block; color: #57606a; font-size: .7rem; white-space: nowrap }
.best { font-weight: 700 }
.paper th, .paper td { background: #f5f3fc }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem 1rem }
figure { margin: 0 0 1rem; min-width: 0; break-inside: avoid }
@media (max-width: 620px) { .pair { grid-template-columns: 1fr } }
@media (max-width: 520px) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .6rem } }
@media print { main { max-width: 700px; padding: 0 } tr, h2, h3 { break-inside: avoid; break-after: avoid } }
"""


def report_html(study: Study) -> str:
    """The page.

    Args:
        study: as :func:`engine.detection.report.report` makes it; what an older version left out is left out here.

    Raises:
        InvalidInputError: if it is not the outcome of a study.
    """
    missing = [name for name in _REQUIRED if name not in study] if isinstance(study, Mapping) else list(_REQUIRED)
    if missing:
        raise InvalidInputError(
            f"study: expected what “detect fit --output” writes; it lacks {', '.join(missing)}. Choose another file."
        )
    figures = _Figures()
    sections = [
        opening(study), settings_of(study), attack_table(study), auc_tables(study), adaptive_list(study),
        contrast_part(study),
        _rocs(study, figures), _coefficients(study, figures), _scores(study, figures),
        _sweeps(study, figures), _reading(),
    ]  # fmt: skip
    title = f"Detection study · {study['model']['label']}"
    body = "\n".join(filter(None, sections))
    return _PAGE.format(title=escape(title), policy=_POLICY, style=_STYLE, plotly=get_plotlyjs(), body=body)


class _Figures:
    """Writes figures into the page, each with an id of its own."""

    def __init__(self) -> None:
        self._places = count(1)

    def write(self, figure: go.Figure, height: int, caption: str = "") -> str:
        drawn = figure.to_html(
            full_html=False, include_plotlyjs=False, config=GRAPH_CONFIG, default_height=f"{height}px",
            div_id=f"figure-{next(self._places)}",
        )  # fmt: skip
        return f"<figure>{drawn}{tag('figcaption', caption) if caption else ''}</figure>"


def _rocs(study: Study, figures: _Figures) -> str:
    methods = [method for method in path_methods(study) if study["methods"][method]["curves"]]
    drawn = [
        tag("h3", method_label(method)) + figures.write(roc_curves(study["methods"][method]["curves"]), 400)
        for method in methods
    ]
    text = "The nearer a curve comes to the upper left corner, the better. The dotted line is chance."
    return f"<h2>ROC curves</h2>{tag('p', text)}{''.join(drawn)}" if drawn else ""


def _coefficients(study: Study, figures: _Figures) -> str:
    drawn = [
        figures.write(
            coefficients(found["coefficients"]["names"], found["coefficients"]["values"]), 300, method_label(method)
        )
        for method, found in study["methods"].items()
        if found.get("coefficients")
    ]
    text = (
        "Rank 1 is the similarity to the path of the predicted class, rank 2 that to the path of the second most "
        "likely class. Little of the first and much of the second speaks for an attack; the weight says how loudly."
    )
    return f"<h2>Which layers decide</h2>{tag('p', text)}{''.join(drawn)}" if drawn else ""


def _scores(study: Study, figures: _Figures) -> str:
    """Histograms of the joint similarity; without it, of the first path detector."""
    for method in sorted(path_methods(study), key=lambda name: name != "joint_similarity")[:1]:
        found = study["methods"][method]
        normal = found["normal"]["scores"]
        threshold = found.get("threshold")
        if threshold is None and normal:
            threshold = float(np.quantile(normal, 1 - FALSE_POSITIVE_RATE))
        drawn = [
            figures.write(score_histogram(normal, attacked["scores"], threshold, attack=attack), 270)
            for attack, attacked in found["attacked"].items()
        ]
        if drawn:
            text = "Above the threshold an image is flagged, as 5% of the normal ones are."
            heading = f"Scores: {method_label(method)}"
            return f'{tag("h2", heading)}{tag("p", text)}<div class="pair">{"".join(drawn)}</div>'
    return ""


def _sweeps(study: Study, figures: _Figures) -> str:
    drawn = [
        tag("h3", f"{method_label(method)}: AUC by {AXES[kind]}") + figures.write(sweep_curves(kind, points), 380)
        for kind, by_method in (study.get("sweeps") or {}).items()
        if kind in AXES
        for method, points in by_method.items()
        if points
    ]
    text = "Bands and whiskers are 95% intervals. A curve that goes flat needs no more of what is varied."
    return f"<h2>What detection depends on</h2>{tag('p', text)}{''.join(drawn)}" if drawn else ""


def _reading() -> str:
    text = (
        "AUC is the probability that an attacked image gets a higher score than a normal one: 1 is perfect, 0.5 is "
        "chance. Intervals are drawn by bootstrap over source images. An image and its attacked copies are always on "
        f"the same side of the split. Method: {QIU}."
    )
    return f"<h2>How to read this</h2>{tag('p', text)}"


def read_study(file: Path) -> Study:
    """The study in a JSON file.

    Raises:
        InvalidInputError: if it holds no JSON.
        OSError: if it cannot be read.
    """
    try:
        study: Study = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(
            f"{file}: expected a study as JSON; it cannot be read as such. Choose another file."
        ) from error
    return study


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("model_and_options", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--from", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A finished study."
)
def main(folder: Path, model_and_options: tuple[str, ...], source: Path | None) -> None:
    """Run a detection study and write study.json and report.html into FOLDER.

    MODEL_AND_OPTIONS are those of "python -m engine detect fit". With --from only the page is written.
    """
    page = folder / "report.html"
    if bool(model_and_options) == (source is not None):
        raise click.UsageError('give either a model with options of "detect fit", or --from and a finished study.')
    if any(option.partition("=")[0] == "--output" for option in model_and_options):
        raise click.UsageError("--output is study.json in FOLDER; leave it out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be made ({error.strerror}); choose another folder.") from error
    if page.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise click.UsageError(f"{page} cannot be written; choose another folder.")
    if source is None:
        source = folder / "study.json"
        name = "python -m engine detect fit"
        fit.main([*model_and_options, "--output", str(source)], prog_name=name, standalone_mode=False)
    try:
        text = report_html(read_study(source))
        write_atomically(page, lambda partial: partial.write_text(text, encoding="utf-8"))
    except (InvalidInputError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
    click.echo(f"report: {page}", err=True)


if __name__ == "__main__":
    main(prog_name="python -m dashboard.studies.report")
