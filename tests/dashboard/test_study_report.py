import json
import re
from dataclasses import asdict

import pytest
from click.testing import CliRunner
from plotly.offline import get_plotlyjs

import dashboard.studies.report as study_report
from dashboard.studies.report import main, report_html
from dashboard.studies.words import method_label
from engine.detection.outcome import authors_plans
from engine.errors import InvalidInputError

CURVE = {"fpr": [0.0, 0.1, 1.0], "tpr": [0.0, 0.8, 1.0], "auc": 0.9, "low": 0.85, "high": 0.95}
ODD = "<img src=x onerror=alert(1)></script>&"


def evaluation(attacks, **others):
    return {
        "curves": dict.fromkeys(attacks, CURVE),
        "normal": {"scores": [0.0, 0.25, 1.0], "sources": [1, 2, 3]},
        "attacked": {attack: {"scores": [0.5, 2.0], "sources": [1, 2]} for attack in attacks},
        "coefficients": None,
        "trained on": list(attacks),
        "train images": [7],
    } | others


def table_row(method, attack, auc):
    measured = {"low": None, "high": None} if auc is None else {"low": auc - 0.01, "high": auc + 0.01}
    return {
        "method": method,
        "attack": attack,
        "auc": auc,
        "tpr at 5 % fpr": 0.75,
        "normal": 3,
        "attacked": 2,
    } | measured


def study(attacks=("FGSM", "DeepFool"), older=False, name="lenet5-digits", plans=None):
    coefficients = {"names": ["conv1, rank 1", "conv1, rank 2"], "values": [2.0, 1.0], "threshold": 1.0}
    methods = {
        "joint_similarity": evaluation(attacks, coefficients=coefficients),
        "random_forest": evaluation(attacks),
        "cdrp + ada_boost": evaluation(attacks),
        "latent attention": evaluation(attacks),
    }
    found = {
        "version": "1.2.3",
        "model": {"name": name, "label": "LeNet-5 · Digits", "key": "0123456789abcdef"},
        "theta": 0.5,
        "settings": {
            "plans": plans or [{"name": a, "attack": "fgsm", "settings": {"epsilon": 0.25}} for a in attacks],
            "n_images": 1000, "part": "synapses", "last_layers": None, "train_share": 0.1, "seed": 42,
            "attention": None,
        },
        "attacks": [
            {"attack": a, "scored": 1000, "successes": 876, "success rate": 0.876, "l0": 12.0, "l2": 1.5, "linf": None}
            for a in attacks
        ],
        "table": [table_row(m, a, 0.9 + 0.01 * place) for place, m in enumerate(methods) for a in attacks],
        "methods": methods,
    }  # fmt: skip
    if not older:
        methods["joint_similarity"] |= {
            "threshold": 0.6,
            "adaptive": {"epsilon": 0.2, "steps": 100, "images": 50, "misled": 45, "missed": 17},
        }
        methods["random_forest"] |= {"threshold": 0.5, "adaptive": None}
        point = {"value": 10, "attack": attacks[0], "auc": 0.9, "low": 0.8, "high": None, "is_seen": True}
        found |= {"seconds": {"path features": 1.2, "cdrp": 80.0, "attacks": 4000.0}}
        shares = {"true_positive": 0.91, "true_negative": 0.82, "recovery": 0.73, "invariance": 0.64}
        found |= {"contrast": [{"attack": attacks[0], "images": "all", "normal": 45, "attacked": 40, **shares}]}
        found |= {"sweeps": {"training-size": {"joint_similarity": [point, point | {"value": 20}]}, "theta": {}}}
    return found


def body(page):
    """The page without the code and style it carries."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body(page)))


def test_the_page_says_what_was_done_and_found():
    words = text(report_html(study()))
    for fact in (
        "LeNet-5 · Digits", "θ = 0.5, synapses, all layers", "up to 1,000 test images", "10% of the images", "Seed 42",
        "Version 1.2.3", "path features 1.2 s, cdrp 80 s, attacks 67 min", "Strength ε: 0.25", "87.6%",
        "0.900 0.890–0.910 TPR 75.0%", "CDRP · AdaBoost", "Latent attention",
        "Joint similarity reaches an AUC of 0.900 (FGSM).", "FGSM, all 91.0% 82.0% 73.0% 64.0%",
    ):  # fmt: skip
        assert fact in words


def test_an_attack_that_knows_the_detector_has_its_line():
    words = text(report_html(study()))
    assert "Joint similarity : An attack that knows the detector (L∞, ε = 0.2) misleads the model on 45 of 50" in words
    assert words.count("passes unnoticed on 17.") == 1


def test_figures():
    page = report_html(study())
    # Two ROC figures, coefficients, two histograms, one sweep.
    assert len(set(re.findall(r'<div id="(figure-\d+)"', page))) == 6
    assert re.findall(r"<h3>(.*?)</h3>", page) == [
        "Joint similarity",
        "Random forest",
        "Joint similarity: AUC by images fitted on",
    ]


def test_older_studies_have_a_page_too():
    words = text(report_html(study(older=True)))
    assert "gets past it" not in words
    assert "What detection depends on" not in words
    assert "Time" not in words
    assert "Scores: Joint similarity" in words


def test_the_page_carries_plotly_once_and_fetches_nothing():
    page = report_html(study())
    assert page.count(get_plotlyjs()) == 1
    assert "default-src 'none'" in page
    assert not re.findall(r"<(?:link|img|iframe)\b|<script[^>]* src=|url\(|@import", body(page))


def test_everything_is_escaped():
    odd = study(attacks=(ODD, "b"))
    odd["model"]["label"] = ODD
    odd["settings"]["plans"][0] |= {"attack": ODD, "settings": {ODD: ODD}}
    odd["methods"][ODD] = evaluation((ODD,))
    odd["version"] = ODD
    odd["methods"]["joint_similarity"]["coefficients"]["names"] = [f"{ODD}, rank 1", f"{ODD}, rank 2"]
    page = report_html(odd)
    assert "<img" not in page.replace(get_plotlyjs(), "")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_best_of_each_attack_is_bold_and_gaps_are_dashes():
    found = study()
    found["table"] = [table_row("random_forest", "FGSM", 0.8), table_row("joint_similarity", "FGSM", 0.7)]
    found["table"].append(table_row("joint_similarity", "DeepFool", None))
    page = report_html(found)
    assert re.findall(r'class="best">([\d.]+)<', page) == ["0.800"]
    assert page.count("<td>–</td>") >= 2 + 4


def test_many_attacks_take_several_tables():
    names = tuple(f"attack {number}" for number in range(9))
    page = report_html(study(attacks=names))
    assert page.count('<th class="words">settings</th>') == 1
    assert len(re.findall("<th>method</th>", page)) == 2


def authors(name="lenet5-mnist"):
    plans = json.loads(json.dumps([asdict(plan) for plan in authors_plans()]))
    for plan in plans:  # as a report rounds them
        plan["settings"] = {k: round(v, 6) if isinstance(v, float) else v for k, v in plan["settings"].items()}
    return study(attacks=tuple(plan["name"] for plan in plans), name=name, plans=plans)


def paper_row(page):
    found = re.search(r'<tr class="paper">(.*?)</tr>', page)
    return found and re.findall(r"<td>(.*?)</td>", found[1])


def test_the_papers_attacks_on_the_papers_model_are_compared():
    found = authors()
    names = [plan["name"] for plan in found["settings"]["plans"]]
    values = dict(zip(names, paper_row(report_html(found)), strict=True))
    assert values == {
        "FGSM": "0.95", "BIM": "0.94", "DeepFool": "0.91", "C&W": "0.92", "JSMA, single pixels": "0.95",
        "JSMA, pairs": "–", "random images": "93.85% detected",
    }  # fmt: skip


def test_other_models_and_attacks_are_not_compared():
    assert paper_row(report_html(authors(name="lenet5-digits"))) is None
    assert paper_row(report_html(study(name="lenet5-mnist"))) is None


@pytest.mark.parametrize("wrong", [{}, [], None, {"model": {}}])
def test_what_is_no_study_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"lacks .*table.*Choose another file"):
        report_html(wrong)


def test_methods_have_names():
    assert method_label("cdrp + random_forest") == "CDRP · Random forest"
    assert method_label("own") == "own"


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_the_command_makes_the_page_of_a_finished_study(tmp_path):
    source = tmp_path / "old.json"
    source.write_text(json.dumps(study(older=True)))
    result = run(tmp_path, "--from", source)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_html(study(older=True))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["old.json", "report.html"]


@pytest.mark.slow
def test_the_command_runs_a_study(tmp_path):
    few = ("--images", 60, "--train-share", 0.4, "--detector", "joint_similarity")
    result = run(tmp_path, "lenet5-digits", "--attack", "fgsm", *few, "--seed", 3)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "study.json").read_text())
    assert found["settings"]["seed"] == 3
    assert "Seed 3" in text((tmp_path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def no_work(monkeypatch):
    def work(*arguments, **settings):
        raise AssertionError("the study was begun")

    monkeypatch.setattr(study_report.fit, "main", work)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/study.json/none", "lenet5-digits"], "cannot be made"),
        (["{tmp}"], "give either a model"),
        (["{tmp}", "lenet5-digits", "--from", "{tmp}/study.json"], "give either a model"),
        (["{tmp}", "--from", "{tmp}/none.json"], "does not exist"),
        (["{tmp}", "--from", "{tmp}/study.json"], "expected a study as JSON"),
        (["{tmp}", "--from", "{tmp}/other.json"], "lacks version, model"),
        (["{tmp}", "lenet5-digits", "--authors", "--output", "x.json"], "--output is study.json"),
        (["{tmp}", "lenet5-digits", "--output=x.json"], "--output is study.json"),
        (["{tmp}/taken", "lenet5-digits"], "cannot be written"),
    ],
)
def test_what_cannot_work_is_said_before_any_work(tmp_path, no_work, arguments, message):
    (tmp_path / "study.json").write_text("no study")
    (tmp_path / "other.json").write_text("[1]")
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    result = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-model", "--attack", "fgsm"], "unknown classifier"),
        (["lenet5-digits"], "--authors"),
        (["lenet5-digits", "--attack", "nothing"], "--attack"),
        (["lenet5-digits", "--attak", "fgsm"], "No such option"),
    ],
)
def test_wrong_options_of_the_study_are_said_too(tmp_path, arguments, message):
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path):
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "bad.json").write_text("{}")
    assert run(tmp_path, "--from", tmp_path / "bad.json").exit_code == 2
    assert (tmp_path / "report.html").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.json", "report.html"]
