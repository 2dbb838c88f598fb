#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.5.1, numpy 2.2, safetensors 0.5.
"""Writes one training step of the ResNet-19 SNN, computed by PyTorch autograd in float64, as a safetensors file.

The layout (crates/testkit/tests/golden.rs reads it):

    input.images, input.labels      the batch (one static image, repeated at every time step)
    weight.NAME, buffer.NAME        parameters and running statistics before the step
    out.logits, out.loss, out.cross_entropy, out.lipschitz, out.rate.LAYER
    grad.NAME, grad.input           gradients of out.loss
    buffer_after.NAME               running statistics after the step

Everything is stored as float32 (labels as int64), computed in float64 from inputs already rounded to float32.
The header's metadata holds the settings and `margin`: the smallest distance of any membrane to the threshold or
to an edge of the surrogate's window. Seeds are tried until it is large enough for float32 to flip nothing.

    python3 -m venv venv && venv/bin/pip install torch==2.5.1 numpy safetensors
    cargo xtask golden --python venv/bin/python --reset soft-detached --surrogate arctan --timesteps 3 out.safetensors
"""

import argparse
import math

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

PARAMETER = {"rectangle": 0.5, "triangle": 1.0, "arctan": 2.0, "sigmoid": 4.0, "gaussian": 2.0,
             "fast-sigmoid": 10.0, "dspike": 3.0}


def derivative(name, p, d):
    """h(d) of the surrogate `name` with the parameter `p`."""
    if name == "rectangle":
        return (d.abs() < p).to(d.dtype)
    if name == "triangle":
        return (p - d.abs()).clamp(min=0) / p**2
    if name == "arctan":
        return p / 2 / (1 + (math.pi * p * d / 2) ** 2)
    if name == "sigmoid":
        s = torch.sigmoid(p * d)
        return p * s * (1 - s)
    if name == "gaussian":
        return p / math.sqrt(math.pi) * torch.exp(-((p * d) ** 2))
    if name == "fast-sigmoid":
        return 1 / (1 + p * d.abs()) ** 2
    if name == "dspike":
        inside = (d.abs() <= 0.5).to(d.dtype)
        return inside * p / (2 * math.tanh(p / 2)) / torch.cosh(p * d) ** 2
    raise ValueError(name)


def edges(name, p):
    """Membrane offsets at which the surrogate jumps or has a kink."""
    return {"rectangle": [-p, p], "triangle": [-p, p], "dspike": [-0.5, 0.5]}.get(name, [])


class Spike(torch.autograd.Function):
    """The step u > threshold; backward by surrogate gradient scaling."""

    @staticmethod
    def forward(ctx, u, settings):
        o = (u > settings.threshold).to(u.dtype)
        ctx.save_for_backward(u, o)
        ctx.settings = settings
        return o

    @staticmethod
    def backward(ctx, g):
        u, o = ctx.saved_tensors
        s = ctx.settings
        h = derivative(s.surrogate, s.parameter, u - s.threshold)
        return g * h * (1 + s.delta * torch.sign(g) * (u - o)).clamp(min=0), None


class Lif(nn.Module):
    """Leaky integrate-and-fire neurons over time; remembers their rate and their distance to any edge."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings

    def forward(self, x):
        s = self.settings
        steps = x.reshape(s.timesteps, -1, *x.shape[1:])
        m, spikes, self.margin = torch.zeros_like(steps[0]), [], math.inf
        for current in steps:
            u = s.decay * m + current
            o = Spike.apply(u, s)
            reset = o.detach() if s.reset.endswith("detached") else o
            m = (1 - reset) * u if s.reset.startswith("hard") else u - s.threshold * reset
            spikes.append(o)
            for edge in [0.0, *edges(s.surrogate, s.parameter)]:
                self.margin = min(self.margin, (u - s.threshold - edge).abs().min().item())
        out = torch.cat(spikes)
        self.rate = out.mean()
        return out


class Block(nn.Module):
    """Residual block: LIF(BN(conv2(LIF(BN(conv1 x)))) + shortcut)."""

    def __init__(self, ci, co, stride, downsample, settings):
        super().__init__()
        self.conv1 = nn.Conv2d(ci, co, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(co)
        self.spike1 = Lif(settings)
        self.conv2 = nn.Conv2d(co, co, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(co)
        self.spike2 = Lif(settings)
        self.downsample = None
        if downsample:
            self.downsample = nn.Sequential(nn.Conv2d(ci, co, 1, stride, bias=False), nn.BatchNorm2d(co))

    def forward(self, x):
        y = self.bn2(self.conv2(self.spike1(self.bn1(self.conv1(x)))))
        return self.spike2(y + (x if self.downsample is None else self.downsample(x)))


class ResNet19(nn.Module):
    """The paper's net at a fraction of its width."""

    def __init__(self, settings, classes=10):
        super().__init__()

        def scaled(base):
            return max(1, math.floor(base * settings.width + 0.5))

        self.settings = settings
        ci = scaled(64)
        self.conv1 = nn.Conv2d(3, ci, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(ci)
        self.spike = Lif(settings)
        for stage, (count, base, stride) in enumerate([(3, 128, 1), (3, 256, 2), (2, 512, 2)], 1):
            blocks, co = [], scaled(base)
            for b in range(count):
                blocks.append(Block(ci, co, stride if b == 0 else 1, b == 0, settings))
                ci = co
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc1 = nn.Linear(ci, scaled(256))
        self.spike_fc = Lif(settings)
        self.fc2 = nn.Linear(scaled(256), classes)

    def forward(self, images):
        """Mean over time of the outputs; time is folded into the batch, outermost."""
        x = images.repeat(self.settings.timesteps, 1, 1, 1)
        x = self.spike(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        x = self.fc2(self.spike_fc(self.fc1(x)))
        return x.reshape(self.settings.timesteps, -1, x.shape[-1]).mean(0)


def lipschitz(net, beta):
    """(β/2)·Σ ‖W Wᵀ − I‖² over the weights with two or more axes, smaller Gram matrix."""
    total = torch.zeros((), dtype=torch.float64)
    for p in net.parameters():
        if p.dim() >= 2:
            w = p.reshape(p.shape[0], -1)
            gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
            total = total + ((gram - torch.eye(len(gram), dtype=w.dtype)) ** 2).sum()
    return beta / 2 * total


def round_to_float32(tensor):
    """Rounds in place, so that the stored float32 is exactly what was computed with."""
    tensor.data.copy_(tensor.data.float().double())


def build(settings, seed):
    """A net and a batch for this seed."""
    torch.manual_seed(seed)
    net = ResNet19(settings).double()
    for name, p in net.named_parameters():
        if p.dim() == 1 and not name.startswith("fc"):
            # Off their starting values, so that no two channels are alike and most layers fire.
            p.data.uniform_(0.7, 1.3) if name.endswith("weight") else p.data.uniform_(-0.2, 0.4)
    for buffer in net.buffers():
        if buffer.is_floating_point():
            buffer.add_(torch.rand_like(buffer) * 0.1)
            round_to_float32(buffer)
    for p in net.parameters():
        round_to_float32(p)
    images = torch.randn(settings.batch, 3, settings.size, settings.size, dtype=torch.float64)
    round_to_float32(images)
    labels = torch.randint(0, 10, (settings.batch,))
    return net, images.requires_grad_(), labels


def lifs(net):
    """Name and module of every LIF layer."""
    return [(name, module) for name, module in net.named_modules() if isinstance(module, Lif)]


def buffers(net):
    """The running statistics by name."""
    return {name: b.clone() for name, b in net.named_buffers() if b.is_floating_point()}


def compute(settings, seed):
    """One training step; returns the tensors to store and the margin."""
    net, images, labels = build(settings, seed)
    out = {f"buffer.{name}": b for name, b in buffers(net).items()}
    logits = net(images)
    margin = min(module.margin for _, module in lifs(net))
    if margin < settings.margin:
        return None, margin
    cross_entropy = F.cross_entropy(logits, labels)
    regulariser = lipschitz(net, settings.beta)
    loss = cross_entropy + regulariser
    loss.backward()
    out |= {"input.images": images, "out.logits": logits, "out.loss": loss, "grad.input": images.grad,
            "out.cross_entropy": cross_entropy, "out.lipschitz": regulariser}
    out |= {f"out.rate.{name}": module.rate for name, module in lifs(net)}
    out |= {f"buffer_after.{name}": b for name, b in buffers(net).items()}
    for name, p in net.named_parameters():
        out |= {f"weight.{name}": p, f"grad.{name}": p.grad}
    out = {name: t.detach().float().contiguous() for name, t in out.items()}
    return out | {"input.labels": labels}, margin


def metadata(settings, seed, margin):
    """The header's metadata: strings only."""
    values = {name: getattr(settings, name) for name in
              ["width", "timesteps", "threshold", "decay", "delta", "beta", "reset", "surrogate"]}
    windowed = settings.surrogate in ("rectangle", "triangle")
    values["window"] = settings.parameter if windowed else 0.5  # always present, ignored by the others
    if not windowed:
        values["alpha"] = settings.parameter
    values |= {"seed": seed, "margin": margin, "torch": torch.__version__}
    return {name: str(value) for name, value in values.items()}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="the safetensors file to write")
    parser.add_argument("--width", type=float, default=0.0625)
    parser.add_argument("--timesteps", type=int, default=2)
    parser.add_argument("--size", type=int, default=8, help="height and width of the images")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--reset", default="hard", choices=["hard", "hard-detached", "soft", "soft-detached"])
    parser.add_argument("--surrogate", default="rectangle", choices=list(PARAMETER))
    parser.add_argument("--parameter", type=float, help="window, alpha or b of the surrogate")
    parser.add_argument("--delta", type=float, default=0.3)
    parser.add_argument("--beta", type=float, default=0.01)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--decay", type=float, default=0.5)
    parser.add_argument("--margin", type=float, default=1e-5, help="smallest margin to accept")
    parser.add_argument("--seed", type=int, default=1, help="first seed to try")
    settings = parser.parse_args()
    if settings.parameter is None:
        settings.parameter = PARAMETER[settings.surrogate]
    return settings


def main():
    settings = arguments()
    for seed in range(settings.seed, settings.seed + 10_000):
        tensors, margin = compute(settings, seed)
        if tensors is not None:
            save_file(tensors, settings.output, metadata(settings, seed, margin))
            print(f"{settings.output}: seed {seed}, margin {margin:.2e}")
            return
    raise SystemExit("no seed reached the margin: try a smaller net or a smaller --margin")


if __name__ == "__main__":
    main()
