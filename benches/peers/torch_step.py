#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.5.1 and 2.15.0.
"""Times whole training steps of the ResNet-19 SNN in plain PyTorch, as a competent user would write it.

float32 on the CPU. Time is folded into the batch for convolutions and batch norms; the stem's convolution and
batch norm are computed once, for the image is the same at every time step; batch norms are PyTorch's own; only
the LIF loop runs over time. One step = zero the gradients, forward, cross-entropy + Lipschitz term, backward,
Adam. Random images and labels, a fresh batch made before each timed step; one more step is run first and not
counted.

Prints one line of JSON.
"""

import argparse
import json
import resource
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

DECAY, THRESHOLD, WINDOW, DELTA, BETA = 0.5, 0.5, 0.5, 1e-4, 1e-4


class Spike(torch.autograd.Function):
    """The step u > threshold; backward by surrogate gradient scaling of the rectangle."""

    @staticmethod
    def forward(ctx, u):
        o = (u > THRESHOLD).to(u.dtype)
        ctx.save_for_backward(u, o)
        return o

    @staticmethod
    def backward(ctx, g):
        u, o = ctx.saved_tensors
        inside = (u - THRESHOLD).abs() < WINDOW
        # Inside the window |u − o| ≤ 1/2, so 1 + δ·sign(g)·(u − o) is positive: max(0, ·) cannot act, and
        # g·(1 + δ·sign(g)·(u − o)) = g + δ·|g|·(u − o).
        return torch.addcmul(g, g.abs(), u - o, value=DELTA) * inside


def lif(current):
    """LIF neurons over the outermost axis of `current` [T, N, …]; hard reset, attached."""
    spikes = []
    m = None
    for x in current.unbind(0):
        u = x if m is None else torch.add(x, m, alpha=DECAY)
        o = Spike.apply(u)
        m = (1 - o) * u
        spikes.append(o)
    return torch.stack(spikes)


class Block(nn.Module):
    """Residual block: LIF(BN(conv2(LIF(BN(conv1 x)))) + shortcut)."""

    def __init__(self, ci, co, stride, downsample):
        super().__init__()
        self.conv1 = nn.Conv2d(ci, co, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(co)
        self.conv2 = nn.Conv2d(co, co, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(co)
        self.downsample = None
        if downsample:
            self.downsample = nn.Sequential(nn.Conv2d(ci, co, 1, stride, bias=False), nn.BatchNorm2d(co))

    def forward(self, s):
        steps, batch = s.shape[:2]
        x = s.flatten(0, 1)
        y = self.bn1(self.conv1(x))
        y = lif(y.unflatten(0, (steps, batch))).flatten(0, 1)
        y = self.bn2(self.conv2(y))
        y = y + (x if self.downsample is None else self.downsample(x))
        return lif(y.unflatten(0, (steps, batch)))


class ResNet19(nn.Module):
    """The paper's net: 64, then 3 × 128, 3 × 256, 2 × 512 channels, times `width`."""

    def __init__(self, width, timesteps, classes=10):
        super().__init__()

        def scaled(base):
            return max(1, int(base * width + 0.5))

        self.timesteps = timesteps
        ci = scaled(64)
        self.conv1 = nn.Conv2d(3, ci, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(ci)
        blocks = []
        for count, base, stride in [(3, 128, 1), (3, 256, 2), (2, 512, 2)]:
            co = scaled(base)
            for b in range(count):
                blocks.append(Block(ci, co, stride if b == 0 else 1, b == 0))
                ci = co
        self.blocks = nn.Sequential(*blocks)
        self.fc1 = nn.Linear(ci, scaled(256))
        self.fc2 = nn.Linear(scaled(256), classes)

    def forward(self, images):
        y = self.bn1(self.conv1(images))
        s = lif(y.expand(self.timesteps, *y.shape))
        s = self.blocks(s).mean((3, 4))
        return self.fc2(lif(self.fc1(s))).mean(0)


def lipschitz(weights):
    """(β/2)·Σ ‖W Wᵀ − I‖²_F with the smaller Gram matrix; ‖G − I‖² = ‖G‖² − 2·tr G + size."""
    total = 0.0
    for p in weights:
        w = p.flatten(1)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        total = total + gram.square().sum() - 2 * w.square().sum() + len(gram)
    return BETA / 2 * total


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--timesteps", type=int, default=2)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--seed", type=int, default=2022)
    parser.add_argument("--compile", action="store_true", help="torch.compile the net")
    parser.add_argument("--channels-last", action="store_true", help="NHWC memory for the convolutions")
    return parser.parse_args()


def peak_rss_bytes():
    """Largest resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    net = ResNet19(args.width, args.timesteps)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    net = net.to(memory_format=layout)
    weights = [p for p in net.parameters() if p.dim() >= 2]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    model = torch.compile(net) if args.compile else net

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels) + lipschitz(weights)
        loss.backward()
        optimizer.step()
        return loss.item()

    seconds = []
    for index in range(args.steps + 1):
        images = torch.randn(args.batch, 3, args.size, args.size).contiguous(memory_format=layout)
        labels = torch.randint(0, 10, (args.batch,))
        start = time.perf_counter()
        loss = step(images, labels)
        if index > 0:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "net": "resnet19", "width": args.width, "batch": args.batch, "timesteps": args.timesteps,
        "size": args.size, "compile": args.compile, "channels_last": args.channels_last, "loss": loss,
        "steps": seconds, "median_s": statistics.median(seconds), "peak_rss_bytes": peak_rss_bytes(),
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
