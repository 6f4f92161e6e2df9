"""The URL's fields: every value right or reported, never replaced."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.selection import FIELDS, MAX_QUERY, Selection, SelectionError, parse_fields, parse_query
from dashboard.studies.form import STUDY_FIELDS, StudyForm, attack_choices
from dashboard.studies.harden_form import HARDEN_FIELDS, HardenForm
from dashboard.studies.unit_form import UNIT_FIELDS
from engine.attacks.catalogue import attacks as real_attacks


class Choices:
    attacks = real_attacks

    def default_model(self):
        return "small"

    def model_names(self):
        return ["small", "large"]

    def class_count(self, model):
        return 10

    def image_count(self, model):
        return 100 if model == "small" else 1000

    def has_upload(self, image):
        return image == "upload:" + "a" * 64

    def has_job(self, job_id):
        return job_id == "c" * 32


CHOICES = Choices()
IMAGES = st.one_of(st.integers(0, 99).map("test:{}".format), st.just("upload:" + "a" * 64))
WITH_STRENGTH = [entry.name for entry in real_attacks if "epsilon" in {one.name for one in entry.parameters}]


def _in_order(attacks):
    return [name for name in attack_choices() if name in attacks]


FORMS = st.builds(
    StudyForm,
    attacks=st.sets(st.sampled_from(["fgsm", "bim:authors", "jsma"]), min_size=1).map(
        lambda texts: tuple((t.partition(":")[0], t.partition(":")[2] or None) for t in _in_order(texts))
    ),
    detectors=st.just(("joint_similarity",)) | st.just(("joint_similarity", "random_forest", "ada_boost")),
    baselines=st.sampled_from([(), ("cdrp",), ("cdrp", "attention")]),
    sweeps=st.sampled_from([(), ("theta",), ("parts", "theta")]),
    images=st.integers(20, 10_000),
    part=st.sampled_from(["synapses", "weights"]),
    layers=st.integers(0, 1000),
    share=st.floats(0.01, 0.9).map(lambda share: round(share, 3)),
    budget=st.floats(0, 1).map(lambda budget: round(budget, 3)),
)
HARDENINGS = st.builds(
    HardenForm,
    way=st.sampled_from(["pat", "sns"]),
    start=st.sampled_from([None, "parent", "scratch"]),
    epochs=st.none() | st.integers(1, 1000),
    rate=st.none() | st.floats(1e-6, 10),
    batch=st.none() | st.integers(1, 10_000),
    trained=st.none() | st.integers(1, 10_000_000),
    ways=st.sampled_from([(), (("epsilon", 8 / 255),), (("epsilon", 0.1), ("steps", 3))]),
    judged=st.integers(10, 10_000),
    beside=st.sampled_from([(), ("large",), ("large", "small")]),
    phased=st.integers(10, 10_000),
)
SELECTIONS = st.builds(
    Selection,
    model=st.sampled_from(["small", "large"]),
    image=IMAGES,
    attack=st.sampled_from(WITH_STRENGTH),
    epsilon=st.floats(0.001, 1.0),
    seed=st.integers(0, 2**31 - 1),
    rank=st.integers(1, 2),
    theta=st.integers(10, 1000).map(lambda thousandths: thousandths / 1000),
    target=st.none() | st.integers(0, 9),
    pin=st.none() | IMAGES,
    pair=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    edges=st.integers(10, 1000),
    units=st.integers(2, 40),
    job=st.none() | st.just("c" * 32),
    study=st.none() | st.just("c" * 32),
    method=st.none() | st.sampled_from(["joint_similarity", "cdrp + random_forest"]),
    against=st.none() | st.sampled_from(["FGSM", "JSMA, authors’ settings"]),
    threshold=st.none() | st.floats(-100, 100),
    detector=st.none() | st.just(("c" * 32, "joint_similarity")),
    harden=st.none() | st.just("c" * 32),
    comparison=st.none() | st.just("c" * 32),
    phases=st.none() | st.just("c" * 32),
    study_form=FORMS,
    harden_form=HARDENINGS,
)


@given(SELECTIONS)
def test_a_link_gives_back_the_selection_it_was_made_from(selection):
    assert parse_query(selection.to_query(), CHOICES).selection == selection


def test_settings_of_the_attack_travel_too():
    selection = parse_query("?attack=pgd_linf&set.steps=7", CHOICES).selection
    assert selection.settings == (("steps", 7),)
    assert parse_query(selection.to_query(), CHOICES).selection == selection


def test_an_empty_query_takes_the_defaults():
    parsed = parse_query("", CHOICES)
    assert not parsed.errors
    assert (parsed.selection.model, parsed.selection.image, parsed.selection.theta) == ("small", "test:0", 0.5)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?model=nonsense", "model"),
        ("?model=", "model"),
        ("?model=../../etc/passwd", "model"),
        ("?image=test:100", "image"),
        ("?image=test:-1", "image"),
        ("?image=test:007", "image"),
        ("?image=test:", "image"),
        ("?image=upload:" + "b" * 64, "image"),
        ("?image=upload:../../x", "image"),
        ("?image=train:3", "image"),
        ("?pin=test:1000", "pin"),
        ("?attack=no", "attack"),
        ("?epsilon=-1", "epsilon"),
        ("?epsilon=nan", "epsilon"),
        ("?epsilon=inf", "epsilon"),
        ("?epsilon=", "epsilon"),
        ("?seed=1.5", "seed"),
        ("?seed=-1", "seed"),
        ("?rank=0", "rank"),
        ("?rank=3", "rank"),
        ("?theta=0", "theta"),
        ("?theta=1.01", "theta"),
        ("?theta=abc", "theta"),
        ("?target=10", "target"),
        ("?target=x", "target"),
        ("?pair=3", "pair"),
        ("?pair=3-10", "pair"),
        ("?edges=1001", "edges"),
        ("?units=1", "units"),
        ("?set.steps=many", "set.steps"),
        ("?set.unknown=1", "set.unknown"),
        ("?harden=" + "d" * 32, "harden"),
        ("?comparison=../../x", "comparison"),
        ("?phases=", "phases"),
        ("?with.steps=many", "with.steps"),
        ("?way=vanilla&with.steps=3", "with.steps"),
        ("?way=magic&with.steps=3", "way"),
        ("?start=nowhere", "start"),
        ("?epochs=0", "epochs"),
        ("?rate=nan", "rate"),
        ("?rate=", "rate"),
        ("?batch=1.5", "batch"),
        ("?trained=0", "trained"),
        ("?judged=9", "judged"),
        ("?phased=10001", "phased"),
        ("?beside=nobody", "beside"),
        ("?beside=a,b,c,d,e,f,g", "beside"),
        ("?colour=red", "colour"),
        ("?theta=0.5&theta=0.6", "theta"),
        ("?theta=" + "1" * 300, "theta"),
    ],
)
def test_what_is_wrong_is_reported_under_its_field(query, field):
    parsed = parse_query(query, CHOICES)
    assert list(parsed.errors) == [field]
    assert len(parsed.errors[field]) < 400
    assert field not in parsed.values
    with pytest.raises(SelectionError):
        _ = parsed.selection


@pytest.mark.parametrize("length", [MAX_QUERY + 1, 1_000_000])
def test_an_overlong_link_is_refused(length):
    assert list(parse_query("?theta=" + "9" * length, CHOICES).errors) == ["link"]


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(FIELDS) | st.text(max_size=20), st.text(max_size=60) | st.lists(st.text()), max_size=6
    )
)
def test_any_fields_are_either_values_or_errors(fields):
    parsed = parse_fields(fields, CHOICES)
    for name in fields:
        known = name in FIELDS and name != "pair"
        assert name[:40] in parsed.errors or name.startswith(("set.", "with.")) or name in FIELDS
        if known and name not in parsed.errors and isinstance(fields[name], str) and "model" not in parsed.errors:
            assert name in parsed.values or name == "epsilon" or name in {*STUDY_FIELDS, *UNIT_FIELDS, *HARDEN_FIELDS}


@given(st.text(string.printable, max_size=200))
def test_no_text_breaks_the_parser(text):
    parse_query("?" + text, CHOICES)


def test_a_target_for_an_attack_that_takes_none_is_an_error():
    assert "cannot be led" in parse_query("?attack=deepfool&target=3", CHOICES).errors["target"]
