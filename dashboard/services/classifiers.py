"""The classifiers that can be chosen, with their data sets and extractors, loaded when first asked for."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dashboard.services.registered import Registered
from dashboard.settings import Settings
from engine.attacks.catalogue import attacks
from engine.datasets.catalogue import dataset_of, load_dataset
from engine.datasets.dataset import Dataset
from engine.datasets.folder import folder_dataset
from engine.errors import DatasetError, EngineError, UnknownNameError
from engine.network.classifiers import Classifier, load_custom
from engine.paths.extraction import EffectivePath
from engine.registry import Entry, Registry

MODELS = "models"
MAX_LOADED = 4
MAX_EXTRACTORS = 4
# A page asks a dozen times at once; a failure, which may take seconds to come, is not waited for a dozen times.
FAILURE_KEPT_S = 3.0


@dataclass(frozen=True, slots=True)
class LoadedClassifier:
    """A classifier ready for use, by several threads at once.

    Attributes:
        classifier: the model with its classes and content key.
        dataset: the data set its images come from.
    """

    classifier: Classifier
    dataset: Dataset
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _extractors: OrderedDict[float, EffectivePath] = field(default_factory=OrderedDict)

    def extractor(self, theta: float) -> EffectivePath:
        """The path extractor for a θ; the traced network is kept."""
        with self._lock:
            if theta not in self._extractors:
                self._extractors[theta] = EffectivePath(self.classifier.module, theta=theta)
                while len(self._extractors) > MAX_EXTRACTORS:
                    self._extractors.popitem(last=False)
            self._extractors.move_to_end(theta)
            return self._extractors[theta]


class Classifiers:
    """What there is to choose from; keeps the classifiers used last."""

    attacks = attacks

    def __init__(self, settings: Settings) -> None:
        """Reads which classifiers exist, and loads an own model named on the command line.

        Raises:
            EngineError: if the own model, its checkpoint or its data set cannot be used.
        """
        self._settings = settings
        self._registered = Registered(settings.data_dir / MODELS)
        self._loaded: OrderedDict[str, tuple[object, LoadedClassifier]] = OrderedDict()
        self._failed: dict[str, tuple[object, float, EngineError]] = {}
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._default: str | None = None
        self._kernels = threading.Event()
        self._kernels.set()
        self._own = self._load_own() if settings.model else None

    def hold_extraction(self, until: Callable[[], object]) -> None:
        """Lets nobody extract a path before ``until`` returns: the kernels are being compiled elsewhere."""
        self._kernels.clear()

        def wait() -> None:
            try:
                until()
            finally:
                self._kernels.set()

        threading.Thread(target=wait, name="kernels", daemon=True).start()

    def wait_for_kernels(self) -> None:
        """Returns when paths may be extracted; call it before doing so."""
        self._kernels.wait()

    def labels(self) -> dict[str, str]:
        """What a person reads, by name; an own model comes first."""
        own = {self._own.classifier.name: self._own.classifier.label} if self._own else {}
        return own | {entry.name: entry.label for entry in self.registry()}

    def registry(self) -> Registry[Classifier]:
        """The classifiers that are registered at this moment; one given on the command line is not among them."""
        return self._registered.now()

    def model_names(self) -> Sequence[str]:
        """The names of all classifiers."""
        return list(self.labels())

    def default_model(self) -> str:
        """The classifier shown first: the own one, or the smallest whose data set is on this machine."""
        if self._default is None or self._default not in self.labels():
            self._default = self._first_usable()
        return self._default

    def get(self, name: str) -> LoadedClassifier:
        """The classifier of that name.

        Raises:
            UnknownNameError: if there is none.
            EngineError: if its weights or its data set cannot be read.
        """
        if self._own and name == self._own.classifier.name:
            return self._own
        entry = self.registry()[name]
        weights = entry.facts.get("sha256")
        with self._lock:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:  # one data set may take seconds; those who ask for another model do not wait for it
            loaded = self._loaded_before(name, weights)
            if loaded is None:
                self._raise_what_failed(name, weights)
                try:
                    classifier = entry.create()
                    loaded = LoadedClassifier(classifier, dataset_of(classifier, root=self._settings.datasets_dir))
                except EngineError as error:
                    self._failed[name] = (weights, time.monotonic(), error)
                    raise
                self._keep(name, weights, loaded)
            return loaded

    def _raise_what_failed(self, name: str, weights: object) -> None:
        """Raises the error of a moment ago, if there was one."""
        before, failed, error = self._failed.pop(name, (None, 0.0, None))
        if error is not None and before == weights and time.monotonic() - failed < FAILURE_KEPT_S:
            self._failed[name] = (before, failed, error)
            raise error.with_traceback(None)

    def _loaded_before(self, name: str, weights: object) -> LoadedClassifier | None:
        """The classifier, if it was loaded and its weights have not been replaced since."""
        with self._lock:
            before, loaded = self._loaded.get(name, (None, None))
            if loaded is None or before != weights:
                return None
            self._loaded.move_to_end(name)
            return loaded

    def _keep(self, name: str, weights: object, loaded: LoadedClassifier) -> None:
        with self._lock:
            self._loaded[name] = (weights, loaded)
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)

    def datasets(self) -> dict[str, str]:
        """The name of each classifier's data set, by the classifier's name."""
        own = {self._own.classifier.name: self._own.classifier.dataset} if self._own else {}
        return own | {entry.name: entry.facts["dataset"] for entry in self.registry()}

    def class_count(self, model: str) -> int:
        """The number of classes a classifier tells apart."""
        return len(self.get(model).classifier.classes)

    def image_count(self, model: str) -> int:
        """The number of test images of a classifier's data set."""
        return len(self.get(model).dataset.test)

    def _dataset(self, name: str) -> Dataset:
        return load_dataset(name, root=self._settings.datasets_dir)

    def _load_own(self) -> LoadedClassifier:
        settings = self._settings
        assert settings.model is not None
        folder = settings.dataset_dir
        dataset = folder_dataset(folder) if folder else self._dataset(settings.dataset or "digits")
        classifier = load_custom(
            settings.model,
            settings.checkpoint,
            dataset=dataset.name,
            classes=dataset.classes,
            image_shape=dataset.image_shape,
            label=f"{settings.model.rpartition(':')[2]} · {dataset.label}",
        )
        return LoadedClassifier(classifier, dataset)

    def _first_usable(self) -> str:
        if self._own:
            return self._own.classifier.name
        registry = self.registry()
        if not len(registry):
            raise UnknownNameError("There is no classifier on this machine; reinstall, or start with --model.")
        # The smallest answers soonest, and a large one's data set may take seconds to read.
        smallest_first = sorted(registry, key=_parameters)
        for entry in smallest_first:
            try:
                self.get(entry.name)
            except DatasetError:
                continue
            return entry.name
        return smallest_first[0].name


def _parameters(entry: Entry[Classifier]) -> float:
    """How many weights a classifier has, as its card says; infinite if it does not."""
    count = entry.facts.get("parameters")
    return count if isinstance(count, int) else math.inf
