#!/usr/bin/env python3
# Written for and run with: Python 3.11, torch 2.15.0, spikingjelly 2.0.0, snntorch 1.0.0.
"""Compares spikegrad's neurons with those of SpikingJelly and snnTorch, in float64: spikes and gradients.

Each case names the peer's neuron and the settings under which ours is the same. Both get the same currents and the same gradient at
their outputs. Every spike must be equal, and gradients must agree to 1e-5 of the largest. snnTorch's undelayed
subtraction, which takes a second threshold off at the step after where the membrane is above twice the threshold, is no case. Prints a
row a case; exits with 1 where one does not agree.

    cargo build --release -p spikegrad --example neuron_steps
    python3 zoo_neurons.py ../../target/release/examples/neuron_steps
"""

import subprocess
import sys
import tempfile

import snntorch
import torch
from snntorch import surrogate as snn_surrogate
from spikingjelly.activation_based import neuron, surrogate

STEPS, NEURONS = 8, 400
ALPHA = 2.0


def ours(program, settings, x, e):
    """Outputs, input gradient and learned gradients of our neurons."""
    lines = [f"{name} = {value!r}".replace("True", "true") for name, value in settings.items()]
    net = "\n".join([
        "net = 'custom'", f"channels = {NEURONS}", "height = 1", "width = 1", f"classes = {NEURONS}",
        f"timesteps = {STEPS}", "input = 'frames'", "[neuron]", "surrogate = 'arctan'", f"surrogate_parameter = {ALPHA}",
        "delta = 0.0", *lines, "[[layer]]", "op = 'neurons'", "name = 's'", ""])
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(net)
        file.flush()
        numbers = " ".join(f"{v:.9e}" for v in torch.cat([x.flatten(), e.flatten()]).tolist())
        run = subprocess.run([program, file.name], input=numbers, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"{settings}: {run.stderr}")
    out, grad, *learned = run.stdout.splitlines()
    tensor = lambda line: torch.tensor([float(v) for v in line.split()], dtype=torch.float64)
    names = {line.split()[0].removeprefix("s."): tensor(" ".join(line.split()[1:])) for line in learned}
    return tensor(out).view(STEPS, NEURONS), tensor(grad).view(STEPS, NEURONS), names


def spikingjelly(node, x):
    """Outputs of a SpikingJelly node, called step by step."""
    node.double()
    return torch.stack([node(current) for current in x])


def gated(node, x):
    """Outputs of SpikingJelly's GLIF, called with all steps, its gates half open."""
    node.double()
    for gate in [node.alpha, node.beta, node.gamma]:
        torch.nn.init.zeros_(gate)
    return node(x.view(STEPS, 1, NEURONS, 1, 1)).view(STEPS, NEURONS)


def snn_leaky(node, x):
    """Outputs of an snnTorch neuron that is called step by step."""
    node.double()
    state = node.reset_mem()
    state = state if isinstance(state, tuple) else (state,)
    outputs = []
    for current in x:
        spikes, *state = node(current, *state)
        outputs.append(spikes)
    return torch.stack(outputs)


def sj(kind, **settings):
    """A SpikingJelly node, with arctan."""
    return lambda: kind(surrogate_function=surrogate.ATan(alpha=ALPHA), **settings)


def snn(kind, **settings):
    """An snnTorch neuron, with arctan."""
    return lambda: kind(spike_grad=snn_surrogate.atan(alpha=ALPHA), init_hidden=False, **settings)


def cases():
    """Name, peer, its runner, our settings, and the peer's learned parameter beside the name of ours."""
    at = {"firing": "at-or-above"}
    for detach in [False, True]:
        hard, soft = ("hard-detached", "soft-detached") if detach else ("hard", "soft")
        kind = {"detach_reset": detach}
        yield ("IFNode " + hard, sj(neuron.IFNode, v_threshold=1.0, **kind), spikingjelly,
               {"decay": 1.0, "threshold": 1.0, "reset": hard, **at}, {})
        yield ("IFNode " + soft, sj(neuron.IFNode, v_threshold=1.0, v_reset=None, **kind), spikingjelly,
               {"decay": 1.0, "threshold": 1.0, "reset": soft, **at}, {})
        for scaled in [False, True]:
            scale = {"input_scale": "leak"} if scaled else {}
            name = f"LIFNode decay_input={scaled} "
            lif = {"tau": 4.0, "decay_input": scaled, "v_threshold": 0.5, **kind}
            base = {"decay": 0.75, "threshold": 0.5, **scale, **at}
            yield (name + hard, sj(neuron.LIFNode, **lif), spikingjelly, {**base, "reset": hard}, {})
            yield (name + soft, sj(neuron.LIFNode, v_reset=None, **lif), spikingjelly, {**base, "reset": soft}, {})
            yield (name + "v_reset=-0.25 " + hard, sj(neuron.LIFNode, v_reset=-0.25, **lif), spikingjelly,
                   {**base, "reset": hard, "reset_value": -0.25}, {})
            plif = {"init_tau": 4.0, "decay_input": scaled, "v_threshold": 0.5, **kind}
            yield (f"ParametricLIFNode decay_input={scaled} " + hard, sj(neuron.ParametricLIFNode, **plif), spikingjelly,
                   {**base, "reset": hard, "learn_decay": "layer"}, {"w": "w"})
    glif = {"T": STEPS, "init_tau": 0.25, "init_v_threshold": 0.5, "init_linear_decay": 0.125, "init_v_subreset": 0.5}
    gates = {"kind": "gated", "alpha": 0.5, "beta": 0.5, "gamma": 0.5, "leak": 0.125, "gated_reset": 0.5, "conduct": 0.5}
    yield ("GatedLIFNode", sj(neuron.GatedLIFNode, **glif), gated,
           {"decay": 0.25, "threshold": 0.5, **gates, "learn_decay": "layer", "learn_kind": "layer", **at},
           {"tau": "w", "alpha": "alpha", "beta": "beta", "gamma": "gamma", "linear_decay": "leak",
            "v_subreset": "reset", "conduct": "conduct"})
    beta, threshold = 0.75, 0.5
    base = {"decay": beta, "threshold": threshold}
    leaky = {"beta": beta, "threshold": threshold}
    yield ("Leaky subtract, delayed", snn(snntorch.Leaky, reset_mechanism="subtract", **leaky), snn_leaky,
           {**base, "reset": "soft-detached", "reset_amount": threshold / beta}, {})
    yield ("Leaky zero, not delayed", snn(snntorch.Leaky, reset_mechanism="zero", reset_delay=False, **leaky), snn_leaky,
           {**base, "reset": "hard"}, {})
    yield ("Synaptic subtract, delayed",
           snn(snntorch.Synaptic, alpha=0.5, reset_mechanism="subtract", **leaky), snn_leaky,
           {**base, "reset": "soft-detached", "reset_amount": threshold / beta, "kind": "synaptic", "synapse": 0.5}, {})


def main():
    program = sys.argv[1]
    torch.manual_seed(1)
    failed = False
    for name, make, run, settings, learned in cases():
        # Numbers of f32, so that both read the same.
        x = (0.4 + 0.6 * torch.randn(STEPS, NEURONS)).double().requires_grad_()
        e = torch.randn(STEPS, NEURONS).double()
        node = make()
        theirs = run(node, x)
        theirs.backward(e)
        o, grad, own = ours(program, settings, x.detach(), e)
        # A spike that rounding flips changes its neuron's gradients: such neurons are counted and left out.
        flipped = (o != theirs.detach()).any(0)
        # ParametricLIFNode learns w of 1/tau = sigmoid(w), ours that of the decay: 1 - 1/tau.
        sign = -1.0 if isinstance(node, neuron.ParametricLIFNode) else 1.0
        worst = ((grad - x.grad).abs()[:, ~flipped].max() / x.grad.abs().max()).item()
        parameters = dict(node.named_parameters())
        for peer, mine in learned.items():
            want = sign * parameters[peer].grad.flatten()
            worst = max(worst, ((own[mine] - want).abs().max() / want.abs().max()).item())
        ok = worst < 1e-5 and int(flipped.sum()) == 0
        failed |= not ok
        print(f"{name:<46} rate {o.mean():.3f}  neurons with another spike {int(flipped.sum())}  gradients {worst:.1e}"
              f"  {'ok' if ok else 'DIFFERS'}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
