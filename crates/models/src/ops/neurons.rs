//! A layer of neurons on the sum of one or two currents, unrolled over all time steps.

use super::current::Current;
use crate::graph::{
    Builder, Component, Execution, NeuronsPart, Node, Op, OpBytes, OpSpec, Output as Planned, Read, Saved,
    Setting, Settings, Value, ValueId, Values,
};
use crate::params::Role;
use spikegrad_bptt::lif::{DecaySums, LifLayer, MAX_SOURCES, Output, PlaneSums, Source};
use spikegrad_bptt::{Activation, ConfigError, LifConfig, Surrogate};
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::{Dims, LANES, Workers, Workspace};

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
        Activation::Spike => builder.spikes(dims)?,
        Activation::Smooth | Activation::Relu | Activation::Identity => builder.dense(dims)?,
    };
    let steps = builder.steps();
    let mut layer = NeuronLayer::planned(name, (lif, activation), currents, (to, dims), steps);
    if layer.lif.learn_decay && matches!(activation, Activation::Spike | Activation::Smooth) {
        let w = builder.parameter(format!("{name}.w"), vec![1], Role::Neuron)?;
        builder.begin_at(&w, (layer.lif.decay / (1.0 - layer.lif.decay)).ln());
        layer.decay = Some(w.start);
    }
    builder.push(layer)?;
    Ok(to)
}

/// Writes a neuron's settings.
pub(crate) fn neuron_settings(lif: &LifConfig) -> Settings {
    let mut settings = Settings::from([
        ("decay", Setting::number(lif.decay)),
        ("threshold", Setting::number(lif.threshold)),
        ("reset", Setting::text(lif.reset)),
        ("surrogate", Setting::text(lif.surrogate.name())),
    ]);
    if let Some(parameter) = lif.surrogate.parameter() {
        settings.push("surrogate_parameter", Setting::number(parameter));
    }
    settings.push("delta", Setting::number(lif.delta));
    if let Some(amount) = lif.reset_amount {
        settings.push("reset_amount", Setting::number(amount));
    }
    if lif.amplitude != 1.0 {
        settings.push("amplitude", Setting::number(lif.amplitude));
    }
    if lif.learn_decay {
        settings.push("learn_decay", Setting::Bool(true));
    }
    settings
}

/// Reads a neuron's settings; what is not there is as the authors have it.
pub(crate) fn read_neuron(settings: &mut Settings) -> Result<LifConfig, ConfigError> {
    let mut lif = LifConfig::default();
    lif.decay = settings.take_as("decay")?.unwrap_or(lif.decay);
    lif.threshold = settings.take_as("threshold")?.unwrap_or(lif.threshold);
    lif.reset = settings.take_as("reset")?.unwrap_or(lif.reset);
    lif.delta = settings.take_as("delta")?.unwrap_or(lif.delta);
    lif.reset_amount = settings.take_as("reset_amount")?;
    lif.amplitude = settings.take_as("amplitude")?.unwrap_or(lif.amplitude);
    lif.learn_decay = settings.take_as("learn_decay")?.unwrap_or(false);
    let parameter = settings.take_as("surrogate_parameter")?;
    if let Some(name) = settings.take_as::<String>("surrogate")? {
        lif.surrogate = Surrogate::named(&name, parameter)?;
    }
    Ok(lif)
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
    /// The size of the membranes.
    membranes: [Dims; 1],
    steps: usize,
    /// The place of w, where the decay σ(w) is learned.
    decay: Option<usize>,
    sums: Vec<PlaneSums>,
    decay_sums: Vec<DecaySums>,
    /// Sums over the batch, for each channel: Σ∂u, Σ∂u·(y − mean) of each source.
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
        let membranes = [Dims { n: dims.n / steps, ..dims }];
        let (name, decay, decay_sums) = (name.to_string(), None, Vec::new());
        Self { name, lif, activation, currents, to, dims, membranes, steps, decay, sums, decay_sums, totals }
    }

    /// Takes the learned decay from its parameter: τ = σ(w).
    fn read_decay(&mut self, run: &Execution) {
        if let Some(w) = self.decay {
            self.lif.decay = (1.0 / (1.0 + f64::from(-run.params.weights[w]).exp())) as f32;
        }
    }

    /// ∂L/∂w += ∂L/∂τ·τ·(1 − τ), from the planes' sums.
    fn backward_decay(&self, run: &mut Execution) {
        if let Some(w) = self.decay {
            let (tau, sum) = (f64::from(self.lif.decay), self.decay_sums.iter().flatten().sum::<f64>());
            run.params.grads[w] += (sum * tau * (1.0 - tau)) as f32;
        }
    }

    /// Planes of a time step.
    fn planes(&self) -> usize {
        self.dims.planes() / self.steps
    }

    /// Planes whose share of the decay's gradient is summed up.
    fn decay_planes(&self) -> usize {
        if self.decay.is_some() { self.planes() } else { 0 }
    }

    /// Adds the planes' sums up, image by image.
    fn total(&mut self) {
        let blocks = self.dims.blocks();
        for (k, total) in self.totals.iter_mut().enumerate() {
            total.fill(0.0);
            for (plane, sums) in self.sums.iter().enumerate() {
                let total = &mut total[plane % blocks * LANES..][..LANES];
                total.iter_mut().zip(&sums[k]).for_each(|(total, sum)| *total += sum);
            }
        }
    }

    /// The kernel, its sources (a single one stands twice) and the workers.
    fn kernel<'a>(&'a self, run: &'a mut Execution) -> (LifLayer<'a>, [Source<'a>; 2], &'a mut Workers) {
        let Execution { values, ones, workers, context, .. } = run;
        let Self { lif, activation, dims, steps, .. } = self;
        let layer =
            LifLayer { lif, activation: *activation, dims: *dims, steps: *steps, level: context.level };
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
        self.decay.is_some() || self.currents.iter().any(Current::has_weights)
    }

    fn forward(&mut self, run: &mut Execution) {
        self.read_decay(run);
        self.currents.iter_mut().for_each(|current| current.forward(run));
        let mut out = run.values.take(self.to);
        let mut membranes = run.carried(self.to).and_then(|carried| carried.first_mut()).map(std::mem::take);
        let (layer, sources, workers) = self.kernel(run);
        let output = match &mut out {
            Value::Spikes(spikes) => Output::Spikes(spikes),
            Value::Dense(dense) => Output::Dense(dense),
            Value::Taken => unreachable!("one op writes a value"),
        };
        layer.forward_from(membranes.as_mut(), &sources[..self.currents.len()], output, workers);
        run.values.put(self.to, out);
        if let (Some(membranes), Some(carried)) = (membranes, run.carried(self.to)) {
            carried[0] = membranes;
        }
        self.currents.iter_mut().for_each(|current| current.give_back(run));
    }

    fn backward(&mut self, run: &mut Execution) {
        self.currents.iter_mut().for_each(|current| current.restore(run));
        let mut du = run.gradients.take(self.to);
        let mut sums = std::mem::take(&mut self.sums);
        let mut decay_sums = std::mem::take(&mut self.decay_sums);
        let recorder = run.recorder.clone().filter(|_| self.activation != Activation::Identity);
        let listener = recorder.as_deref().map(|recorder| (recorder, self.to.index()));
        let (layer, sources, workers) = self.kernel(run);
        let sources = &sources[..self.currents.len()];
        layer.backward_learned(sources, &mut du, (&mut sums, &mut decay_sums), workers, listener);
        if layer.is_static(sources) {
            du.resize(Dims { n: self.dims.n / self.steps, ..self.dims });
        }
        (self.sums, self.decay_sums) = (sums, decay_sums);
        self.backward_decay(run);
        self.total();
        for (k, current) in self.currents.iter_mut().enumerate() {
            current.backward_beside(&du, (&self.totals[0], &self.totals[1 + k]), run);
        }
        // From here on ∂L/∂u is of use to values added as they stand alone: its buffer is theirs, or free.
        run.gradients.put(self.to, du);
        self.currents.iter().for_each(|current| current.pass_gradient(self.to, run));
        self.currents.iter_mut().for_each(|current| current.backward_after(run));
        self.currents.iter_mut().for_each(|current| current.give_back(run));
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.sums = try_vec(self.planes(), PlaneSums::default())?;
        self.decay_sums = try_vec(self.decay_planes(), DecaySums::default())?;
        for total in &mut self.totals {
            *total = try_vec(self.dims.blocks() * LANES, 0.0)?;
        }
        self.currents.iter_mut().try_for_each(Current::allocate)
    }

    fn bytes(&self) -> OpBytes {
        let totals = 3 * self.dims.blocks() * LANES * size_of::<f64>();
        let decay = self.decay_planes() * size_of::<DecaySums>();
        let own = OpBytes { saved: 0, workspace: self.planes() * size_of::<PlaneSums>() + decay + totals };
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
        match self.activation {
            Activation::Identity => &[],
            _ => &self.membranes,
        }
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
        let is_sum = self.activation == Activation::Identity;
        self.currents.iter().all(Current::is_finite) && (!is_sum || run.is_finite(self.to))
    }
}
