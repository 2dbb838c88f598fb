//! Whole nets on the tape: one training step, or one evaluation, by name.
//!
//! A static image (n × c × h × w) is repeated at every time step; frames (T × n × c × h × w) are taken as they
//! are. The read-out is a linear layer per step; the logits are its mean over time.

use crate::lif::{Activation, Lif};
use crate::loss;
use crate::norm::norm_running;
use crate::tape::{Tape, Var};
use std::collections::BTreeMap;

use crate::layout::{EVENT_WIDTHS, VGG_WIDTHS, blocks, parameters};
pub use crate::layout::{NetConfig, NetKind, Norm};
pub use crate::loss::LossKind;

/// The results of one training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Mean over time of the read-out (n × classes).
    pub logits: Vec<f64>,
    /// `data_term + lipschitz`.
    pub loss: f64,
    /// The data term: cross-entropy or TET.
    pub data_term: f64,
    /// The Lipschitz term.
    pub lipschitz: f64,
    /// Mean spike of each LIF layer (ReLU twin: share of outputs above 0).
    pub rates: BTreeMap<String, f64>,
    /// Gradient of the loss for every parameter.
    pub grads: BTreeMap<String, Vec<f64>>,
    /// Sum of the absolute terms of the gradient of each learned number of a neuron.
    pub magnitudes: BTreeMap<String, Vec<f64>>,
    /// Gradient of the loss for the input, in the input's shape.
    pub grad_input: Vec<f64>,
    /// Running statistics after the step.
    pub buffers: BTreeMap<String, Vec<f64>>,
    /// Spikes of each LIF layer, time outermost (ReLU twin: its outputs).
    pub spikes: BTreeMap<String, Vec<f64>>,
    /// Membranes before the reset of each LIF layer, time outermost (ReLU twin: its inputs).
    pub membranes: BTreeMap<String, Vec<f64>>,
    /// Distance of each membrane to the point where its output may jump or bend: u − threshold (ReLU twin: its input).
    pub distances: BTreeMap<String, Vec<f64>>,
}

/// Looks a parameter or a buffer up by name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Vec<f64>;

/// A net during its computation.
struct Builder<'a> {
    config: &'a NetConfig,
    lookup: Lookup<'a>,
    training: bool,
    tape: Tape,
    params: BTreeMap<String, Var>,
    /// The parameters of neurons.
    learned: BTreeMap<String, Var>,
    buffers: BTreeMap<String, Vec<f64>>,
    spikes: BTreeMap<String, Vec<f64>>,
    membranes: BTreeMap<String, Vec<f64>>,
    distances: BTreeMap<String, Vec<f64>>,
}

/// Computes one training step: forward with the batch's statistics, loss, and all gradients.
pub fn step(config: &NetConfig, lookup: Lookup, images: &[f64], labels: &[usize]) -> StepResult {
    let mut net = Builder::new(config, lookup, true);
    let (input, outputs) = net.outputs(images, labels.len());
    let logits = net.tape.mean_over_time(outputs, config.steps());
    let data_loss = net.data_loss(outputs, logits, labels);
    let lipschitz = net.lipschitz();
    let loss = net.tape.add(data_loss, lipschitz);
    let grads = net.tape.backward(loss);
    StepResult {
        logits: net.tape.value(logits).to_vec(),
        loss: net.tape.value(loss)[0],
        data_term: net.tape.value(data_loss)[0],
        lipschitz: net.tape.value(lipschitz)[0],
        rates: net.rates(),
        grads: net.params.iter().map(|(name, &var)| (name.clone(), grads.of(var))).collect(),
        magnitudes: net.learned.iter().map(|(name, &var)| (name.clone(), grads.magnitude_of(var))).collect(),
        grad_input: grads.of(input),
        buffers: net.buffers,
        spikes: net.spikes,
        membranes: net.membranes,
        distances: net.distances,
    }
}

/// Computes the logits (n × classes) of `n` inputs with the running statistics.
pub fn evaluate(config: &NetConfig, lookup: Lookup, images: &[f64], n: usize) -> Vec<f64> {
    let mut net = Builder::new(config, lookup, false);
    let (_, outputs) = net.outputs(images, n);
    loss::mean_over_time(net.tape.value(outputs), config.steps())
}

impl<'a> Builder<'a> {
    /// Puts all parameters on a fresh tape.
    fn new(config: &'a NetConfig, lookup: Lookup<'a>, training: bool) -> Builder<'a> {
        let mut tape = Tape::new();
        let params = parameters(config)
            .into_iter()
            .map(|entry| {
                let value = lookup(&entry.name);
                assert_eq!(value.len(), entry.len(), "{}: wants shape {:?}", entry.name, entry.shape);
                let var = tape.leaf(&entry.shape, value);
                (entry.name, var)
            })
            .collect();
        let (buffers, spikes, learned) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (membranes, distances) = (BTreeMap::new(), BTreeMap::new());
        Builder { config, lookup, training, tape, params, learned, buffers, spikes, membranes, distances }
    }

    /// The parameter of this name.
    fn param(&self, name: &str) -> Var {
        self.params[name]
    }

    /// The input leaf and the read-out of every step (T·n × classes).
    fn outputs(&mut self, images: &[f64], n: usize) -> (Var, Var) {
        let NetConfig { channels, height: h, width: w, .. } = *self.config;
        let steps = self.config.steps();
        let frames = images.len() / (n * channels * h * w);
        let input = self.tape.leaf(&[frames * n, channels, h, w], images.to_vec());
        let x = if frames == steps { input } else { self.tape.stack(&vec![input; steps]) };
        assert_eq!(self.tape.shape(x)[0], steps * n, "one image, or one frame for each time step");
        let y = match self.config.kind {
            NetKind::ResNet19 => self.resnet19(x),
            NetKind::LeNet => self.lenet(x),
            NetKind::Mlp => self.mlp(x),
            NetKind::VggSnn | NetKind::VggSnnStride => self.vggsnn(x),
            NetKind::EventNet => self.eventnet(x),
        };
        (input, y)
    }

    /// fc2(LIF(fc1(pool(blocks(LIF(bn1(conv1 x))))))).
    fn resnet19(&mut self, x: Var) -> Var {
        let y = self.conv(x, "conv1", 1, 1);
        let y = self.norm(y, "bn1", false);
        let mut s = self.neurons(y, "spike");
        for block in blocks(self.config) {
            let name = &block.name;
            let y = self.conv(s, &format!("{name}.conv1"), block.stride, 1);
            let y = self.norm(y, &format!("{name}.bn1"), false);
            let inner = self.neurons(y, &format!("{name}.spike1"));
            let y = self.conv(inner, &format!("{name}.conv2"), 1, 1);
            let y = self.norm(y, &format!("{name}.bn2"), true);
            let shortcut = if block.downsample {
                let y = self.conv(s, &format!("{name}.downsample.0"), block.stride, 0);
                self.norm(y, &format!("{name}.downsample.1"), true)
            } else {
                s
            };
            let sum = self.tape.add(y, shortcut);
            s = self.neurons(sum, &format!("{name}.spike2"));
        }
        let pooled = self.tape.global_pool(s);
        let y = self.linear(pooled, "fc1");
        let s = self.neurons(y, "spike_fc");
        self.linear(s, "fc2")
    }

    /// fc3(LIF(fc2(LIF(fc1(pool(LIF(bn2(conv2(pool(LIF(bn1(conv1 x)))))))))).
    fn lenet(&mut self, x: Var) -> Var {
        let mut s = x;
        for layer in 1..=2 {
            let y = self.conv(s, &format!("conv{layer}"), 1, 2);
            let y = self.norm(y, &format!("bn{layer}"), false);
            s = self.neurons(y, &format!("spike{layer}"));
            s = self.tape.avg_pool(s, 2, 2);
        }
        s = self.flatten(s);
        for layer in 1..=2 {
            let y = self.linear(s, &format!("fc{layer}"));
            s = self.neurons(y, &format!("spike{}", layer + 2));
        }
        self.linear(s, "fc3")
    }

    /// fc1(eight times LIF(bn(conv x)), the image halved behind every second).
    fn vggsnn(&mut self, x: Var) -> Var {
        let pooled = self.config.kind == NetKind::VggSnn;
        let mut s = x;
        for layer in 1..=VGG_WIDTHS.len() {
            let halves = layer % 2 == 0;
            let y = self.conv(s, &format!("conv{layer}"), if halves && !pooled { 2 } else { 1 }, 1);
            let bias = self.param(&format!("conv{layer}.bias"));
            let y = self.tape.channel_bias(y, bias);
            let y = self.norm(y, &format!("bn{layer}"), false);
            s = self.neurons(y, &format!("spike{layer}"));
            if halves && pooled {
                s = self.tape.avg_pool(s, 2, 2);
            }
        }
        s = self.flatten(s);
        self.linear(s, "fc1")
    }

    /// fc1(three times pool(LIF(bn(conv x)))).
    fn eventnet(&mut self, x: Var) -> Var {
        let mut s = x;
        for layer in 1..=EVENT_WIDTHS.len() {
            let y = self.conv(s, &format!("conv{layer}"), 1, 1);
            let y = self.norm(y, &format!("bn{layer}"), false);
            s = self.neurons(y, &format!("spike{layer}"));
            s = self.tape.avg_pool(s, 2, 2);
        }
        s = self.flatten(s);
        self.linear(s, "fc1")
    }

    /// fc3(LIF(fc2(LIF(fc1 x)))).
    fn mlp(&mut self, x: Var) -> Var {
        let mut s = self.flatten(x);
        for layer in 1..=2 {
            let y = self.linear(s, &format!("fc{layer}"));
            s = self.neurons(y, &format!("spike{layer}"));
        }
        self.linear(s, "fc3")
    }

    /// Flattens (n × c × h × w) to (n × c·h·w).
    fn flatten(&mut self, x: Var) -> Var {
        let shape = self.tape.shape(x);
        let shape = [shape[0], shape[1..].iter().product()];
        self.tape.reshape(x, &shape)
    }

    /// Adds a convolution without bias.
    fn conv(&mut self, x: Var, name: &str, stride: usize, pad: usize) -> Var {
        let wt = self.param(&format!("{name}.weight"));
        self.tape.conv(x, wt, stride, pad)
    }

    /// Adds a linear layer with bias.
    fn linear(&mut self, x: Var, name: &str) -> Var {
        let (wt, bias) = (self.param(&format!("{name}.weight")), self.param(&format!("{name}.bias")));
        self.tape.linear(x, wt, bias)
    }

    /// Adds a batch normalisation; only tdBN depends on `summand`, whether the output is a summand of a residual addition.
    fn norm(&mut self, x: Var, name: &str, summand: bool) -> Var {
        let (mut gamma, beta) = (self.param(&format!("{name}.weight")), self.param(&format!("{name}.bias")));
        if self.config.norm == Norm::TdBn {
            let alpha = if summand { 0.5f64.sqrt() } else { 1.0 };
            gamma = self.tape.scale(gamma, alpha * self.config.lif.threshold);
        }
        let names = [format!("{name}.running_mean"), format!("{name}.running_var")];
        let (mean, var) = ((self.lookup)(&names[0]), (self.lookup)(&names[1]));
        if !self.training {
            return self.tape.norm_with(x, gamma, beta, mean, var);
        }
        let out = self.tape.batch_norm(x, gamma, beta);
        let after = norm_running(&self.tape.norm_sizes(x), (&mean, &var), (&out.mean, &out.var));
        let [mean_name, var_name] = names;
        self.buffers.insert(mean_name, after.0);
        self.buffers.insert(var_name, after.1);
        out.y
    }

    /// A layer of neurons, or of ReLU in the twin.
    fn neurons(&mut self, x: Var, name: &str) -> Var {
        let (lif, activation) = (&self.config.lif, self.config.activation());
        let parts = if self.config.twin { Vec::new() } else { lif.parts() };
        let mut learned = BTreeMap::new();
        for part in parts {
            let full = format!("{name}.{}", part.name);
            learned.insert(part.name.to_string(), self.param(&full));
            self.learned.insert(full.clone(), self.param(&full));
        }
        let lif = if self.config.twin { &Lif::paper() } else { lif };
        let vars = self.tape.neurons(x, self.config.steps(), lif, &learned, None, activation);
        let all = |vars: &[Var]| vars.iter().flat_map(|&v| self.tape.value(v).to_vec()).collect::<Vec<f64>>();
        let u = all(&vars.u);
        let distances = match vars.threshold[..] {
            [] if self.config.twin => u.clone(),
            ref thresholds => u.iter().zip(all(thresholds)).map(|(u, threshold)| u - threshold).collect(),
        };
        self.spikes.insert(name.to_string(), self.tape.value(vars.spikes).to_vec());
        self.membranes.insert(name.to_string(), u);
        self.distances.insert(name.to_string(), distances);
        vars.spikes
    }

    /// Cross-entropy or TET.
    fn data_loss(&mut self, outputs: Var, logits: Var, labels: &[usize]) -> Var {
        let smoothing = self.config.label_smoothing;
        match self.config.loss {
            LossKind::CrossEntropy => self.tape.cross_entropy(logits, labels, smoothing),
            LossKind::Tet { lambda, phi } => {
                self.tape.tet(outputs, self.config.steps(), labels, smoothing, (lambda, phi))
            }
        }
    }

    /// The Lipschitz term: every parameter with two or more axes.
    fn lipschitz(&mut self) -> Var {
        let mut sum = self.tape.leaf(&[1], vec![0.0]);
        let params: Vec<Var> = self.params.values().copied().collect();
        for wt in params.into_iter().filter(|_| self.config.beta != 0.0) {
            if self.tape.shape(wt).len() >= 2 {
                let term = self.tape.lipschitz(wt, self.config.beta);
                sum = self.tape.add(sum, term);
            }
        }
        sum
    }

    /// Mean spike of each layer.
    fn rates(&self) -> BTreeMap<String, f64> {
        let smooth = self.config.activation() == Activation::Smooth;
        let active = |&o: &f64| if smooth { o } else { f64::from(u8::from(o > 0.0)) };
        let mean = |o: &Vec<f64>| o.iter().map(active).sum::<f64>() / o.len() as f64;
        self.spikes.iter().map(|(name, o)| (name.clone(), mean(o))).collect()
    }
}
