#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.5.1 and 2.15.0, spikingjelly 0.0.0.0.14 and 2.0.0.
"""Times whole training steps of the same ResNet-19 SNN in SpikingJelly, multi-step mode.

The net, loss, Lipschitz term and optimiser are those of torch_step.py; the layers are SpikingJelly's: `layer.Conv2d`,
`layer.BatchNorm2d` and `neuron.LIFNode`, each in multi-step mode, which folds time into the batch for the former
and loops over it in the latter. The neuron: u = 0.5·m + x (`decay_input=False`, tau = 2, v_reset = 0), hard
reset, attached; the surrogate is a rectangle of half width 0.5, written as a `SurrogateFunctionBase`, for the library
has none. Surrogate gradient scaling (δ) is left out: it is not the library's, and costs time. Its neurons fire
at u ≥ V_th, ours at u > V_th.

Prints one line of JSON, as torch_step.py.
"""

import argparse
import importlib.metadata
import inspect
import json
import statistics
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as why:
    sys.exit(f"spikingjelly_step.py: PyTorch cannot be imported: {why}")
try:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate
except ImportError as why:
    sys.exit(f"spikingjelly_step.py: SpikingJelly cannot be imported, so nothing was measured: {why}")

from torch_step import DECAY, THRESHOLD, WINDOW, lipschitz, peak_rss_bytes


class RectangleGradient(torch.autograd.Function):
    """The step x ≥ 0 (the library passes u − V_th); backward by the rectangle."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return surrogate.heaviside(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() < WINDOW).to(g.dtype)


class Rectangle(surrogate.SurrogateFunctionBase):
    """SpikingJelly's interface to the rectangle."""

    def __init__(self):
        super().__init__(alpha=1.0, spiking=True)

    @staticmethod
    def spiking_function(x, alpha):
        return RectangleGradient.apply(x)


# Version 2 chooses the back end by device and takes no argument for it.
BACKEND = {"backend": "torch"} if "backend" in inspect.signature(neuron.LIFNode).parameters else {}


def lif():
    """The neuron."""
    return neuron.LIFNode(
        tau=1 / (1 - DECAY), decay_input=False, v_threshold=THRESHOLD, v_reset=0.0,
        surrogate_function=Rectangle(), detach_reset=False, step_mode="m", **BACKEND,
    )


def conv(ci, co, kernel, stride):
    """Convolution and batch norm."""
    return nn.Sequential(
        layer.Conv2d(ci, co, kernel, stride, kernel // 2, bias=False, step_mode="m"),
        layer.BatchNorm2d(co, step_mode="m"),
    )


class Block(nn.Module):
    """Residual block: LIF(BN(conv2(LIF(BN(conv1 x)))) + shortcut)."""

    def __init__(self, ci, co, stride, downsample):
        super().__init__()
        self.conv1, self.lif1 = conv(ci, co, 3, stride), lif()
        self.conv2, self.lif2 = conv(co, co, 3, 1), lif()
        self.downsample = conv(ci, co, 1, stride) if downsample else nn.Identity()

    def forward(self, x):
        return self.lif2(self.conv2(self.lif1(self.conv1(x))) + self.downsample(x))


class ResNet19(nn.Module):
    """The paper's net: 64, then 3 × 128, 3 × 256, 2 × 512 channels, times `width`."""

    def __init__(self, width, timesteps, classes=10):
        super().__init__()

        def scaled(base):
            return max(1, int(base * width + 0.5))

        self.timesteps = timesteps
        ci = scaled(64)
        # The stem is computed once, for the image is the same at every step.
        self.conv1 = nn.Conv2d(3, ci, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(ci)
        self.lif1 = lif()
        blocks = []
        for count, base, stride in [(3, 128, 1), (3, 256, 2), (2, 512, 2)]:
            co = scaled(base)
            for b in range(count):
                blocks.append(Block(ci, co, stride if b == 0 else 1, b == 0))
                ci = co
        self.blocks = nn.Sequential(*blocks)
        self.fc1, self.lif_fc = layer.Linear(ci, scaled(256), step_mode="m"), lif()
        self.fc2 = layer.Linear(scaled(256), classes, step_mode="m")

    def forward(self, images):
        y = self.bn1(self.conv1(images))
        s = self.blocks(self.lif1(y.expand(self.timesteps, *y.shape)))
        return self.fc2(self.lif_fc(self.fc1(s.mean((3, 4))))).mean(0)


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
    return parser.parse_args()


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    net = ResNet19(args.width, args.timesteps)
    weights = [p for p in net.parameters() if p.dim() >= 2]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(images), labels) + lipschitz(weights)
        loss.backward()
        optimizer.step()
        functional.reset_net(net)
        return loss.item()

    seconds = []
    for index in range(args.steps + 1):
        images = torch.randn(args.batch, 3, args.size, args.size)
        labels = torch.randint(0, 10, (args.batch,))
        start = time.perf_counter()
        loss = step(images, labels)
        if index > 0:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "net": "resnet19", "width": args.width, "batch": args.batch, "timesteps": args.timesteps,
        "size": args.size, "loss": loss, "steps": seconds, "median_s": statistics.median(seconds),
        "peak_rss_bytes": peak_rss_bytes(), "threads": torch.get_num_threads(), "torch": torch.__version__,
        "spikingjelly": importlib.metadata.version("spikingjelly"),
    }))


if __name__ == "__main__":
    main()
