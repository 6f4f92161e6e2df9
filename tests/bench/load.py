"""Many people at once: ``python -m tests.bench.load --people 50 --seconds 120 --with-job --output load.json``.

Starts the app as the README's command does. A real Chromium walks through Inspect, Classes, Detect and Jobs; what it
asks for is recorded and then sent by as many people as are wanted, who think for 0.5 to 2 seconds between two clicks.
All they look at has been computed. Then 20 equal and 20 different studies are submitted at the same moment. With
``--hours``, people afterwards look at what is *not* cached, while the cache's size and the server's memory, descriptors
and processes are sampled.

The people share the machine with the server, which therefore looks slower than it is; quote both with the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import numpy as np
import psutil

from tests.bench.endurance import Sample, endure, fill, summary
from tests.bench.people import Answer, Crowd, alone, crowd
from tests.bench.recording import Recording, record
from tests.bench.submissions import Busy, Desk, Submitted, submit_at_once
from tests.conftest import running_app

TARGET_MS = 500
SHOWN_KINDS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=50, help="how many click at once")
    parser.add_argument("--seconds", type=float, default=120, help="how long they click")
    parser.add_argument("--cache-mb", type=int, default=200, help="the server's limit")
    parser.add_argument("--with-job", action="store_true", help="measure the same again while studies run")
    parser.add_argument("--hours", type=float, default=0, help="then click at what is not cached for so long")
    parser.add_argument("--output", type=Path, help="file for all figures, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="detour-load-") as name:
        report = measure(Path(name), arguments)
    print("\n".join(lines(report)))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measure(home: Path, arguments: argparse.Namespace) -> dict:
    """Everything that is asked for, as plain values."""
    with running_app(home, "--cache-mb", str(arguments.cache_mb)) as server:
        process, address = psutil.Process(server.process.pid), server.address
        recording = record(address)
        desk = Desk(address, home, recording.fit)
        costs = alone(address, recording)

        def met(poll_s: float, *, arriving: bool) -> Crowd:
            return crowd(
                address, recording, arguments.people, arguments.seconds, poll_s=poll_s, arriving=arriving,
                cpu=lambda: sum(process.cpu_times()[:2]),
            )  # fmt: skip

        asked = {name: getattr(arguments, name) for name in ("people", "seconds", "cache_mb", "hours")}
        report = {"cores": os.cpu_count(), **asked, "walk": _walk(recording), "crowds": {}}
        quiet = met(recording.quiet_s, arriving=True)
        report["crowds"]["no job"] = _crowd(quiet, arguments.people)
        report["kinds"] = _kinds(quiet.answers, costs)
        if arguments.with_job:
            with Busy(desk, first_seed=1000) as busy:
                report["crowds"]["a study runs"] = _crowd(met(recording.busy_s, arriving=False), arguments.people)
            report["studies"] = busy.studies
        report["submissions"] = asdict(submit_at_once(desk))
        if arguments.hours:
            fill(home / "cache", arguments.cache_mb)
            with Busy(desk, first_seed=2000, images=60) as busy:
                samples, answers = endure(
                    address, recording, arguments.people, arguments.hours, process, home / "cache"
                )
            report["endurance"] = _endurance(samples, answers, busy.studies)
        report["server_lives"] = server.process.poll() is None
    return report


def _walk(recording: Recording) -> dict[str, int]:
    return {step.name: len(step.requests) for step in (recording.arrival, *recording.steps)}


def _times(seconds: Sequence[float]) -> dict[str, float]:
    low, high, highest = (float(np.percentile(seconds, share)) for share in (50, 95, 99))
    return {"median_ms": 1000 * low, "p95_ms": 1000 * high, "p99_ms": 1000 * highest, "worst_ms": 1000 * max(seconds)}


def _problems(answers: Sequence[Answer]) -> dict[str, int]:
    return dict(Counter(f"{one.kind}: {one.problem}" for one in answers if one.problem).most_common(5))


def _crowd(met: Crowd, people: int) -> dict:
    views = [one.seconds for one in met.answers if not one.kind.startswith("GET scripts")]
    return {
        "answers": len(met.answers),
        "answers_per_second": len(met.answers) / met.seconds,
        "errors": sum(bool(one.problem) for one in met.answers),
        "problems": _problems(met.answers),
        "not_cached": sum(one.unfinished for one in met.answers),
        **_times(views),
        "within_target": float(np.mean(np.array(views) < TARGET_MS / 1000)),
        "clicks": len(met.clicks),
        "click": _times(met.clicks),
        "healthz": _times(met.healthz),
        "server_cores": met.server_cpu / met.seconds,
        "people": people,
    }


def _kinds(answers: Sequence[Answer], costs: Sequence[Answer]) -> list[dict]:
    """By kind of request: how often it was asked, what it takes alone and its share of all the server did."""
    cost: dict[str, list[Answer]] = {}
    for one in costs:
        cost.setdefault(one.kind, []).append(one)
    asked = Counter(one.kind for one in answers)
    rows = [
        {
            "kind": kind,
            "asked": asked[kind],
            "alone_ms": 1000 * fmean(one.seconds for one in each),
            "kb": fmean(one.size for one in each) / 1000,
        }
        for kind, each in cost.items()
    ]
    total = sum(row["asked"] * row["alone_ms"] for row in rows)
    rows = [row | {"share": row["asked"] * row["alone_ms"] / max(total, 1e-9)} for row in rows]
    return sorted(rows, key=lambda row: -row["share"])


def _endurance(samples: Sequence[Sample], answers: Sequence[Answer], studies: int) -> dict:
    return {
        "answers": len(answers),
        "errors": sum(bool(one.problem) for one in answers),
        "problems": _problems(answers),
        "studies": studies,
        **summary(samples),
        "samples": [asdict(one) for one in samples],
    }


def lines(report: dict) -> list[str]:
    """The report for a person."""
    told = [
        f"{report['people']} people, {report['seconds']:g} s, {report['cores']} cores shared with the people, "
        f"cache limit {report['cache_mb']} MB",
        "",
        f"{'':14s} {'answers':>8s} {'errors':>7s} {'per s':>7s} {'median':>8s} {'95 %':>8s} {'99 %':>8s} "
        f"{'<500 ms':>8s} {'click':>8s} {'healthz':>8s} {'cores':>6s}",
    ]
    for name, one in report["crowds"].items():
        told.append(
            f"{name:14s} {one['answers']:8d} {one['errors']:7d} {one['answers_per_second']:7.0f} "
            f"{one['median_ms']:8.0f} {one['p95_ms']:8.0f} {one['p99_ms']:8.0f} {100 * one['within_target']:7.1f}% "
            f"{one['click']['median_ms']:8.0f} {one['healthz']['worst_ms']:8.0f} {one['server_cores']:6.2f}"
        )
        told += [f"  {count} × {problem}" for problem, count in one["problems"].items()]
        if one["not_cached"]:
            told.append(f"  {one['not_cached']} answers were still being computed: they had not been cached")
    told.append("times in ms; click: median until the last answer of a click; healthz: its worst; cores: of the server")
    told += ["", f"{'kind of request':44s} {'asked':>7s} {'alone':>8s} {'kB':>8s} {'share':>7s}"]
    for row in report["kinds"][:SHOWN_KINDS]:
        told.append(
            f"{row['kind'][:44]:44s} {row['asked']:7d} {row['alone_ms']:8.1f} {row['kb']:8.1f} "
            f"{100 * row['share']:6.1f}%"
        )
    return told + _submitted_lines(Submitted(**report["submissions"])) + _endurance_lines(report.get("endurance"))


def _submitted_lines(found: Submitted) -> list[str]:
    in_order = found.positions == list(range(1, len(found.positions) + 1))
    places = "at positions 1 to n" if in_order else f"at positions {found.positions}"
    return [
        "",
        f"20 equal submissions gave {found.equal} job, 20 different ones {found.different}; "
        f"{len(found.positions)} waited, {places}; {len(found.refused)} were refused; "
        f"slowest answer {1000 * found.slowest:.0f} ms",
        f"{found.cancelled} were cancelled in {found.seconds_to_cancel:.1f} s",
        *[f"  refused: {text}" for text in found.refused[:3]],
    ]


def _endurance_lines(found: dict | None) -> list[str]:
    if found is None:
        return []
    last = found["samples"][-1]
    told = [
        "",
        f"{last['seconds']:.0f} s of what is not cached: {found['answers']} answers, {found['errors']} errors, "
        f"{found['studies']} studies",
        f"{'':14s} {'first':>10s} {'worst':>10s} {'last':>10s}",
    ]
    for name in ("cache_mb", "resident_mb", "descriptors", "children"):
        told.append(f"{name:14s} " + " ".join(f"{found[name][when]:10.1f}" for when in ("first", "worst", "last")))
    return told + [f"  {count} × {problem}" for problem, count in found["problems"].items()]


if __name__ == "__main__":
    main()
