"""A hardening in a process of its own: ``python -m tests.hardening.interrupted FOLDER METHOD DELAY``.

It says on stdout that an epoch is finished, and every batch takes at least DELAY seconds, so that it can be killed in
the middle of one.
"""

import sys
import time
from pathlib import Path

from engine.hardening.catalogue import hardening_methods
from engine.hardening.hardening import harden
from tests.hardening.nets import few, normed, toy_data

FAST = {"epsilon": 0.1, "steps": 2, "relative_step": 0.6}
SETTINGS = few(epochs=4, flips=True, crop_padding=1, optimizer="adam", lr=0.01)


def method_of(name):
    further = {"units": "dyn"} if name == "sns" else {}
    return hardening_methods[name].create(**FAST, **further)


def run(folder, name, delay=0.0):
    data = toy_data()

    def slowly(_fraction, message):
        time.sleep(delay)
        print(message, flush=True)

    return harden(
        normed(data), data, method_of(name), settings=SETTINGS, seed=2, folder=folder, progress=slowly,
        on_epoch=lambda curves: print(f"finished {curves.epochs}", flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
