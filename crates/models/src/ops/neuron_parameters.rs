//! The parameters of a layer's neurons: fixed or learned, of the layer or of each channel.

use crate::Params;
use crate::graph::Builder;
use crate::params::Role;
use spikegrad_bptt::lif::{Learn, ParameterMap, ParameterSums};
use spikegrad_bptt::{ConfigError, LifConfig};
use spikegrad_tensor::memory::{NoMemory, try_vec};
use spikegrad_tensor::{Dims, LANES};
use std::ops::Range;

/// A learned number's place among the net's parameters.
#[derive(Debug)]
struct Place {
    range: Range<usize>,
    /// Numbers of a channel.
    count: usize,
    /// Whether each channel has its own.
    of_channel: bool,
}

impl Place {
    /// The numbers of channel `c`.
    fn of(&self, c: usize) -> Range<usize> {
        let first = self.range.start + if self.of_channel { c * self.count } else { 0 };
        first..first + self.count
    }
}

/// The parameters that the law of a layer's neurons reads, and the sums of their gradients.
#[derive(Debug)]
pub(crate) struct NeuronParameters {
    map: ParameterMap,
    places: Vec<Place>,
    channels: usize,
    /// Planes of a time step.
    planes: usize,
    /// A row for each parameter: a number for each channel, padded to whole blocks.
    rows: Vec<f32>,
    /// A row for each plane and parameter.
    sums: Vec<ParameterSums>,
    /// The numbers of one channel: parameters, their gradients, learned numbers.
    channel: [Vec<f64>; 3],
    /// The gradients of the learned numbers: of one channel, and of the layer.
    gradients: [Vec<f64>; 2],
}

impl NeuronParameters {
    /// Plans the parameters of neurons of `dims`; none where the configuration's numbers serve all of them.
    pub(crate) fn planned(
        name: &str,
        lif: &LifConfig,
        dims: Dims,
        builder: &mut Builder<'_>,
    ) -> Result<Option<Self>, ConfigError> {
        let steps = builder.steps();
        let map = ParameterMap::new(lif, steps);
        if map.rows() == 0 {
            return Ok(None);
        }
        let mut places = Vec::new();
        for learned in lif.learned(steps) {
            let count = learned.beginning.len();
            let of_channel = learned.learn == Learn::Channel;
            let shape = match (of_channel, count) {
                (false, _) => vec![count],
                (true, 1) => vec![dims.c],
                (true, _) => vec![dims.c, count],
            };
            let range = builder.parameter(format!("{name}.{}", learned.name), shape, Role::Neuron)?;
            for (k, place) in range.clone().enumerate() {
                builder.begin_at(&(place..place + 1), learned.beginning[k % count]);
            }
            places.push(Place { range, count, of_channel });
        }
        let planes = dims.planes() / steps;
        let (rows, sums, channel, gradients) = Default::default();
        Ok(Some(Self { map, places, channels: dims.c, planes, rows, sums, channel, gradients }))
    }

    pub(crate) fn is_learned(&self) -> bool {
        !self.places.is_empty()
    }

    /// Numbers that a channel learns.
    fn learned(&self) -> usize {
        self.places.iter().map(|place| place.count).sum()
    }

    fn lanes(&self) -> usize {
        self.channels.div_ceil(LANES) * LANES
    }

    /// Rows of sums.
    fn sum_rows(&self) -> usize {
        if self.is_learned() { self.planes * self.map.rows() } else { 0 }
    }

    pub(crate) fn allocate(&mut self) -> Result<(), NoMemory> {
        let (rows, learned) = (self.map.rows(), self.learned());
        self.rows = try_vec(rows * self.lanes(), 0.0)?;
        self.sums = try_vec(self.sum_rows(), ParameterSums::default())?;
        self.channel = [try_vec(rows, 0.0)?, try_vec(rows, 0.0)?, try_vec(learned, 0.0)?];
        self.gradients = [try_vec(learned, 0.0)?, try_vec(learned, 0.0)?];
        if !self.is_learned() {
            self.fill(&[]);
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        let numbers = 2 * self.map.rows() + 3 * self.learned();
        self.map.rows() * self.lanes() * size_of::<f32>()
            + self.sum_rows() * size_of::<ParameterSums>()
            + numbers * size_of::<f64>()
    }

    /// The rows that the kernel reads.
    pub(crate) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Takes the buffer of sums; empty where nothing is learned. [`NeuronParameters::backward`] brings it back.
    pub(crate) fn take_sums(&mut self) -> Vec<ParameterSums> {
        std::mem::take(&mut self.sums)
    }

    /// Reads the learned numbers.
    pub(crate) fn read(&mut self, weights: &[f32]) {
        if self.is_learned() {
            self.fill(weights);
        }
    }

    /// Collects the learned numbers of channel `c`.
    fn collect(&mut self, weights: &[f32], c: usize) {
        let numbers = self.places.iter().flat_map(|place| &weights[place.of(c)]);
        self.channel[2].iter_mut().zip(numbers).for_each(|(to, &w)| *to = f64::from(w));
    }

    fn fill(&mut self, weights: &[f32]) {
        let lanes = self.lanes();
        // Padding has the last channel's numbers: before a threshold of 0 it would fire where u = 0 is enough.
        for c in 0..lanes {
            self.collect(weights, c.min(self.channels - 1));
            let [parameters, _, raw] = &mut self.channel;
            self.map.parameters(raw, parameters);
            let rows = self.rows.iter_mut().skip(c).step_by(lanes);
            rows.zip(parameters).for_each(|(to, p)| *to = *p as f32);
        }
    }

    /// Adds to the gradients of the learned numbers, from the planes' sums.
    pub(crate) fn backward(&mut self, sums: Vec<ParameterSums>, params: &mut Params) {
        let rows = self.map.rows();
        let blocks = self.lanes() / LANES;
        self.gradients[1].fill(0.0);
        for c in 0..if self.is_learned() { self.channels } else { 0 } {
            self.collect(&params.weights, c);
            let [_, d_parameters, raw] = &mut self.channel;
            for (k, d) in d_parameters.iter_mut().enumerate() {
                let planes = sums.chunks(rows).skip(c / LANES).step_by(blocks);
                *d = planes.map(|plane| plane[k][c % LANES]).sum();
            }
            let [of_channel, of_layer] = &mut self.gradients;
            of_channel.fill(0.0);
            self.map.pull_back(raw, d_parameters, of_channel);
            let mut at = 0;
            for place in &self.places {
                let numbers = at..at + place.count;
                at = numbers.end;
                let (own, shared) = (&of_channel[numbers.clone()], &mut of_layer[numbers]);
                if place.of_channel {
                    let grads = &mut params.grads[place.of(c)];
                    grads.iter_mut().zip(own).for_each(|(grad, d)| *grad += *d as f32);
                } else {
                    shared.iter_mut().zip(own).for_each(|(sum, d)| *sum += d);
                }
            }
        }
        let mut at = 0;
        for place in &self.places {
            let shared = &self.gradients[1][at..at + place.count];
            at += place.count;
            if !place.of_channel {
                let grads = &mut params.grads[place.of(0)];
                grads.iter_mut().zip(shared).for_each(|(grad, d)| *grad += *d as f32);
            }
        }
        self.sums = sums;
    }
}
