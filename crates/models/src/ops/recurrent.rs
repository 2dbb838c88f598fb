//! Recurrent neurons: their spikes of the step before come back to them through a convolution, or a full matrix.
//!
//! ```text
//! current[t] = x[t] + R ∗ o[t−1]      o[−1] = 0
//! ∂L/∂o[t] = e[t] + Rᵀ ∗ ∂current[t+1]      ∂L/∂R = Σ_t ∂current[t] ⋆ o[t−1]
//! ```
//! A step needs the spikes of the one before, so the neurons' kernel runs one step at a time.

use super::neuron_parameters::NeuronParameters;
use super::neuron_settings::{neuron_settings, read_neuron};
use super::step_buffers::{Buffers, copy_step, pack, step};
use crate::graph::{
    Builder, Component, Execution, NeuronsPart, Node, Op, OpBytes, OpSpec, Output as Planned, ProductPart,
    Read, Setting, Settings, Value, ValueId, Values,
};
use crate::params::Role;
use spikegrad_bptt::lif::record::{Charged, Place, Recorder, Returned};
use spikegrad_bptt::lif::{BackwardPass, LifLayer, NeuronKind, Output, Source};
use spikegrad_bptt::{Activation, ConfigError, LifConfig};
use spikegrad_tensor::conv::{Conv, ConvConfig};
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::{Block, Dims, Level, Tensor, Workspace};
use std::mem::swap;
use std::ops::Range;

/// Neurons whose spikes come back to them at the next step.
///
/// | parameter | shape |
/// |---|---|
/// | `NAME.recurrent.weight` | C × C for a vector; C × C × kernel × kernel for an image |
///
/// ```
/// use spikegrad_models::ops::{Linear, Recurrent};
/// use spikegrad_models::{Graph, Net, NetConfig};
/// use spikegrad_tensor::Level;
///
/// let mut graph = Graph::new();
/// let input = graph.input();
/// let current = graph.add("fc1", Linear::new(8), [input]);
/// let spikes = graph.add("hidden", Recurrent::new(), [current]);
/// graph.add("fc2", Linear::new(2), [spikes]);
/// let net = Net::plan(&NetConfig::of_graph(graph, 3, 1, 1, 2), 1, Level::BASELINE, false)?;
/// assert_eq!(net.params().get("hidden.recurrent.weight").map(<[f32]>::len), Some(8 * 8));
/// # Ok::<(), spikegrad_bptt::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    kernel: usize,
    lif: Option<LifConfig>,
}

impl Recurrent {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "recurrent";

    /// Makes neurons of a vector that are all connected with all, or of an image, connected at each pixel by itself.
    pub fn new() -> Self {
        Self { kernel: 1, lif: None }
    }

    /// Makes neurons of an image that are connected by a convolution with kernels of this odd side.
    pub fn conv(kernel: usize) -> Self {
        Self { kernel, lif: None }
    }

    /// Sets a neuron that differs from that of the net.
    pub fn neuron(self, lif: LifConfig) -> Self {
        Self { lif: Some(lif), ..self }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        let kernel = settings.take_as("kernel")?.unwrap_or(1);
        let lif = match settings.take("neuron") {
            None => None,
            Some(table) => {
                let mut table = table.parse_table("neuron")?;
                let lif = read_neuron(&mut table)?;
                table.finish()?;
                Some(lif)
            }
        };
        Ok(Self { kernel, lif })
    }
}

impl Default for Recurrent {
    fn default() -> Self {
        Self::new()
    }
}

impl OpSpec for Recurrent {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        if self.kernel != 1 {
            settings.push("kernel", Setting::number(self.kernel));
        }
        if let Some(lif) = &self.lif {
            settings.push("neuron", Setting::Table(neuron_settings(lif)));
        }
        settings
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Planned, ConfigError> {
        if self.kernel.is_multiple_of(2) || self.kernel > super::conv::MOST_KERNEL {
            return Err(node.error(format!("kernel is {}, must be odd and at most 255", self.kernel)));
        }
        let lif = self.lif.as_ref().unwrap_or(&builder.config().lif).clone();
        lif.check().map_err(|error| node.error(error))?;
        if let NeuronKind::Gated(_) = lif.kind {
            return Err(
                node.error("gated neurons have numbers for each step, recurrent ones run step by step")
            );
        }
        let from = builder.value(node.only_input()?)?;
        if builder.is_spikes(from) {
            return Err(node.error("reads spikes, recurrent neurons read a current"));
        }
        let dims = Dims { n: builder.images(builder.steps())?, ..builder.dims(from) };
        let frame = Dims { n: builder.batch(), ..dims };
        let activation = builder.config().activation();
        let to = match activation {
            Activation::Spike if lif.fires() => builder.spikes(dims)?,
            _ => builder.dense(dims)?,
        };
        let (c, k) = (dims.c, self.kernel);
        builder.check_work(node.name, c, dims, k * k)?;
        let config = ConvConfig::same(c, k);
        let conv = Conv::plan(frame, config, builder.level())?;
        let shape = if k == 1 && dims.pixels() == 1 { vec![c, c] } else { vec![c, c, k, k] };
        let weight = builder.parameter(format!("{}.recurrent.weight", node.name), shape, Role::Weight)?;
        let integrates = matches!(activation, Activation::Spike | Activation::Smooth);
        let parameters = match integrates {
            true => NeuronParameters::planned(node.name, &lif, dims, builder)?,
            false => None,
        };
        // What a stream carries: the states, and the outputs of the last step.
        let states = if integrates { lif.states() } else { 0 };
        let carries = vec![frame; states + 1];
        let buffers = Buffers::planned(frame, builder.steps(), states, builder.is_spikes(to));
        let name = node.name.to_string();
        let steps = builder.steps();
        builder.push(RecurrentLayer {
            name,
            lif,
            activation,
            conv,
            weight,
            from,
            to,
            dims,
            steps,
            carries,
            parameters,
            buffers,
        })
    }
}

#[derive(Debug)]
struct RecurrentLayer {
    name: String,
    lif: LifConfig,
    activation: Activation,
    conv: Conv,
    weight: Range<usize>,
    from: ValueId,
    to: ValueId,
    dims: Dims,
    steps: usize,
    carries: Vec<Dims>,
    parameters: Option<NeuronParameters>,
    buffers: Buffers,
}

/// Hands the tiles of one step over as those of step t.
#[derive(Debug)]
struct AtStep<'a>(&'a dyn Recorder, usize);

impl Recorder for AtStep<'_> {
    fn charged(&self, place: Place, values: Charged<'_>) {
        self.0.charged(Place { step: self.1, ..place }, values);
    }

    fn returned(&self, place: Place, values: Returned<'_>) {
        self.0.returned(Place { step: self.1, ..place }, values);
    }
}

impl RecurrentLayer {
    /// The neurons of one step.
    fn layer(&self, level: Level) -> LifLayer<'_> {
        let frame = self.conv.input();
        let parameters = self.parameters.as_ref().map_or(&[][..], NeuronParameters::rows);
        LifLayer { parameters, ..LifLayer::plain(&self.lif, self.activation, frame, 1, level) }
    }

    /// Copies x\[t\] to the sources.
    fn read_current(&mut self, run: &Execution, t: usize) {
        let Value::Dense(x) = run.values.get(self.from) else {
            unreachable!("a current is dense, as planned")
        };
        let to = self.buffers.sources[0].blocks_mut();
        to.copy_from_slice(step(x.blocks(), to.len(), t));
    }

    /// Takes the states and the last outputs of a stream, or begins at 0.
    fn begin(&mut self, run: &mut Execution) -> bool {
        let Buffers { states, outputs, .. } = &mut self.buffers;
        match run.carried(self.to) {
            Some([held @ .., last]) => {
                states[0].iter_mut().zip(held).for_each(|(state, held)| swap(state, held));
                match &mut outputs[0] {
                    Value::Spikes(spikes) => pack(last, spikes),
                    Value::Dense(dense) => swap(dense, last),
                    Value::Taken => {}
                }
                true
            }
            _ => {
                states[0].iter_mut().for_each(|state| state.blocks_mut().fill(Block::default()));
                false
            }
        }
    }

    /// Gives the states and the last outputs back to a stream.
    fn end(&mut self, run: &mut Execution) {
        let Buffers { states, outputs, .. } = &mut self.buffers;
        let Some([held @ .., last]) = run.carried(self.to) else { return };
        // The buffers of the first step lie with the stream: those of the last step take their place.
        let (first, rest) = states.split_at_mut(1);
        let after = &mut rest[self.steps - 1];
        first[0].iter_mut().zip(after).for_each(|(first, after)| swap(first, after));
        first[0].iter_mut().zip(held).for_each(|(state, held)| swap(state, held));
        match &mut outputs[0] {
            Value::Spikes(spikes) => spikes.unpack(last),
            Value::Dense(dense) => swap(dense, last),
            Value::Taken => {}
        }
    }

    /// Runs step t, whose outputs become `outputs[0]`.
    fn forward_step(&mut self, run: &mut Execution, t: usize, has_past: bool) {
        self.read_current(run, t);
        let weight = &run.params.weights[self.weight.clone()];
        let r = &mut self.buffers.sources[1];
        match &self.buffers.outputs[0] {
            Value::Spikes(o) if has_past => self.conv.forward_spikes(o, weight, r, &mut run.workers),
            Value::Dense(o) if has_past => self.conv.forward_dense(o, weight, r, &mut run.workers),
            _ => r.blocks_mut().fill(Block::default()),
        }
        let frame = r.blocks().len();
        self.buffers.recurrent.blocks_mut()[t * frame..][..frame].copy_from_slice(r.blocks());
        let mut states = std::mem::take(&mut self.buffers.states);
        let (before, after) = states.split_at_mut(t + 1);
        for (to, from) in after[0].iter_mut().zip(&before[t]) {
            to.blocks_mut().copy_from_slice(from.blocks());
        }
        let mut out = std::mem::replace(&mut self.buffers.outputs[1], Value::Taken);
        let output = match &mut out {
            Value::Spikes(spikes) => Output::Spikes(spikes),
            Value::Dense(dense) => Output::Dense(dense),
            Value::Taken => unreachable!("the outputs are taken once"),
        };
        let sources = sources(&self.buffers.sources, &run.ones);
        self.layer(run.context.level).forward_from(&mut after[0], &sources, output, &mut run.workers);
        self.buffers.states = states;
        self.buffers.outputs[1] = out;
        self.buffers.outputs.swap(0, 1);
    }

    /// Runs step t backward: `gradients[0]` is ∂L/∂o\[t\] from above, then ∂L/∂current\[t\].
    fn backward_step(&mut self, run: &mut Execution, t: usize) {
        let weight = &run.params.weights[self.weight.clone()];
        let [gradient, after] = &mut self.buffers.gradients;
        if t + 1 < self.steps {
            self.conv.backward_input(after, weight, gradient, true, &mut run.workers);
        }
        self.read_current(run, t);
        let r = self.buffers.sources[1].blocks_mut();
        r.copy_from_slice(step(self.buffers.recurrent.blocks(), r.len(), t));
        let mut products = self.parameters.as_mut().map(NeuronParameters::take_sums).unwrap_or_default();
        let mut carried = std::mem::take(&mut self.buffers.carried);
        let mut sums = std::mem::take(&mut self.buffers.sums);
        let mut gradient = std::mem::take(&mut self.buffers.gradients[0]);
        let recorder = run.recorder.as_deref().map(|recorder| AtStep(recorder, t));
        let listener = recorder.as_ref().map(|recorder| (recorder as &dyn Recorder, self.to.index()));
        let pass = BackwardPass {
            gradient: &mut gradient,
            sums: &mut sums,
            parameters: &mut products,
            before: &self.buffers.states[t],
            carried: &mut carried,
            listener,
        };
        let sources = sources(&self.buffers.sources, &run.ones);
        self.layer(run.context.level).backward(&sources, pass, &mut run.workers);
        (self.buffers.carried, self.buffers.sums) = (carried, sums);
        if let Some(parameters) = &mut self.parameters {
            parameters.backward(products, &mut run.params);
        }
        if t > 0 {
            let mut past = std::mem::replace(&mut self.buffers.outputs[0], Value::Taken);
            copy_step(run.values.get(self.to), t - 1, &mut past);
            let dw = &mut run.params.grads[self.weight.clone()];
            match &past {
                Value::Spikes(o) => self.conv.backward_weight_spikes(o, &mut gradient, dw, &mut run.workers),
                Value::Dense(o) => self.conv.backward_weight_dense(o, &gradient, dw, &mut run.workers),
                Value::Taken => unreachable!("the outputs are taken once"),
            }
            self.buffers.outputs[0] = past;
        }
        self.buffers.gradients[0] = gradient;
    }
}

impl Op for RecurrentLayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<Read> {
        vec![Read::new(self.from)]
    }

    fn writes(&self) -> ValueId {
        self.to
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn forward(&mut self, run: &mut Execution) {
        if let Some(parameters) = &mut self.parameters {
            parameters.read(&run.params.weights);
        }
        let mut y = run.values.take(self.to);
        let continues = self.begin(run);
        for t in 0..self.steps {
            self.forward_step(run, t, continues || t > 0);
            match (&self.buffers.outputs[0], &mut y) {
                (Value::Spikes(o), Value::Spikes(y)) => {
                    let frame = o.words().len();
                    y.words_mut()[t * frame..][..frame].copy_from_slice(o.words());
                }
                (Value::Dense(o), Value::Dense(y)) => {
                    let frame = o.blocks().len();
                    y.blocks_mut()[t * frame..][..frame].copy_from_slice(o.blocks());
                }
                _ => unreachable!("a step is of the form of all steps"),
            }
        }
        self.end(run);
        run.values.put(self.to, y);
    }

    fn backward(&mut self, run: &mut Execution) {
        let dy = run.gradients.take(self.to);
        let mut dx = run.gradients.take_to_overwrite(self.from);
        dx.iter_mut().for_each(|dx| dx.blocks_mut().fill(Block::default()));
        self.buffers.carried.iter_mut().for_each(|state| state.blocks_mut().fill(Block::default()));
        for t in (0..self.steps).rev() {
            let gradient = self.buffers.gradients[0].blocks_mut();
            let frame = gradient.len();
            gradient.copy_from_slice(step(dy.blocks(), frame, t));
            self.backward_step(run, t);
            if let Some(dx) = &mut dx {
                let first = t * frame % dx.blocks().len();
                let sums = dx.blocks_mut()[first..].iter_mut().zip(self.buffers.gradients[0].blocks());
                sums.for_each(|(sum, d)| sum.0.iter_mut().zip(d.0).for_each(|(sum, d)| *sum += d));
            }
            self.buffers.gradients.swap(0, 1);
        }
        run.gradients.put(self.to, dy);
        if let Some(dx) = dx {
            run.gradients.put_overwritten(self.from, dx);
        }
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        if let Some(parameters) = &mut self.parameters {
            parameters.allocate()?;
        }
        self.buffers.allocate(self.conv.input())
    }

    fn bytes(&self) -> OpBytes {
        let own = self.buffers.bytes(self.conv.input());
        let parameters = self.parameters.as_ref().map_or(0, NeuronParameters::bytes);
        OpBytes { workspace: own.workspace + parameters, ..own }
    }

    fn workspace(&self, values: &Values, _: &[bool]) -> Workspace {
        self.conv.workspace(values.is_spikes(self.to), true)
    }

    fn carries(&self) -> &[Dims] {
        &self.carries
    }

    fn components<'a>(&'a self, _: &'a Values) -> Vec<Component<'a>> {
        let product = ProductPart {
            input: self.to,
            dims: self.conv.input(),
            config: self.conv.config(),
            is_linear: self.conv.input().pixels() == 1,
            is_delayed: true,
            weight: self.weight.clone(),
            parameters: self.weight.len(),
            macs: self.conv.macs(),
            norm: None,
            feeds: Some(&self.name),
        };
        let sources = vec![Some(self.dims), Some(self.dims)];
        let neurons = NeuronsPart { name: &self.name, output: self.to, dims: self.dims, sources };
        vec![Component::Product(product), Component::Neurons(neurons)]
    }

    fn is_finite(&self, run: &Execution) -> bool {
        self.buffers.recurrent.floats().iter().all(|r| r.is_finite()) && run.is_finite(self.to)
    }
}

/// The two currents as the neurons' kernel reads them.
fn sources<'a>(currents: &'a [Tensor; 2], ones: &'a [f32]) -> [Source<'a>; 2] {
    currents.each_ref().map(|y| super::current::plain(y, ones))
}
