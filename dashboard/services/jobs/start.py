"""The first file of a job's process: ``python -P start.py ORDER``.

The packages ``engine`` and ``dashboard.services`` import torch and the whole of the services when they are entered.
A job's process enters them for a few small modules; here they are set up so that what else they hold is imported
when somebody asks for it: a job that needs no torch starts in a fraction of a second.
"""

from __future__ import annotations

import importlib.util
import sys
import threading


def defer(name: str) -> None:
    """Lets a package be entered at once; its ``__init__`` runs when a name is asked for that it has not yet."""
    spec = importlib.util.find_spec(name)
    assert spec is not None, name
    assert spec.loader is not None, name
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)
    lock = threading.RLock()
    state = {"loaded": False}

    def load(attribute: str) -> object:
        # The import system and introspection ask for names such as __wrapped__; no package here defines one but these.
        if attribute.startswith("__") and attribute not in ("__all__", "__version__"):
            raise AttributeError(attribute)
        with lock:
            if not state["loaded"]:
                state["loaded"] = True
                loader.exec_module(package)
            if attribute not in vars(package):
                raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
            return vars(package)[attribute]

    vars(package)["__getattr__"] = load
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


if __name__ == "__main__":
    defer("engine")
    defer("dashboard.services")
    from dashboard.services.jobs.worker import main

    sys.exit(main(sys.argv[1]))
