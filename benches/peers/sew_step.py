#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.15.0, spikingjelly 2.0.0.
"""Times whole training steps of SpikingJelly's own SEW-ResNet-18 (ADD, multi-step mode).

Ours beside it is `spikegrad bench step --net sew-resnet18`: the same definition, parameters and images. --stem imagenet keeps the
library's 7x7 stem and max pooling (ours: sew-resnet18-imagenet); --stem cifar puts a 3x3 convolution in their place. Neuron,
surrogate, loss, Lipschitz term and optimiser are those of spikingjelly_step.py. --compile takes torch.compile for the whole net;
where the library's modules cannot be compiled, the reason is printed and nothing is measured.

Prints one line of JSON, as torch_step.py.
"""

import argparse
import importlib.metadata
import json
import statistics
import sys
import time

try:
    import torch
    from torch.nn import functional as F
except ImportError as why:
    sys.exit(f"sew_step.py: PyTorch cannot be imported: {why}")
try:
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.model import sew_resnet
except ImportError as why:
    sys.exit(f"sew_step.py: SpikingJelly cannot be imported, so nothing was measured: {why}")

from spikingjelly_step import Rectangle
from torch_step import DECAY, THRESHOLD, lipschitz, peak_rss_bytes


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--stem", choices=["cifar", "imagenet"], default="cifar")
    parser.add_argument("--compile", action="store_true", help="take torch.compile")
    return parser.parse_args()


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = sew_resnet.sew_resnet18(
        num_classes=10, cnf="ADD", spiking_neuron=neuron.LIFNode, tau=1.0 / (1.0 - DECAY), decay_input=False,
        v_threshold=THRESHOLD, surrogate_function=Rectangle(), detach_reset=False)
    if args.stem == "cifar":
        net.conv1 = layer.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        net.maxpool = torch.nn.Identity()
    functional.set_step_mode(net, "m")
    weights = [p for p in net.parameters() if p.dim() >= 2]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    forward = torch.compile(net) if args.compile else net

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        frames = images.unsqueeze(0).expand(args.timesteps, *images.shape)
        loss = F.cross_entropy(forward(frames).mean(0), labels) + lipschitz(weights)
        loss.backward()
        optimizer.step()
        functional.reset_net(net)
        return loss.item()

    seconds = []
    for index in range(args.steps + 1):
        images = torch.randn(args.batch, 3, args.size, args.size)
        labels = torch.randint(0, 10, (args.batch,))
        start = time.perf_counter()
        try:
            loss = step(images, labels)
        except Exception as why:  # pylint: disable=broad-except
            if args.compile:
                sys.exit(f"sew_step.py: torch.compile fails: {str(why).splitlines()[0]}")
            raise
        if index > 0:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "net": "sew_resnet18", "stem": args.stem, "batch": args.batch, "timesteps": args.timesteps, "size": args.size, "loss": loss,
        "compile": args.compile, "parameters": sum(p.numel() for p in net.parameters()), "steps": seconds,
        "median_s": statistics.median(seconds), "peak_rss_bytes": peak_rss_bytes(),
        "threads": torch.get_num_threads(), "torch": torch.__version__,
        "spikingjelly": importlib.metadata.version("spikingjelly"),
    }))


if __name__ == "__main__":
    main()
