//! Neurons of one's own: a law of one neuron, in scalars, unrolled over all time steps.

use crate::graph::{
    Builder, Component, Execution, NeuronsPart, Node, Op, OpBytes, OpSpec, Output, Read, Settings, Value,
    ValueId, Values,
};
use crate::params::Role;
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::{Block, Dims, LANES};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One step of one neuron.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The layer's learned numbers.
    pub parameters: &'a [f32],
    /// x\[t\], the input current.
    pub current: f32,
    /// Whether spikes are smooth, for gradient checks: then the output must be differentiable.
    pub smooth: bool,
}

/// Gradients of one step of one neuron.
#[derive(Debug)]
#[non_exhaustive]
pub struct Gradients<'a> {
    /// ∂L/∂o\[t\], read.
    pub output: f32,
    /// ∂L/∂(state after the step) on entry; overwritten with ∂L/∂(state before it).
    pub state: &'a mut [f32],
    /// ∂L/∂(learned numbers), added to.
    pub parameters: &'a mut [f64],
}

/// The law of a neuron of one's own.
///
/// The engine keeps nothing between forward and backward: states are derived again, step by step. The law runs in
/// scalars, on one thread.
pub trait NeuronModel: fmt::Debug + Send + Sync {
    /// The kind, as files spell it; models that files are read for need one of their own.
    fn kind(&self) -> &str {
        "own-neurons"
    }

    /// The settings, as files spell them.
    fn settings(&self) -> Settings {
        Settings::default()
    }

    /// Counts the numbers of a neuron's state; all are 0 before the first step.
    fn states(&self) -> usize {
        1
    }

    /// Gives the values that the learned numbers of a layer begin with.
    fn parameters(&self) -> Vec<f32> {
        Vec::new()
    }

    /// Takes a step: overwrites the state and returns the output, 0 or 1 where it is not smooth.
    fn forward(&self, step: Step<'_>, state: &mut [f32]) -> f32;

    /// Goes a step back, from the state before it; returns ∂L/∂x\[t\].
    fn backward(&self, step: Step<'_>, before: &[f32], gradients: Gradients<'_>) -> f32;
}

/// A layer of neurons of one's own.
#[derive(Clone, Debug)]
pub struct UserNeurons(pub Arc<dyn NeuronModel>);

impl UserNeurons {
    /// Makes a layer of a model.
    pub fn new(model: impl NeuronModel + 'static) -> Self {
        Self(Arc::new(model))
    }
}

impl OpSpec for UserNeurons {
    fn kind(&self) -> &str {
        self.0.kind()
    }

    fn settings(&self) -> Settings {
        self.0.settings()
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        let from = builder.value(node.only_input()?)?;
        if builder.is_spikes(from) {
            return Err(node.error("reads spikes, neurons of one's own read a current"));
        }
        let dims = Dims { n: builder.images(builder.steps())?, ..builder.dims(from) };
        let smooth = builder.config().smooth;
        let to = if smooth { builder.dense(dims)? } else { builder.spikes(dims)? };
        let beginnings = self.0.parameters();
        let parameters = match beginnings.len() {
            0 => 0..0,
            len => builder.parameter(format!("{}.parameters", node.name), vec![len], Role::Neuron)?,
        };
        for (k, value) in beginnings.into_iter().enumerate() {
            builder.begin_at(&(parameters.start + k..parameters.start + k + 1), value);
        }
        let frame = Dims { n: builder.batch(), ..dims };
        let carried = vec![frame; self.0.states()];
        let (name, model, steps) = (node.name.to_string(), self.0.clone(), builder.steps());
        builder.push(UserLayer {
            name,
            model,
            from,
            to,
            dims,
            steps,
            smooth,
            parameters,
            carried,
            trace: Vec::new(),
        })
    }
}

#[derive(Debug)]
struct UserLayer {
    name: String,
    model: Arc<dyn NeuronModel>,
    from: ValueId,
    to: ValueId,
    dims: Dims,
    steps: usize,
    smooth: bool,
    parameters: Range<usize>,
    /// Sizes of the states of all neurons.
    carried: Vec<Dims>,
    /// States of one neuron: before the first step, then after each.
    trace: Vec<f32>,
}

impl UserLayer {
    /// Blocks of a frame: the neurons of a step, sixteen to a block.
    fn frame(&self) -> usize {
        self.dims.n / self.steps * self.dims.image_blocks()
    }

    /// Runs one neuron over all steps and hands each output over; the trace then holds its states.
    fn unroll(
        model: &dyn NeuronModel,
        (parameters, smooth, steps): (&[f32], bool, usize),
        x: impl Fn(usize) -> f32,
        trace: &mut [f32],
        mut out: impl FnMut(usize, f32),
    ) {
        let states = model.states();
        for t in 0..steps {
            trace.copy_within(t * states..(t + 1) * states, (t + 1) * states);
            let state = &mut trace[(t + 1) * states..][..states];
            out(t, model.forward(Step { parameters, current: x(t), smooth }, state));
        }
    }
}

/// The neurons of a step: block of the frame and lane; lanes past the last channel are padding.
fn places(dims: Dims, frame: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..frame).flat_map(move |at| {
        let block = at / dims.pixels() % dims.blocks();
        (0..(dims.c - block * LANES).min(LANES)).map(move |l| (at, l))
    })
}

/// x of lane `l` at place `at` of the frame of step t; a still frame serves every step.
fn current(x: &[Block], frame: usize, (at, l): (usize, usize)) -> impl Fn(usize) -> f32 {
    move |t| x[(t * frame + at) % x.len()].0[l]
}

impl Op for UserLayer {
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
        !self.parameters.is_empty()
    }

    fn forward(&mut self, run: &mut Execution) {
        let mut y = run.values.take(self.to);
        let mut carried =
            run.carried(self.to).map(|carried| carried.iter_mut().map(std::mem::take).collect::<Vec<_>>());
        let (frame, states) = (self.frame(), self.model.states());
        let law = (&run.params.weights[self.parameters.clone()], self.smooth, self.steps);
        let Value::Dense(x) = run.values.get(self.from) else {
            unreachable!("a current is dense, as planned")
        };
        for (at, l) in places(self.dims, frame) {
            let first = carried.iter().flatten().map(|state| state.blocks()[at].0[l]);
            self.trace[..states].fill(0.0);
            self.trace.iter_mut().zip(first).for_each(|(to, from)| *to = from);
            let x = current(x.blocks(), frame, (at, l));
            Self::unroll(&*self.model, law, x, &mut self.trace, |t, o| match &mut y {
                Value::Dense(dense) => dense.blocks_mut()[t * frame + at].0[l] = o,
                Value::Spikes(spikes) => {
                    let word = &mut spikes.words_mut()[t * frame + at];
                    *word = *word & !(1 << l) | u16::from(o != 0.0) << l;
                }
                Value::Taken => unreachable!("one op writes a value"),
            });
            let last = &self.trace[self.steps * states..];
            let to = carried.iter_mut().flatten().map(|state| &mut state.blocks_mut()[at].0[l]);
            to.zip(last).for_each(|(to, last)| *to = *last);
        }
        if let (Some(own), Some(carried)) = (carried, run.carried(self.to)) {
            carried.iter_mut().zip(own).for_each(|(to, own)| *to = own);
        }
        run.values.put(self.to, y);
    }

    fn backward(&mut self, run: &mut Execution) {
        let dy = run.gradients.take(self.to);
        let mut dx = run.gradients.take_to_overwrite(self.from);
        dx.iter_mut().for_each(|dx| dx.blocks_mut().fill(Block::default()));
        let (frame, states) = (self.frame(), self.model.states());
        let (parameters, smooth) = (&run.params.weights[self.parameters.clone()], self.smooth);
        let mut sums = vec![0.0; parameters.len()];
        let mut state = vec![0.0; states];
        let Value::Dense(x) = run.values.get(self.from) else {
            unreachable!("a current is dense, as planned")
        };
        for (at, l) in places(self.dims, frame) {
            let x = current(x.blocks(), frame, (at, l));
            self.trace[..states].fill(0.0);
            Self::unroll(&*self.model, (parameters, smooth, self.steps), &x, &mut self.trace, |_, _| {});
            state.fill(0.0);
            for t in (0..self.steps).rev() {
                let before = &self.trace[t * states..][..states];
                let output = dy.blocks()[t * frame + at].0[l];
                let gradients = Gradients { output, state: &mut state, parameters: &mut sums };
                let step = Step { parameters, current: x(t), smooth };
                let g = self.model.backward(step, before, gradients);
                if let Some(dx) = &mut dx {
                    let len = dx.blocks().len();
                    dx.blocks_mut()[(t * frame + at) % len].0[l] += g;
                }
            }
        }
        let grads = &mut run.params.grads[self.parameters.clone()];
        grads.iter_mut().zip(sums).for_each(|(grad, sum)| *grad += sum as f32);
        run.gradients.put(self.to, dy);
        if let Some(dx) = dx {
            run.gradients.put_overwritten(self.from, dx);
        }
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.trace = try_vec((self.steps + 1) * self.model.states(), 0.0)?;
        Ok(())
    }

    fn bytes(&self) -> OpBytes {
        let trace = (self.steps + 1) * self.model.states() * size_of::<f32>();
        OpBytes { saved: 0, workspace: trace }
    }

    fn carries(&self) -> &[Dims] {
        &self.carried
    }

    fn components<'a>(&'a self, _: &'a Values) -> Vec<Component<'a>> {
        let (name, output, dims) = (&*self.name, self.to, self.dims);
        let sources = vec![Some(dims)];
        vec![Component::Neurons(NeuronsPart { name, output, dims, sources })]
    }
}
