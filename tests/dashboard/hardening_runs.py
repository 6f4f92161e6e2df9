"""Hardenings and what is made of them, run in the tests' own process."""

import json
import math
import shutil
import uuid
from dataclasses import fields

from dashboard.services.jobs import (
    comparison,
    comparison_settings,
    hardening,
    hardening_settings,
    phases,
    phases_settings,
)
from dashboard.services.jobs.job import Job, JobContext
from engine.errors import Cancelled

PARENT = "lenet5-digits"
FORM = f"?model={PARENT}&start=parent&epochs=2&trained=48&with.steps=1&batch=16"


def settings_of(services, search=FORM):
    selection = services.select(search)
    loaded = services.choices.get(selection.model)
    return hardening_settings.hardening_settings(selection.model, loaded, selection.harden_form, selection.seed)


def job_of(settings, state="done", kind="harden", job_id="0" * 32):
    rest = {field.name: None for field in fields(Job)}
    return Job(**rest | {"id": job_id, "kind": kind, "label": "PAT · LeNet-5", "settings": settings, "state": state})


class Runs:
    """Runs jobs in this process, each in a folder of its own."""

    def __init__(self, services):
        self.services = services
        self.ids = []

    def folder(self, job_id):
        return self.services.settings.data_dir / "jobs" / job_id

    def forget(self):
        """Takes away what the runs have left, their models too."""
        for model in self.services.hardenings.models():
            if model.job in self.ids:
                self.services.hardenings.remove(model.name)
        for job_id in self.ids:
            shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def run(self, module, settings, job_id=None, until=math.inf):
        """Runs a job; stops it when its finished fraction exceeds ``until``."""
        job_id = job_id or uuid.uuid4().hex
        self.ids.append(job_id)
        work, result = self.folder(job_id) / "work", self.folder(job_id) / "result"
        work.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(result, ignore_errors=True)
        result.mkdir()

        def progress(fraction, message):
            if fraction > until:
                raise Cancelled("stop")

        context = JobContext(self.services.settings, work, 1)
        try:
            summary = module.run(module_settings(module, settings), result, progress, context)
        except BaseException:
            shutil.rmtree(result)
            raise
        return job_id, result, summary


def module_settings(module, settings):
    """As they come out of the list of jobs."""
    own = {hardening: hardening_settings, comparison: comparison_settings, phases: phases_settings}[module]
    return json.loads(json.dumps(dict(own.check(settings))))
