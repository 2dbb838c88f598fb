#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.5.1 and 2.15.0.
"""Times the convolutions and linear layers that `spikegrad bench layers --json FILE` timed, in PyTorch (oneDNN).

Reads FILE and measures the same shapes and passes on dense float32 tensors, by turns: in a round every pass
runs once; a first round is not counted. Passes are PyTorch's own: `conv2d`, `grad.conv2d_input` and
`grad.conv2d_weight`'s underlying `convolution_backward` with one output asked for; `addmm` and `mm` for linear layers.
Spikes are ones and zeros of the file's density; PyTorch does not know them for what they are.

Prints the list of JSON rows that `spikegrad bench compare` reads, under the names of FILE.
"""

import argparse
import json
import statistics
import sys
import time

import torch
from torch.nn import functional as F


def conv_passes(sizes, density, layout):
    """One function a pass of a convolution."""
    n, ci, co, k = sizes["n"], sizes["in"], sizes["out"], sizes["kernel"]
    stride, padding = [sizes["stride"]] * 2, [sizes["padding"]] * 2
    shape = (n, ci, sizes["h"], sizes["w"])
    x = torch.randn(shape) if density == 1.0 else (torch.rand(shape) < density).float()
    x = x.contiguous(memory_format=layout)
    w = torch.randn(co, ci, k, k).contiguous(memory_format=layout)
    g = torch.randn(F.conv2d(x, w, None, stride, padding).shape).contiguous(memory_format=layout)

    def backward(mask):
        return torch.ops.aten.convolution_backward(
            g, x, w, None, stride, padding, [1, 1], False, [0, 0], 1, mask)

    return {
        "forward": lambda: F.conv2d(x, w, None, stride, padding),
        "weight gradient": lambda: backward([False, True, False]),
        "input gradient": lambda: backward([True, False, False]),
    }


def linear_passes(sizes, density):
    """One function a pass of a linear layer."""
    x = (torch.rand(sizes["n"], sizes["in"]) < density).float()
    w, b = torch.randn(sizes["out"], sizes["in"]), torch.randn(sizes["out"])
    g = torch.randn(sizes["n"], sizes["out"])
    return {
        "forward": lambda: torch.addmm(b, x, w.T),
        "weight gradient": lambda: (g.T @ x, g.sum(0)),
        "input gradient": lambda: g @ w,
    }


def read(path):
    """The rows of a file that have sizes."""
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
        rows = [row for row in rows if row.get("sizes")]
    except (OSError, ValueError, AttributeError, TypeError) as why:
        sys.exit(f"layers.py: {path}: {why}")
    if not rows:
        sys.exit(f"layers.py: {path}: no row has \"sizes\"; write it with `spikegrad bench layers --json`")
    return rows


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("like", metavar="FILE", help="JSON of `spikegrad bench layers`")
    parser.add_argument("--repeat", type=int, default=5, help="rounds; the median counts")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--seed", type=int, default=2022)
    parser.add_argument("--channels-last", action="store_true", help="NHWC memory for the convolutions")
    return parser.parse_args()


def main():
    args = arguments()
    rows = read(args.like)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.set_grad_enabled(False)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    made, runs = {}, []
    for row in rows:
        key = (row["layer"], row["shape"])
        if key not in made:
            sizes, density = row["sizes"], row["density"]
            is_conv = "kernel" in sizes
            made[key] = conv_passes(sizes, density, layout) if is_conv else linear_passes(sizes, density)
        runs.append((row, made[key][row["pass"]], []))
    for round_ in range(args.repeat + 1):
        for _, run, samples in runs:
            start = time.perf_counter()
            run()
            if round_ > 0:
                samples.append(1e3 * (time.perf_counter() - start))
    out = []
    for row, _, samples in runs:
        ms = statistics.median(samples)
        gflops = row["flops"] / ms / 1e6
        out.append({
            "layer": row["layer"], "shape": row["shape"], "pass": row["pass"], "ms": ms,
            "effective_gflops": gflops, "percent_of_peak": 100 * gflops / row["peak_gflops"],
            "density": row["density"], "max_rel_error": None, "samples_ms": samples, "sizes": row["sizes"],
            "flops": row["flops"], "peak_gflops": row["peak_gflops"], "threads": torch.get_num_threads(),
            "channels_last": args.channels_last, "torch": torch.__version__,
        })
    print(json.dumps(out))


if __name__ == "__main__":
    main()
