"""What is chosen on a page, and its exact form in the URL.

Every value is checked; one that is unknown, out of range or of the wrong form is reported under its field and never
replaced by a default. Only a field that the URL does not mention takes its default.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode

from dashboard.studies.form import STUDY_FIELDS, StudyForm, read_study_form
from dashboard.studies.harden_form import HARDEN_FIELDS, WITH, HardenForm, read_harden_form
from dashboard.studies.unit_form import UNIT_FIELDS, UnitForm, read_unit_form
from engine.errors import EngineError, InvalidInputError
from engine.registry import Entry, Parameter, Registry, Value

MAX_QUERY = 4000
MAX_VALUE = 200
MAX_LIST = 1000
SETTING = "set."

THETA = Parameter(
    "theta", "θ", "float", 0.5, low=0.01, high=1.0, help="Share of a neuron's value that its synapses explain."
)
RANK = Parameter("rank", "rank", "int", 1, low=1, high=2, help="Which of the most likely classes the path starts from.")
SEED = Parameter("seed", "seed", "int", 0, low=0, high=2**31 - 1, help="Seed of every random choice.")
THETA_DECIMALS = 3
EDGES = Parameter("edges", "edges", "int", 200, low=10, high=1000, help="Most bundles of synapses drawn.")
UNITS = Parameter("units", "units", "int", 12, low=2, high=40, help="Most units drawn per layer.")

THRESHOLD = Parameter(
    "threshold", "threshold", "float", 0.0, low=-1e9, high=1e9, help="Score above which an image is flagged."
)

FACTOR = Parameter(
    "factor", "factor", "float", 0.0, low=0.0, high=1.0, help="What is left of the chosen units: 1 changes nothing."
)
EXPERIMENTS = ("transplant", "deactivate", "weaken")

OWN_FIELDS = (
    "model image attack epsilon seed rank theta target pin pair edges units job study method against threshold "
    "detector sensitivity route layer unit picked act factor harden comparison phases"
).split()
FIELDS = [*OWN_FIELDS, *STUDY_FIELDS, *UNIT_FIELDS, *HARDEN_FIELDS]
LONG_FIELDS = {*STUDY_FIELDS, *UNIT_FIELDS, *HARDEN_FIELDS, "picked"}
JOB_FIELDS = ("job", "study", "sensitivity", "route", "harden", "comparison", "phases")
_TEST_IMAGE = re.compile(r"test:(0|[1-9]\d{0,7})")
_UPLOAD = re.compile(r"upload:[0-9a-f]{64}")
_PAIR = re.compile(r"(\d{1,4})-(\d{1,4})")
_JOB = re.compile(r"[0-9a-f]{32}")
_PICKED = re.compile(r"[^\s,:]+:\d{1,6}(\.\d{1,6})*(,[^\s,:]+:\d{1,6}(\.\d{1,6})*)*")
_UNIT = re.compile(r"([^\s,:]+):(\d{1,6})")
_DETECTOR = re.compile(r"([0-9a-f]{32}):([a-z_]{1,40})")


class SelectionError(EngineError):
    """The URL asks for something that cannot be shown; ``errors`` has a sentence per field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        """Takes a sentence per field."""
        super().__init__(" ".join(errors.values()))
        self.errors = dict(errors)


class Catalogue(Protocol):
    """What there is to choose from."""

    attacks: Registry[Any]

    def default_model(self) -> str: ...  # noqa: D102

    def model_names(self) -> Sequence[str]: ...  # noqa: D102

    def class_count(self, model: str) -> int: ...  # noqa: D102

    def image_count(self, model: str) -> int: ...  # noqa: D102

    def has_upload(self, image: str) -> bool: ...  # noqa: D102

    def has_job(self, job_id: str) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything a view depends on.

    Attributes:
        model: name of a classifier.
        image: ``test:INDEX`` or ``upload:SHA-256``.
        attack: name of an attack.
        epsilon: its strength, or None for an attack without one.
        seed: seed of the attack.
        rank: 1 to follow the most likely class, 2 for the second.
        theta: share of each neuron's value its selected synapses explain, in (0, 1].
        target: class the attack aims at, or None for any other.
        settings: the attack's other settings that were given.
        pin: image pinned as the reference, or None.
        pair: two classes compared on the Classes page, or None.
        edges, units: most edges and most units per layer in the path graph.
        job: the job whose settings and log are shown on the Jobs page, or None.
        study: the detection job whose outcome is shown on the Detect page, or None.
        method, against: of that study, the detector and the attack looked at closely; None for the first.
        threshold: score above which an image is flagged there, or None for the one that flags 5 % of normal images.
        detector: study and name of the saved detector that judges on the Inspect page, or None.
        sensitivity, route: the jobs whose outcomes the pages of these names show, or None.
        layer: of units, looked at closely there; None for the first.
        unit: layer and number of the unit looked at closely, or None.
        picked: units that an experiment changes on the Route page, by layer; layers of other models are no error here.
        act: the experiment: one of :data:`EXPERIMENTS`.
        factor: what it leaves of the units, in [0, 1].
        harden, comparison, phases: the jobs that the Harden page and the view over training show, or None.
        study_form: what the next detection study is asked for.
        unit_form: what the next study of units is asked for.
        harden_form: what the next hardening is asked for, and how it is looked at.
    """

    model: str
    image: str
    attack: str
    epsilon: float | None = None
    seed: int = 0
    rank: int = 1
    theta: float = 0.5
    target: int | None = None
    settings: tuple[tuple[str, Value], ...] = ()
    pin: str | None = None
    pair: tuple[int, int] | None = None
    edges: int = 200
    units: int = 12
    job: str | None = None
    study: str | None = None
    method: str | None = None
    against: str | None = None
    threshold: float | None = None
    detector: tuple[str, str] | None = None
    sensitivity: str | None = None
    route: str | None = None
    layer: str | None = None
    unit: tuple[str, int] | None = None
    picked: tuple[tuple[str, tuple[int, ...]], ...] = ()
    act: str = "transplant"
    factor: float = 0.0
    harden: str | None = None
    comparison: str | None = None
    phases: str | None = None
    study_form: StudyForm = field(default_factory=StudyForm)
    unit_form: UnitForm = field(default_factory=UnitForm)
    harden_form: HardenForm = field(default_factory=HardenForm)

    def to_query(self) -> str:
        """The query string, with its "?", that :func:`parse_query` turns into this selection again."""
        values: dict[str, str] = {}
        for name in OWN_FIELDS:
            value = getattr(self, name)
            if name == "picked":
                value = picked_text(value) or None
            if value is not None and value != _UNSAID.get(name):
                between = "-" if name == "pair" else ":"
                values[name] = between.join(map(str, value)) if isinstance(value, tuple) else str(value)
        values |= self.study_form.to_fields() | self.unit_form.to_fields() | self.harden_form.to_fields()
        values |= {f"{SETTING}{name}": str(value) for name, value in self.settings}
        return "?" + urlencode(values)


_UNSAID = {"act": "transplant", "factor": 0.0}


def picked_text(picked: Sequence[tuple[str, Sequence[int]]]) -> str:
    """Units by layer as the URL has them: ``conv1:0.4,conv2:7``."""
    return ",".join(f"{layer}:{'.'.join(map(str, units))}" for layer, units in picked if len(units))


@dataclass(frozen=True, slots=True)
class Parsed:
    """The outcome of reading a URL: the values that are right, and a sentence for each that is not."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def selection(self) -> Selection:
        """The selection.

        Raises:
            SelectionError: if any field is wrong.
        """
        if self.errors:
            raise SelectionError(self.errors)
        return Selection(**self.values)


def query_fields(search: str | None) -> dict[str, str | list[str]]:
    """The fields of a query string; one that is given twice is a list."""
    if not search or len(search) > MAX_QUERY:
        return {}
    pairs = parse_qs(search.removeprefix("?"), keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in pairs.items()}


def parse_query(search: str | None, catalogue: Catalogue) -> Parsed:
    """Reads a query string such as ``?model=lenet5-mnist&image=test:17``."""
    if search and len(search) > MAX_QUERY:
        return Parsed(errors={"link": f"The link has {len(search):,} characters; at most {MAX_QUERY:,} make sense."})
    return parse_fields(query_fields(search), catalogue)


def parse_fields(query: Mapping[str, object], catalogue: Catalogue) -> Parsed:
    """Reads the fields of a query."""
    return _Reader(query, catalogue).read()


class _Reader:
    """Reads one query; a method per group of fields, in the order in which they depend on each other."""

    def __init__(self, query: Mapping[str, object], catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.values: dict[str, Any] = {}
        self.errors: dict[str, str] = {}
        self.query: dict[str, str] = {}
        for name, value in query.items():
            self._accept(name, value)

    def _accept(self, name: str, value: object) -> None:
        shown = name[:40]
        if name not in FIELDS and not name.startswith((SETTING, WITH)):
            close = ", ".join(difflib.get_close_matches(shown, FIELDS)) or ", ".join(OWN_FIELDS[:9]) + " and others"
            self.errors[shown] = f"{shown}: no such field; a link may set {close}."
        elif not isinstance(value, str):
            self.errors[shown] = f"{shown}: given more than once."
        elif len(value) > (most := MAX_LIST if name in LONG_FIELDS else MAX_VALUE):
            self.errors[shown] = f"{shown}: {len(value):,} characters are too many; at most {most:,}."
        else:
            self.query[name] = value

    def read(self) -> Parsed:
        self._read_model()
        self._read_image("image", "test:0")
        self._read_image("pin", None)
        self._read_attack()
        for parameter in (SEED, RANK, THETA, EDGES, UNITS, FACTOR):
            self._read_number(parameter)
        theta = self.values.get("theta")
        if theta is not None and theta != round(theta, THETA_DECIMALS):
            del self.values["theta"]  # class paths are kept by θ: one that differs in the tenth digit is a mistake
            self.errors["theta"] = f"theta: expected at most {THETA_DECIMALS} decimals; got {theta:.10g}."
        self._read_classes()
        self._read_jobs()
        self._read_units()
        self.values["study_form"], wrong = read_study_form(self.query)
        self.values["unit_form"], also = read_unit_form(self.query, self.catalogue.model_names())
        self.values["harden_form"], too = read_harden_form(self.query, self.catalogue.model_names())
        self.errors |= wrong | also | too
        return Parsed(self.values, self.errors)

    def _read_number(self, parameter: Parameter) -> None:
        text = self.query.get(parameter.name)
        if parameter.name in self.errors:
            return
        try:
            self.values[parameter.name] = parameter.default if text is None else parameter.parse(text)
        except InvalidInputError as error:
            self.errors[parameter.name] = str(error)

    def _read_model(self) -> None:
        if "model" in self.errors:
            return
        name = self.query.get("model", self.catalogue.default_model())
        if name not in self.catalogue.model_names():
            known = ", ".join(self.catalogue.model_names())
            self.errors["model"] = f"model: there is no model {name[:60]!r}; known: {known}."
            return
        try:
            self.catalogue.class_count(name)
        except EngineError as error:
            self.errors["model"] = f"model: {name} cannot be used here. {error}"
            return
        self.values["model"] = name

    def _read_image(self, name: str, default: str | None) -> None:
        text = self.query.get(name, default)
        if name in self.errors:
            return
        if text is not None and (problem := self._image_problem(text)):
            self.errors[name] = f"{name}: {problem}"
        else:
            self.values[name] = text

    def _image_problem(self, text: str) -> str | None:
        if _UPLOAD.fullmatch(text):
            return (
                None
                if self.catalogue.has_upload(text)
                else "this uploaded image is not on the server; upload it again."
            )
        match = _TEST_IMAGE.fullmatch(text)
        if match is None:
            return f"expected test:NUMBER or an uploaded image; got {text[:60]!r}."
        if "model" in self.values and int(match[1]) >= (count := self.catalogue.image_count(self.values["model"])):
            return f"the test set has the images 0 to {count - 1}; got {match[1]}."
        return None

    def _read_attack(self) -> None:
        attacks = self.catalogue.attacks
        name = self.query.get("attack", "pgd_linf" if "pgd_linf" in attacks else attacks.names()[0])
        if "attack" in self.errors:
            return
        if name not in attacks:
            self.errors["attack"] = f"attack: there is no attack {name[:60]!r}; known: {', '.join(attacks.names())}."
            return
        self.values["attack"] = name
        self._read_settings(attacks[name])

    def _read_settings(self, entry: Entry[Any]) -> None:
        parameters = {parameter.name: parameter for parameter in entry.parameters}
        strength = parameters.pop("epsilon", None)
        if strength is not None:
            self._read_number(strength)
        elif "epsilon" in self.query:
            self.errors["epsilon"] = f"epsilon: {entry.label} has no strength to set."
        given: list[tuple[str, Value]] = []
        for field_name, text in self.query.items():
            if not field_name.startswith(SETTING):
                continue
            name = field_name.removeprefix(SETTING)
            if name not in parameters:
                self.errors[field_name] = f"{field_name[:60]}: {entry.label} has no such setting."
                continue
            try:
                given.append((name, parameters[name].parse(text)))
            except InvalidInputError as error:
                self.errors[field_name] = str(error)
        self.values["settings"] = tuple(sorted(given))

    def _read_classes(self) -> None:
        count = self.catalogue.class_count(self.values["model"]) if "model" in self.values else None
        if "target" not in self.errors and "target" in self.query:
            highest = 10_000 if count is None else count - 1
            self._read_number(Parameter("target", "target", "int", 0, low=0, high=highest))
            attack = self.values.get("attack")
            if attack is not None and not self.catalogue.attacks[attack].facts.get("targeted", True):
                self.errors["target"] = f"target: {self.catalogue.attacks[attack].label} cannot be led to a class."
        text = self.query.get("pair")
        if text is None:
            return
        match = _PAIR.fullmatch(text)
        if match is None or (count is not None and max(int(match[1]), int(match[2])) >= count):
            self.errors["pair"] = f"pair: expected two class numbers such as 3-5; got {text[:60]!r}."
        else:
            self.values["pair"] = (int(match[1]), int(match[2]))

    def _read_jobs(self) -> None:
        for name in JOB_FIELDS:
            if name in self.query:
                self._keep_job(name, _JOB.fullmatch(self.query[name]), self.query[name])
        text = self.query.get("detector")
        if text is not None:
            match = _DETECTOR.fullmatch(text)
            self._keep_job("detector", match and _JOB.fullmatch(match[1]), match and (match[1], match[2]))
        for name in ("method", "against"):
            if name in self.query:
                self.values[name] = self.query[name]
        if "threshold" in self.query:
            self._read_number(THRESHOLD)

    def _read_units(self) -> None:
        if "layer" in self.query:
            self.values["layer"] = self.query["layer"]
        if "unit" in self.query:
            match = _UNIT.fullmatch(self.query["unit"])
            if match is None:
                self.errors["unit"] = f"unit: expected LAYER:NUMBER; got {self.query['unit'][:60]!r}."
            else:
                self.values["unit"] = (match[1], int(match[2]))
        text = self.query.get("picked", "")
        if text and not _PICKED.fullmatch(text):
            self.errors["picked"] = f"picked: expected units such as conv1:0.4,conv2:7; got {text[:60]!r}."
        else:
            parts = [item.partition(":") for item in text.split(",") if item]
            self.values["picked"] = tuple(
                (layer, tuple(sorted({int(unit) for unit in units.split(".")}))) for layer, _, units in parts
            )
        act = self.query.get("act", EXPERIMENTS[0])
        if act in EXPERIMENTS:
            self.values["act"] = act
        else:
            self.errors["act"] = f"act: expected one of {', '.join(EXPERIMENTS)}; got {act[:60]!r}."

    def _keep_job(self, name: str, job_id: re.Match[str] | None, value: object) -> None:
        if job_id is not None and self.catalogue.has_job(job_id[0]):
            self.values[name] = value
        else:
            shown = self.query[name][:60]
            self.errors[name] = f"{name}: there is no such job on this server ({shown!r}); see the Jobs page."
