"""Kinds of job that only tests have."""

import os
import resource
import signal
import subprocess
import sys
import time

from engine.errors import InvalidInputError
from engine.files import write_atomically
from engine.registry import Entry, Registry


def sleep(settings, folder, progress, context):
    """Takes settings["seconds"] and leaves a file; resumes where it was stopped."""
    state = context.work / "state.txt"
    steps = max(1, int(settings["seconds"] / 0.05))
    done = int(state.read_text()) if state.exists() else 0
    (folder / "begun.txt").write_text("half")
    for step in range(done, steps):
        progress(step / steps, f"step {step} of {steps}")
        time.sleep(0.05)
        write_atomically(state, lambda partial, done=step + 1: partial.write_text(str(done)))  # it may die meanwhile
    (folder / "begun.txt").unlink()
    (folder / "answer.txt").write_text("forty-two" * 100)
    return {"steps": steps, "resumed_at": done, "niceness": os.nice(0), "pid": os.getpid()}


def quick(settings, folder, progress, context):
    progress(0.5, "half")
    (folder / "deep").mkdir()
    (folder / "deep" / "answer.txt").write_text(str(settings.get("n")))
    heavy = sorted({"torch", "flask", "dash", "numpy"} & set(sys.modules))
    return {"threads": context.threads, "heavy": heavy, "environment": os.environ["OMP_NUM_THREADS"]}


def fail(settings, folder, progress, context):
    (folder / "half.txt").write_text("half")
    how = settings["how"]
    if how == "memory":
        raise MemoryError
    if how == "disk behind another error":
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise InvalidInputError("It cannot be saved.") from error
    if how == "disk":
        raise OSError(28, "No space left on device")
    if how == "engine":
        raise InvalidInputError("theta: expected a number; got 'x'.")
    if how == "exit":
        os._exit(3)
    raise KeyError("a secret detail")


def stubborn(settings, folder, progress, context):
    """Hears no request to stop, and has a child that hears none either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code])
    (context.work / "child.txt").write_text(str(child.pid))
    progress(0.1, "stubborn")
    time.sleep(600)
    return {}


def hungry(settings, folder, progress, context):
    """Asks for more memory than it may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    (folder / "half.txt").write_text("half")
    return {"bytes": len(bytearray(2**31))}


def torch_threads(settings, folder, progress, context):
    import torch

    from dashboard.services import Services
    from engine import EffectivePath

    return {"threads": torch.get_num_threads(), "names": [Services.__name__, EffectivePath.__name__]}


def not_json(settings, folder, progress, context):
    return {"value": float("nan")}


kinds = Registry("kind of job")
for name, run in (
    ("sleep", sleep),
    ("quick", quick),
    ("fail", fail),
    ("stubborn", stubborn),
    ("hungry", hungry),
    ("torch-threads", torch_threads),
    ("not-json", not_json),
):
    kinds.add(Entry(name, name, run))
