"""The arrows of the structure: app → dashboard → engine, and inside the engine towards network and datasets."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRONT = {"dash", "flask", "plotly", "dash_bootstrap_components", "dashboard", "app"}
GROUND = {"errors", "files", "plain", "progress", "registry", "locations", "version"}
# What each room of the engine may import of the others, besides the ground that all stand on.
ALLOWED = {
    "network": set(),
    "datasets": set(),
    "attacks": {"network", "datasets"},
    "paths": {"network", "datasets"},
    "detection": {"network", "datasets", "attacks", "paths"},
    "sensitivity": {"network", "datasets", "attacks"},
    "route": {"network", "datasets", "attacks", "sensitivity"},
    "attribution": {"network", "datasets"},
    "robustness": {"network", "datasets", "attacks"},
    "benchmark": {"network", "paths", "detection"},
    "hardening": {"network", "datasets", "attacks", "paths", "sensitivity", "route"},
}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("file", sorted((ROOT / "engine").rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_engine_knows_no_front_end_and_its_rooms_keep_their_order(file):
    names = list(imported(file))
    assert not [name for name in names if name.partition(".")[0] in FRONT]
    room = file.relative_to(ROOT / "engine").parts[0]
    if room in ALLOWED:
        others = {name.split(".")[1] for name in names if name.startswith("engine.")} - GROUND - {room}
        assert others <= ALLOWED[room]


@pytest.mark.parametrize("file", sorted((ROOT / "dashboard").rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_dashboard_does_not_know_the_entry_and_figures_know_no_torch(file):
    names = {name.partition(".")[0] for name in imported(file)}
    assert "app" not in names
    if "figures" in file.parts:
        assert not names & {"torch", "flask", "dash"}


@pytest.mark.parametrize("file", sorted(ROOT.glob("[ade]*/**/*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_holds_one_idea(file):
    assert len(file.read_text().splitlines()) <= 400
