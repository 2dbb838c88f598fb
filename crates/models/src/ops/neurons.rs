//! A layer of neurons on the sum of one or two currents, unrolled over all time steps.

use super::current::Current;
use super::neuron_parameters::NeuronParameters;
use super::neuron_settings::{neuron_settings, read_neuron};
use crate::graph::{
    Builder, Component, Execution, NeuronsPart, Node, Op, OpBytes, OpSpec, Output as Planned, Read, Saved,
    Setting, Settings, Value, ValueId, Values,
};
use spikegrad_bptt::lif::{BackwardPass, LifLayer, MAX_SOURCES, MOST_STATES, Output, PlaneSums, Source};
use spikegrad_bptt::{Activation, ConfigError, LifConfig};
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::{Dims, LANES, Tensor, Workers, Workspace};
use std::mem::swap;

/// Neurons on the sum of one or two currents; without a neuron of its own, the layer has that of the net.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neurons {
    lif: Option<LifConfig>,
}

impl Neurons {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "neurons";

    /// Neurons that differ from those of the net.
    pub fn new(lif: LifConfig) -> Self {
        Self { lif: Some(lif) }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        let Some(lif) = settings.take("neuron") else { return Ok(Self::default()) };
        let mut table = lif.parse_table("neuron")?;
        let lif = read_neuron(&mut table)?;
        table.finish()?;
        Ok(Self { lif: Some(lif) })
    }
}

impl OpSpec for Neurons {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        match &self.lif {
            Some(lif) => Settings::from([("neuron", Setting::Table(neuron_settings(lif)))]),
            None => Settings::default(),
        }
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Planned, ConfigError> {
        let config = builder.config();
        let lif = self.lif.as_ref().unwrap_or(&config.lif);
        lif.check().map_err(|error| node.error(error))?;
        let currents = currents(node, builder)?;
        layer(node.name, lif.clone(), config.activation(), currents, builder).map(Planned::Value)
    }
}

/// The sum of one or two currents or values, written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Add;

impl Add {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "add";

    pub(super) fn read(_: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl OpSpec for Add {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Planned, ConfigError> {
        let currents = currents(node, builder)?;
        write_out(node.name, currents, builder).map(Planned::Value)
    }
}

/// The currents that a node reads: one or two, of the same size.
fn currents(node: Node<'_>, builder: &mut Builder<'_>) -> Result<Vec<Current>, ConfigError> {
    let count = node.inputs.len();
    if !(1..=MAX_SOURCES).contains(&count) {
        return Err(node.error(format!("reads {count} inputs, must read 1 or 2")));
    }
    if count == 2 && node.inputs[0] == node.inputs[1] {
        return Err(node.error("reads the same input twice"));
    }
    let currents = node.inputs.iter().map(|&input| builder.current(input)).collect::<Result<Vec<_>, _>>()?;
    let sizes: Vec<Dims> = currents.iter().map(|current| current.dims(builder.values())).collect();
    let image = |d: &Dims| (d.c, d.h, d.w);
    match sizes.iter().find(|size| image(size) != image(&sizes[0])) {
        None => Ok(currents),
        Some(other) => {
            let ((c, h, w), (oc, oh, ow)) = (image(&sizes[0]), image(other));
            Err(node.error(format!("adds {c} channels of {h}×{w} pixels and {oc} of {oh}×{ow}")))
        }
    }
}

/// Plans the op that writes the sum of currents out.
pub(super) fn write_out(
    name: &str,
    currents: Vec<Current>,
    builder: &mut Builder<'_>,
) -> Result<ValueId, ConfigError> {
    layer(name, LifConfig::default(), Activation::Identity, currents, builder)
}

/// Plans a layer of neurons, or of sums, and returns its output.
fn layer(
    name: &str,
    lif: LifConfig,
    activation: Activation,
    currents: Vec<Current>,
    builder: &mut Builder<'_>,
) -> Result<ValueId, ConfigError> {
    let image = currents[0].dims(builder.values());
    let dims = Dims { n: builder.images(builder.steps())?, ..image };
    let to = match activation {
        Activation::Spike if lif.fires() => builder.spikes(dims)?,
        _ => builder.dense(dims)?,
    };
    let steps = builder.steps();
    let mut layer = NeuronLayer::planned(name, (lif, activation), currents, (to, dims), steps);
    if matches!(activation, Activation::Spike | Activation::Smooth) {
        layer.parameters = NeuronParameters::planned(name, &layer.lif, dims, builder)?;
    }
    builder.push(layer)?;
    Ok(to)
}

/// Currents, a neuron for each element of their sum, its outputs.
#[derive(Debug)]
pub(crate) struct NeuronLayer {
    name: String,
    lif: LifConfig,
    activation: Activation,
    currents: Vec<Current>,
    to: ValueId,
    /// The size of the output.
    dims: Dims,
    /// The sizes of the states.
    states: Vec<Dims>,
    steps: usize,
    /// The neurons' own numbers, where the configuration's do not serve all of them.
    parameters: Option<NeuronParameters>,
    sums: Vec<PlaneSums>,
    /// Sums over the batch, for each channel: Σ∂u, Σ∂u·(y − mean) of each source; a row for all steps, or for each where a
    /// norm tells the steps apart.
    totals: [Vec<f64>; 3],
}

impl NeuronLayer {
    /// Plans neurons whose output of `dims` is the value `to`.
    pub(crate) fn planned(
        name: &str,
        (lif, activation): (LifConfig, Activation),
        currents: Vec<Current>,
        (to, dims): (ValueId, Dims),
        steps: usize,
    ) -> Self {
        let (sums, totals) = (Vec::new(), <[Vec<f64>; 3]>::default());
        let states = match activation {
            Activation::Spike | Activation::Smooth => vec![Dims { n: dims.n / steps, ..dims }; lif.states()],
            Activation::Relu | Activation::Identity => Vec::new(),
        };
        let (name, parameters) = (name.to_string(), None);
        Self { name, lif, activation, currents, to, dims, states, steps, parameters, sums, totals }
    }

    /// Planes of a time step.
    fn planes(&self) -> usize {
        self.dims.planes() / self.steps
    }

    /// Rows of sums: one for all steps, or one for each.
    fn rows(&self) -> usize {
        if self.currents.iter().any(Current::is_stepwise) { self.steps } else { 1 }
    }

    /// Adds the planes' sums up, image by image.
    fn total(&mut self) {
        let (blocks, rows) = (self.dims.blocks(), self.rows());
        for (k, total) in self.totals.iter_mut().enumerate() {
            total.fill(0.0);
            for (at, sums) in self.sums.iter().enumerate() {
                let (plane, row) = (at / rows, at % rows);
                let total = &mut total[(row * blocks + plane % blocks) * LANES..][..LANES];
                total.iter_mut().zip(&sums[k]).for_each(|(total, sum)| *total += sum);
            }
        }
    }

    /// Adds the rows of the totals up into the first, for currents whose norms look at all steps together.
    fn fold_totals(&mut self) {
        let lanes = self.dims.blocks() * LANES;
        for total in &mut self.totals {
            let (first, rest) = total.split_at_mut(lanes);
            for row in rest.chunks(lanes) {
                first.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
    }

    /// Runs the currents backward whose norms tell the steps apart, or those whose norms do not.
    fn backward_beside(&mut self, du: &Tensor, stepwise: bool, run: &mut Execution) {
        for (k, current) in self.currents.iter_mut().enumerate() {
            if current.is_stepwise() == stepwise {
                current.backward_beside(du, (&self.totals[0], &self.totals[1 + k]), run);
            }
        }
    }

    /// The kernel, its sources (a single one stands twice) and the workers.
    fn kernel<'a>(&'a self, run: &'a mut Execution) -> (LifLayer<'a>, [Source<'a>; 2], &'a mut Workers) {
        let Execution { values, ones, workers, context, .. } = run;
        let parameters = self.parameters.as_ref().map_or(&[][..], NeuronParameters::rows);
        let Self { lif, activation, dims, steps, .. } = self;
        let plain = LifLayer::plain(lif, *activation, *dims, *steps, context.level);
        let layer = LifLayer { parameters, ..plain };
        let sources = [0, self.currents.len() - 1].map(|k| self.currents[k].source(values, ones));
        (layer, sources, workers)
    }
}

impl Op for NeuronLayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<Read> {
        self.currents.iter().map(Current::read).collect()
    }

    fn writes(&self) -> ValueId {
        self.to
    }

    fn has_weights(&self) -> bool {
        self.parameters.as_ref().is_some_and(NeuronParameters::is_learned)
            || self.currents.iter().any(Current::has_weights)
    }

    fn forward(&mut self, run: &mut Execution) {
        if let Some(parameters) = &mut self.parameters {
            parameters.read(&run.params.weights);
        }
        self.currents.iter_mut().for_each(|current| current.forward(run));
        let mut out = run.values.take(self.to);
        let mut states: [Tensor; MOST_STATES] = Default::default();
        let carried = run.carried(self.to).unwrap_or_default();
        let held = carried.len();
        states.iter_mut().zip(carried).for_each(|(state, carried)| swap(state, carried));
        let (layer, sources, workers) = self.kernel(run);
        let output = match &mut out {
            Value::Spikes(spikes) => Output::Spikes(spikes),
            Value::Dense(dense) => Output::Dense(dense),
            Value::Taken => unreachable!("one op writes a value"),
        };
        layer.forward_from(&mut states[..held], &sources[..self.currents.len()], output, workers);
        run.values.put(self.to, out);
        let carried = run.carried(self.to).unwrap_or_default();
        states.iter_mut().zip(carried).for_each(|(state, carried)| swap(state, carried));
        self.currents.iter_mut().for_each(|current| current.give_back(run));
    }

    fn backward(&mut self, run: &mut Execution) {
        self.currents.iter_mut().for_each(|current| current.restore(run));
        let mut du = run.gradients.take(self.to);
        let mut sums = std::mem::take(&mut self.sums);
        let mut products = self.parameters.as_mut().map(NeuronParameters::take_sums).unwrap_or_default();
        let recorder = run.recorder.clone().filter(|_| self.activation != Activation::Identity);
        let listener = recorder.as_deref().map(|recorder| (recorder, self.to.index()));
        let (layer, sources, workers) = self.kernel(run);
        let sources = &sources[..self.currents.len()];
        let pass = BackwardPass::new(&mut du, &mut sums);
        layer.backward(sources, BackwardPass { parameters: &mut products, listener, ..pass }, workers);
        if layer.is_static(sources) {
            du.resize(Dims { n: self.dims.n / self.steps, ..self.dims });
        }
        self.sums = sums;
        if let Some(parameters) = &mut self.parameters {
            parameters.backward(products, &mut run.params);
        }
        self.total();
        self.backward_beside(&du, true, run);
        self.fold_totals();
        self.backward_beside(&du, false, run);
        // From here on ∂L/∂u is of use to values added as they stand alone: its buffer is theirs, or free.
        run.gradients.put(self.to, du);
        self.currents.iter().for_each(|current| current.pass_gradient(self.to, run));
        self.currents.iter_mut().for_each(|current| current.backward_after(run));
        self.currents.iter_mut().for_each(|current| current.give_back(run));
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.sums = try_vec(self.planes() * self.rows(), PlaneSums::default())?;
        if let Some(parameters) = &mut self.parameters {
            parameters.allocate()?;
        }
        let lanes = self.rows() * self.dims.blocks() * LANES;
        for total in &mut self.totals {
            *total = try_vec(lanes, 0.0)?;
        }
        self.currents.iter_mut().try_for_each(Current::allocate)
    }

    fn bytes(&self) -> OpBytes {
        let totals = 3 * self.rows() * self.dims.blocks() * LANES * size_of::<f64>();
        let parameters = self.parameters.as_ref().map_or(0, NeuronParameters::bytes);
        let workspace = self.planes() * self.rows() * size_of::<PlaneSums>() + parameters + totals;
        let own = OpBytes { saved: 0, workspace };
        self.currents.iter().map(Current::bytes).fold(own, |sum, bytes| OpBytes {
            saved: sum.saved + bytes.saved,
            workspace: sum.workspace + bytes.workspace,
        })
    }

    fn workspace(&self, values: &Values, wants: &[bool]) -> Workspace {
        self.currents
            .iter()
            .map(|current| current.workspace(values, wants))
            .fold(Workspace::default(), Workspace::max)
    }

    fn carries(&self) -> &[Dims] {
        &self.states
    }

    fn saved(&mut self) -> Vec<&mut Saved> {
        self.currents.iter_mut().filter_map(Current::saved).collect()
    }

    fn components<'a>(&'a self, values: &'a Values) -> Vec<Component<'a>> {
        let mut components = Vec::new();
        let has_neurons = self.activation != Activation::Identity;
        let sources = self.currents.iter().map(|current| current.source_dims(values)).collect();
        for (k, current) in self.currents.iter().enumerate() {
            components.extend(current.components((k == 0 && has_neurons).then_some(&*self.name)));
        }
        if has_neurons {
            components.push(Component::Neurons(NeuronsPart {
                name: &self.name,
                output: self.to,
                dims: self.dims,
                sources,
            }));
        }
        components
    }

    fn is_finite(&self, run: &Execution) -> bool {
        let is_unbounded = self.activation == Activation::Identity || !self.lif.fires();
        self.currents.iter().all(Current::is_finite) && (!is_unbounded || run.is_finite(self.to))
    }
}
