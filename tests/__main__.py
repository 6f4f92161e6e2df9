"""Runs every check of the project: lint, format, types, tests. ``python -m tests [pytest options]``.

Without options, tests marked slow are left out, unless CI is set in the environment.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(options: list[str]) -> int:
    """Runs the checks in turn and stops at the first that fails."""
    selection = options or ([] if os.environ.get("CI") else ["-m", "not slow"])
    for command in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", *selection],
    ):
        print("$", *command, flush=True)
        status = subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
