"""Starts the app as app.py does, but with kinds of job that only tests have: HOME KINDS PROCESSORS."""

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    home, kinds, processors = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    os.cpu_count = lambda: processors
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

    from dashboard.application import create_app
    from dashboard.serving import run
    from dashboard.settings import Settings

    run(create_app(Settings(data_dir=home, datasets_dir=home / "none"), kinds=kinds), "127.0.0.1", 0)
