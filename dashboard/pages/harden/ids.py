"""The ids of the Harden page. The browser's scripts use some of them; see assets/detour."""

from __future__ import annotations

from typing import Any

SELECTION = "harden-selection"
MODEL = "harden-model"
WAY = "harden-way"
WAY_SENT = "harden-way-sent"

FORM = "harden-form"
ASK = "harden-ask"
NOTE = "harden-note"
ESTIMATE = "harden-estimate"
EARLIER = "harden-earlier"

STATUS = "harden-status"
FOLLOWED = "harden-followed"
OUTCOME = "harden-outcome"
EPOCHS = "harden-epochs"
CURVES = "harden-curves"
KEPT = "harden-kept"
KEPT_NOTE = "harden-kept-note"

ANSWER = "harden-answer"
TRAINED = "harden-trained"
COMPARED = "harden-compared"

COMPARISON = "harden-comparison"
COMPARE = "harden-compare"
COMPARE_NOTE = "harden-compare-note"
COMPARED_EARLIER = "harden-compared-earlier"
COMPARISON_PART = "harden-comparison-part"
SHOWN = "harden-shown"
LOOK = "harden-look"
COMPARISON_STATUS = "harden-comparison-status"
COMPARISON_FOLLOWED = "harden-comparison-followed"
COMPARISON_OUTCOME = "harden-comparison-outcome"
RESULTS = "harden-results"
TABLE = "harden-table"
UNITS_NOTE = "harden-units-note"
SIMILARITY_NOTE = "harden-similarity-note"
REPORT_JSON = "harden-report-json"
REPORT_FILE = "harden-report-file"

OWN = "harden-own"
OWN_NOTE = "harden-own-note"
REMOVED = "harden-removed"
REMOVING = "harden-removing"
REMOVE_DIALOG = "harden-remove-dialog"
REMOVE_WORDS = "harden-remove-words"
REMOVE_YES = "harden-remove-yes"
REMOVE_NO = "harden-remove-no"


def field(name: Any) -> dict[str, Any]:
    """The id of a control of the form, by its field of the URL; ALL for all together."""
    return {"type": "harden-field", "name": name}


def submitted(name: Any) -> dict[str, Any]:
    """The id of the store with the job last asked for, by the field of the URL that names it; ALL for both."""
    return {"type": "harden-submitted", "name": name}


def keep(job: Any) -> dict[str, Any]:
    """The id of the button that keeps what a stopped job has as a model; ALL for whichever there is."""
    return {"type": "harden-keep", "name": job}


def remove(model: Any) -> dict[str, Any]:
    """The id of the button that removes an own model; ALL for all together."""
    return {"type": "harden-remove", "name": model}
