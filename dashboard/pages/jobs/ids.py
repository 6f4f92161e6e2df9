"""The ids of the Jobs page. The browser's scripts use some of them; see assets/detour."""

SELECTION = "jobs-selection"
KNOWN = "jobs-known"
COUNTS = "jobs-counts"
TABLE = "jobs-table"
DETAILS = "jobs-details"
ABOUT = "jobs-about"
LOG = "jobs-log"
