#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.5.1 and 2.15.0.
"""Times batch norm + LIF in PyTorch's eager operations, for the units that `spikegrad bench layers --json FILE` timed.

Taken are the units fed by one convolution: batch norm in training mode, then the LIF loop of `torch_step.py` over
T; backward through both. spikegrad's forward is its rows `norm statistics` + `neurons forward`, its backward
`norm gradient` + `neurons backward`. Rounds run by turns over the units; a first one is not counted.

Prints a table of milliseconds and ratios.
"""

import argparse
import json
import re
import statistics
import sys
import time

import torch
from torch import nn
from torch_step import lif

SHAPE = re.compile(r"T(\d+) (\d+)·(\d+) @(\d+)×(\d+) dense$")


def units(path):
    """[(name, (T, N, C, H, W), spikegrad's ms forward, backward)] of a file."""
    try:
        with open(path, encoding="utf-8") as file:
            rows = {(row["layer"], row["pass"]): row for row in json.load(file)}
    except (OSError, ValueError, KeyError, TypeError) as why:
        sys.exit(f"neurons.py: {path}: {why}")
    found = []
    for (layer, pass_), row in rows.items():
        sizes = SHAPE.match(row["shape"])
        norm = layer.replace("spike", "bn")
        if pass_ != "neurons forward" or not sizes or (norm, "norm statistics") not in rows:
            continue
        forward = row["ms"] + rows[norm, "norm statistics"]["ms"]
        backward = rows[layer, "neurons backward"]["ms"] + rows[norm, "norm gradient"]["ms"]
        found.append((layer, tuple(map(int, sizes.groups())), forward, backward))
    if not found:
        sys.exit(f"neurons.py: {path}: no unit with batch norm; write it with `spikegrad bench layers --json`")
    return found


class Unit:
    """One unit's tensors."""

    def __init__(self, steps, batch, c, h, w):
        self.steps = steps
        self.y = torch.randn(steps * batch, c, h, w, requires_grad=True)
        self.norm = nn.BatchNorm2d(c)
        self.g = torch.randn(steps, batch, c, h, w)

    def run(self):
        """Seconds of a forward and a backward."""
        self.y.grad = None
        start = time.perf_counter()
        out = lif(self.norm(self.y).unflatten(0, (self.steps, -1)))
        middle = time.perf_counter()
        out.backward(self.g)
        return middle - start, time.perf_counter() - middle


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("like", metavar="FILE", help="JSON of `spikegrad bench layers`")
    parser.add_argument("--repeat", type=int, default=5, help="rounds; the median counts")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    args = parser.parse_args()
    found = units(args.like)
    if args.threads:
        torch.set_num_threads(args.threads)
    runs = [(Unit(*sizes), []) for _, sizes, _, _ in found]
    for round_ in range(args.repeat + 1):
        for unit, samples in runs:
            seconds = unit.run()
            if round_ > 0:
                samples.append(seconds)
    print("| unit | T·N·C·H·W | forward, ms | PyTorch's | × | backward, ms | PyTorch's | × |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, sizes, *ours), (_, samples) in zip(found, runs):
        theirs = [1e3 * statistics.median(s) for s in zip(*samples)]
        cells = " | ".join(f"{a:.2f} | {b:.1f} | {b / a:.1f}" for a, b in zip(ours, theirs))
        print(f"| {name} | {'·'.join(map(str, sizes))} | {cells} |")


if __name__ == "__main__":
    main()
