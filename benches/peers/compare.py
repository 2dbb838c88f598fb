#!/usr/bin/env python3
# Written for and run with: Python 3.11; the peers need what their own first lines say.
"""Runs spikegrad and every peer by turns, in one sitting, and prints how they compare.

A round runs each contender once (A B C …, A B C …), in an order that moves on by one each round, so that none always
follows the same other. Each run is a process of its own: one step not counted, then `--steps` counted ones. All
JSON goes to `--out`, one file a run; the table is printed and written to `table.md` there.

A contender that fails (SpikingJelly not installed, no C++ compiler for torch.compile) is named with its reason
and left out.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {
    "torch": ["torch_step.py"],
    "torch channels-last": ["torch_step.py", "--channels-last"],
    "torch compile": ["torch_step.py", "--compile"],
    "torch compile channels-last": ["torch_step.py", "--compile", "--channels-last"],
    "spikingjelly": ["spikingjelly_step.py"],
}
OURS = "spikegrad"


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="a new or empty folder for the JSON files")
    parser.add_argument("--spikegrad", required=True, help="the built command: target/release/spikegrad")
    parser.add_argument("--python", default=sys.executable, help="interpreter with torch")
    parser.add_argument("--python-spikingjelly", default=None, help="interpreter with SpikingJelly; default: --python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="counted steps of each run")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--timesteps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="f32", help="spikegrad's dial: f32, bf16 or recompute")
    parser.add_argument("--only", default="", help="comma-separated peers; default: all of " + ", ".join(PEERS))
    parser.add_argument("--timeout", type=float, default=1800, help="seconds that one run may take")
    args = parser.parse_args()
    if args.rounds < 1 or args.steps < 1:
        parser.error("--rounds and --steps must be at least 1")
    unknown = [name for name in names(args.only) if name not in PEERS]
    if unknown:
        parser.error(f"--only: no peer is called {unknown[0]!r}; known: {', '.join(PEERS)}")
    return args


def names(listed):
    """The names in a comma-separated list."""
    return [name.strip() for name in listed.split(",") if name.strip()]


def contenders(args):
    """Command lines by name."""
    same = ["--width", args.width, "--batch", args.batch, "--timesteps", args.timesteps,
            "--threads", args.threads, "--steps", args.steps]
    same = [str(word) for word in same]
    ours = [args.spikegrad, "bench", "step", "--net", "resnet19", "--memory", args.memory, *same, "--json", "-"]
    commands = {OURS: ours}
    for name in names(args.only) or PEERS:
        script, *flags = PEERS[name]
        python = args.python_spikingjelly if name == "spikingjelly" and args.python_spikingjelly else args.python
        commands[name] = [python, str(HERE / script), *flags, *same]
    return commands


def run(command, timeout):
    """The JSON that a command prints, or why there is none."""
    try:
        # A session of its own: torch.compile starts workers, which must end with it.
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 start_new_session=True)
    except OSError as why:
        return None, str(why)
    try:
        printed, errors = child.communicate(timeout=timeout)
    except BaseException as why:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        if isinstance(why, subprocess.TimeoutExpired):
            return None, f"not done after {timeout:g} s (--timeout)"
        raise
    if child.returncode != 0:
        lines = [line for line in errors.splitlines() if line.strip()]
        return None, lines[-1] if lines else f"exit status {child.returncode}"
    try:
        value = json.loads(printed)
    except ValueError as why:
        return None, f"its output is no JSON: {why}"
    return (value, None) if value.get("steps") else (None, "no steps in its JSON")


def measure(commands, args, out):
    """Runs by turns; results by name, and why a contender was left out."""
    results, failed = {name: [] for name in commands}, {}
    order = list(commands)
    for round_ in range(args.rounds):
        shift = round_ % len(order)
        for name in order[shift:] + order[:shift]:
            if name in failed:
                continue
            value, why = run(commands[name], args.timeout)
            if why is not None:
                failed[name] = why
                print(f"{name}: left out: {why}", file=sys.stderr)
                continue
            path = out / f"{name.replace(' ', '-')}-{round_ + 1}.json"
            path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
            results[name].append(value)
            print(f"round {round_ + 1}: {name}: {statistics.median(value['steps']):.3f} s", file=sys.stderr)
    for name in failed:
        del results[name]
    return results, failed


def table(results, failed, args):
    """Markdown: medians of the runs' medians, ranges, ratios within each round."""
    medians = {name: [statistics.median(v["steps"]) for v in runs] for name, runs in results.items()}
    peers = [name for name in medians if name != OURS]
    best = min(peers, key=lambda name: statistics.median(medians[name]), default=None)
    rows = [["", "step, s: median (range)", "× of spikegrad's time: median (range)", "× of the best peer's", "peak memory, MB"]]
    for name, times in medians.items():
        # Ratios are taken within a round, whose runs are neighbours in time.
        ratios = [t / ours for t, ours in zip(times, medians.get(OURS, []))]
        to_best = [t / b for t, b in zip(times, medians[best])] if best else []
        memory = max(v.get("peak_rss_bytes", 0) for v in results[name]) / 1e6
        rows.append([
            name, spread(times, 3), spread(ratios, 2), spread(to_best, 2), f"{memory:.0f}",
        ])
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    setting = (f"ResNet-19, width {args.width:g}, batch {args.batch}, T = {args.timesteps}, {args.threads} threads, "
               f"memory {args.memory}; {args.rounds} rounds by turns of {args.steps} counted steps.")
    notes = [f"Best peer: {best}."] if best else ["No peer ran."]
    notes += [f"Left out: {name}: {why}" for name, why in failed.items()]
    return "\n".join([setting, "", *lines, "", *notes]) + "\n"


def spread(values, digits):
    """Median and range."""
    if not values:
        return "–"
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def main():
    args = arguments()
    out = Path(args.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        sys.exit(f"compare.py: {out}: exists and is not an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    results, failed = measure(contenders(args), args, out)
    text = table(results, failed, args)
    (out / "table.md").write_text(text, encoding="utf-8")
    print(text, end="")
    if OURS in failed or len(results) < 2:
        sys.exit("compare.py: nothing to compare")


if __name__ == "__main__":
    main()
