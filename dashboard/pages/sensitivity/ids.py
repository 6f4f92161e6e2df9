"""The ids of the Sensitivity page, besides those that every page of units has (dashboard/pages/unit_pages.py)."""

MODEL = "sensitivity-model"
CHOSEN = "sensitivity-chosen"

SUMMARY = "sensitivity-summary"
LAYER_ANSWER = "sensitivity-layer-answer"
REPORT_JSON = "sensitivity-report-json"
REPORT_FILE = "sensitivity-report-file"

UNITS_NOTE = "sensitivity-units-note"
RATIOS_NOTE = "sensitivity-ratios-note"
REGION_NOTE = "sensitivity-region-note"
LEAST_NOTE = "sensitivity-least-note"
DAMPED = "sensitivity-damped"
CLASS = "sensitivity-class"
LAYERS = "sensitivity-layers"
