"""What the pages ask for data: classifiers, results, uploads and background work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

import flask

from dashboard.selection import Parsed, Selection, parse_fields, parse_query
from dashboard.services.cache import ResultCache
from dashboard.services.cache_limit import make_room, notice
from dashboard.services.class_paths import NormalPaths
from dashboard.services.classifiers import MODELS, Classifiers
from dashboard.services.comparisons import Comparisons
from dashboard.services.computations import Computations, Pending
from dashboard.services.drawings import Drawings
from dashboard.services.estimates import Estimates
from dashboard.services.hardenings import Hardenings
from dashboard.services.inspection import Inspections
from dashboard.services.interventions import Interventions
from dashboard.services.jobs.kinds import MODULE
from dashboard.services.jobs.queue import JobQueue
from dashboard.services.phases import Phases
from dashboard.services.regions import Regions
from dashboard.services.storage import cache_folder
from dashboard.services.studies import Studies
from dashboard.services.unit_studies import RouteStudies, SensitivityStudies
from dashboard.services.unit_views import UnitViews
from dashboard.services.uploads import Uploads
from dashboard.settings import Settings
from engine.errors import EngineError

log = logging.getLogger(__name__)

EXTENSION = "detour"
# Of the results in memory, one part in so many are figures.
FIGURES_SHARE = 4


class Choices(Classifiers):
    """What a link may name: classifiers, attacks, uploaded images and jobs."""

    def __init__(self, settings: Settings, uploads: Uploads, jobs: JobQueue) -> None:
        """Reads the classifiers of ``settings``."""
        super().__init__(settings)
        self._uploads = uploads
        self._jobs = jobs

    def has_upload(self, image: str) -> bool:
        """Whether an uploaded image is still here."""
        return self._uploads.has(image)

    def has_job(self, job_id: str) -> bool:
        """Whether the queue knows a job; it knows none while its list cannot be read."""
        try:
            return self._jobs.job(job_id).id == job_id
        except EngineError:
            return False


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one application.

    Attributes:
        settings: the server's options.
        choices: classifiers, attacks and uploads that can be chosen.
        uploads: images that visitors dropped.
        inspections: results for one image.
        interventions: the route of an attack through one image, and what changing units does.
        unit_views: what single units do for an image.
        normal_paths: class paths and normal similarities, computed in the background.
        studies: detection studies, and the detectors that they fitted.
        sensitivity, routes: studies of units.
        hardenings: trainings against attacks, and the models that came of them.
        comparisons: how robust models are, side by side, and what differs inside.
        phases: class paths over a training.
        estimates: how long a hardening will take.
        regions: where in images a unit reacts.
        drawings: figures that were drawn before.
        jobs: long work in processes of its own; to be closed when the application ends.
        cache: folder of results that can be computed again.
        warning: what visitors should know about this server since it was started, "" for nothing.
    """

    settings: Settings
    choices: Choices
    uploads: Uploads
    inspections: Inspections
    interventions: Interventions
    unit_views: UnitViews
    normal_paths: NormalPaths
    jobs: JobQueue
    studies: Studies
    sensitivity: SensitivityStudies
    routes: RouteStudies
    hardenings: Hardenings
    comparisons: Comparisons
    phases: Phases
    estimates: Estimates
    regions: Regions
    drawings: Drawings
    cache: Path
    warning: str = ""

    @classmethod
    def create(cls, settings: Settings, *, kinds: str = MODULE) -> Services:
        """Makes the services; nothing but an own model is loaded yet, and jobs that wait are started.

        Args:
            settings: options of the server.
            kinds: importable module that holds the kinds of job.

        Raises:
            InvalidInputError: if something else is in the place of the data directory.
            EngineError: if an own model or the Redis server cannot be used, or the package for a cluster is absent.
        """
        cache, warning = cache_folder(settings.data_dir)
        make_room(cache, settings.cache_bytes)
        jobs = JobQueue.start(settings, kinds=kinds)
        try:
            uploads = Uploads(settings.data_dir / "uploads")
            choices = Choices(settings, uploads, jobs)
            shown = settings.memory_bytes // FIGURES_SHARE
            drawings = Drawings(ResultCache(shown), lambda search: _identity(choices, search))
            computations = Computations(ResultCache(settings.memory_bytes - shown))
            inspections = Inspections(choices, uploads, computations)
            return cls(
                settings=settings,
                choices=choices,
                uploads=uploads,
                inspections=inspections,
                interventions=Interventions(choices, inspections, computations),
                unit_views=UnitViews(choices, inspections, computations),
                regions=Regions(choices, computations, cache / "attacks"),
                normal_paths=NormalPaths(choices, cache, settings.cache_bytes, settings.dask),
                jobs=jobs,
                studies=Studies(jobs, choices, computations),
                sensitivity=SensitivityStudies(jobs, choices),
                routes=RouteStudies(jobs, choices),
                hardenings=Hardenings(jobs, choices, settings.data_dir / MODELS),
                comparisons=Comparisons(jobs, choices),
                phases=Phases(jobs, choices),
                estimates=Estimates(choices, computations),
                drawings=drawings,
                cache=cache,
                warning=warning,
            )
        except BaseException:  # also a signal to end: the queue has processes by now
            jobs.close()
            raise

    def notice(self) -> str:
        """What visitors should know about this server now, "" for nothing."""
        return " ".join(filter(None, (self.warning, notice(self.cache))))

    def parse(self, search: str | None) -> Parsed:
        """Reads a query string."""
        return parse_query(search, self.choices)

    def parse_fields(self, fields: Mapping[str, object]) -> Parsed:
        """Reads the fields of a query."""
        return parse_fields(fields, self.choices)

    def select(self, search: str | None) -> Selection:
        """The selection in a query string.

        Raises:
            SelectionError: if any field is wrong.
        """
        return self.parse(search).selection

    def warm_up(self) -> threading.Thread:
        """Computes the first view in the background, so that the first visitor need not wait for compilation."""
        thread = threading.Thread(target=self._first_view, name="warm-up", daemon=True)
        thread.start()
        return thread

    def _first_view(self) -> None:
        try:
            selection = self.select("")
            view = self.inspections.inspect(selection)
            for subject in (view.clean, view.adversarial):
                for rank in (1, 2):
                    self.inspections.path(selection, subject, rank)
            self.normal_paths.ask(selection.model, selection.theta)
        except EngineError as error:
            log.warning("the first view cannot be prepared: %s", error)
        except Pending:
            log.info("the first view takes longer than usual; it is still being computed")


def _identity(choices: Choices, search: str) -> Hashable | None:
    """What a view depends on besides its query string; None for one that cannot be shown."""
    parsed = parse_query(search, choices)
    if parsed.errors:
        return None
    loaded = choices.get(parsed.values["model"])
    return loaded.classifier.key, loaded.dataset.key


def current_services() -> Services:
    """The services of the application that answers the present request.

    Dash keeps one list of pages for all applications of a process; a layout finds its own services here.
    """
    return flask.current_app.extensions[EXTENSION]
