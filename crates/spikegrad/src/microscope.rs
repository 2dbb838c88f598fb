//! The microscope: every neuron's state and gradient, while the trainer's own kernels run.

use crate::{BatchError, Error};
use spikegrad_bptt::lif::record::{Charged, Place, Recorder, Returned};
use spikegrad_models::{Net, UnitInfo};
use spikegrad_tensor::{Block, LANES};
use std::sync::{Mutex, MutexGuard};

/// A neuron to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neuron {
    /// Name of its layer, as [`Net::units`] gives it.
    pub layer: String,
    /// Image of the batch.
    pub image: usize,
    /// Channel.
    pub channel: usize,
    /// Row.
    pub row: usize,
    /// Column.
    pub column: usize,
}

/// One neuron at one step: the quantities of the neuron's equations, from the kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Instant {
    /// x\[t\], the input current.
    pub x: f32,
    /// u\[t\], the membrane before the reset.
    pub u: f32,
    /// o\[t\], the spike.
    pub o: f32,
    /// m\[t\], the membrane after the reset.
    pub m: f32,
    /// e\[t\] = ∂L/∂o\[t\], from the layers above.
    pub e: f32,
    /// a\[t\] = ∂L/∂m\[t\], from the steps after.
    pub a: f32,
    /// G\[t\], the total gradient at the spike.
    pub total: f32,
    /// h(u\[t\]), the base surrogate.
    pub h: f32,
    /// The factor of surrogate gradient scaling.
    pub factor: f32,
    /// ∂L/∂u\[t\], which is ∂L/∂x\[t\] too.
    pub du: f32,
}

/// A layer at one step, over all its neurons and the images of the batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerStep {
    /// ‖∂L/∂u\[t\]‖, Euclidean.
    pub gradient_norm: f64,
    /// Share of membranes where the surrogate is at least a tenth of its peak.
    pub inside: f64,
    /// Share of neurons that fire.
    pub rate: f64,
}

/// A layer, step by step and neuron by neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerView {
    /// Its name.
    pub name: String,
    /// One entry a step.
    pub steps: Vec<LayerStep>,
    /// Neurons of an image.
    pub neurons: usize,
    /// Neurons that never fired, at any step of any image.
    pub silent: usize,
    /// Neurons that fired at every step of every image.
    pub saturated: usize,
}

/// Sums of one plane (a channel block of an image) at one step.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    square: f64,
    inside: u64,
    spikes: u64,
}

/// One layer's records.
#[derive(Debug)]
struct Layer {
    unit: UnitInfo,
    steps: usize,
    batch: usize,
    /// At (step · batch + image) · blocks + block. One worker at a time writes a plane, so sums have the same bits
    /// whatever the number of threads.
    planes: Vec<Mutex<Sums>>,
    /// For each channel block: how often each neuron (pixel · 16 + lane) fired.
    fired: Vec<Mutex<Vec<u32>>>,
    /// Passes over the batch that were recorded.
    passes: Mutex<usize>,
}

/// Looks on while gradients run ([`crate::Trainer::observe`]): whole layers always, single neurons where asked for.
#[derive(Debug)]
pub struct Microscope {
    /// By the number of a unit's output.
    layers: Vec<Option<Layer>>,
    /// Surrogate values from which on a membrane counts as inside the window.
    least: f32,
    watched: Vec<(Neuron, usize, Mutex<Vec<Instant>>)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Microscope {
    /// Prepares to look at every layer of a net, and at some neurons.
    ///
    /// # Errors
    /// A neuron that the net does not have, with what it has.
    pub fn new(net: &Net, watched: &[Neuron]) -> Result<Self, Error> {
        let (units, batch) = (net.units(), net.batch());
        let mut layers: Vec<Option<Layer>> = Vec::new();
        for unit in &units {
            let (blocks, steps) = (unit.dims.blocks(), unit.dims.n / batch);
            layers.resize_with(layers.len().max(unit.layer + 1), || None);
            layers[unit.layer] = Some(Layer {
                unit: unit.clone(),
                steps,
                batch,
                planes: (0..unit.dims.n * blocks).map(|_| Mutex::default()).collect(),
                fired: (0..blocks).map(|_| Mutex::new(vec![0; unit.dims.pixels() * LANES])).collect(),
                passes: Mutex::default(),
            });
        }
        let watch = |neuron: &Neuron| {
            let Some(unit) = units.iter().find(|unit| unit.name == neuron.layer) else {
                let known: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
                let known = known.join(", ");
                return Err(BatchError::UnknownLayer { name: neuron.layer.clone(), known });
            };
            let d = unit.dims;
            if neuron.image >= batch || neuron.channel >= d.c || neuron.row >= d.h || neuron.column >= d.w {
                let place = (neuron.channel, neuron.row, neuron.column);
                let (layer, image) = (neuron.layer.clone(), neuron.image);
                return Err(BatchError::UnknownNeuron {
                    layer,
                    image,
                    place,
                    images: batch,
                    size: (d.c, d.h, d.w),
                });
            }
            let steps = vec![Instant::default(); d.n / batch];
            Ok((neuron.clone(), unit.layer, Mutex::new(steps)))
        };
        let watched = watched.iter().map(watch).collect::<Result<_, _>>()?;
        let least = 0.1 * net.config().lif.surrogate.derivative_at(0.0);
        Ok(Self { layers, least, watched })
    }

    /// The steps of each watched neuron in the last pass.
    pub fn neurons(&self) -> Vec<(Neuron, Vec<Instant>)> {
        let view = |(neuron, _, steps): &(Neuron, usize, Mutex<Vec<Instant>>)| {
            (neuron.clone(), locked(steps).clone())
        };
        self.watched.iter().map(view).collect()
    }

    /// The sums of each layer over all passes, in the order of the forward.
    pub fn layers(&self) -> Vec<LayerView> {
        self.layers.iter().flatten().map(Layer::view).collect()
    }

    fn layer(&self, place: &Place) -> &Layer {
        self.layers[place.layer].as_ref().expect("the recorder was made for this net")
    }

    /// Does `write` to the watched neurons of a tile, each with its pixel and lane in it.
    fn each_watched(&self, place: &Place, write: impl Fn(&mut Instant, usize, usize)) {
        for (neuron, layer, steps) in &self.watched {
            let pixel = neuron.row * self.layer(place).unit.dims.w + neuron.column;
            let here = *layer == place.layer
                && neuron.image == place.image
                && place.channels.contains(&neuron.channel)
                && place.pixels.contains(&pixel);
            if here {
                let (pixel, lane) = (pixel - place.pixels.start, neuron.channel - place.channels.start);
                write(&mut locked(steps)[place.step], pixel, lane);
            }
        }
    }
}

impl Recorder for Microscope {
    fn charged(&self, place: Place, values: Charged<'_>) {
        self.each_watched(&place, |at, p, l| {
            (at.x, at.u, at.m) = (values.x[p].0[l], values.u[p].0[l], values.m[p].0[l]);
        });
    }

    fn returned(&self, place: Place, values: Returned<'_>) {
        self.layer(&place).add(&place, &values, self.least);
        self.each_watched(&place, |at, p, l| {
            let of = |tile: &[Block]| tile[p].0[l];
            (at.o, at.e, at.a, at.total) = (of(values.o), of(values.e), of(values.a), of(values.total));
            (at.h, at.factor, at.du) = (of(values.h), of(values.factor), of(values.du));
        });
    }
}

impl Layer {
    fn add(&self, place: &Place, values: &Returned<'_>, least: f32) {
        let (blocks, block) = (self.unit.dims.blocks(), place.channels.start / LANES);
        if (place.step, place.image, block, place.pixels.start) == (0, 0, 0, 0) {
            *locked(&self.passes) += 1;
        }
        let plane = (place.step * self.batch + place.image) * blocks + block;
        let (mut sums, mut fired) = (locked(&self.planes[plane]), locked(&self.fired[block]));
        for (i, pixel) in place.pixels.clone().enumerate() {
            for lane in 0..place.channels.len() {
                let (du, spike) = (values.du[i].0[lane], values.o[i].0[lane] > 0.0);
                sums.square += f64::from(du) * f64::from(du);
                sums.inside += u64::from(values.h[i].0[lane] >= least);
                sums.spikes += u64::from(spike);
                fired[pixel * LANES + lane] += u32::from(spike);
            }
        }
    }

    fn view(&self) -> LayerView {
        let (d, passes) = (self.unit.dims, *locked(&self.passes));
        let neurons = d.len() / d.n;
        let each = (passes * self.batch * neurons).max(1) as f64;
        let step = |planes: &[Mutex<Sums>]| {
            let sum = planes.iter().fold(Sums::default(), |sum, plane| {
                let plane = locked(plane);
                let square = sum.square + plane.square;
                Sums { square, inside: sum.inside + plane.inside, spikes: sum.spikes + plane.spikes }
            });
            let (inside, rate) = (sum.inside as f64 / each, sum.spikes as f64 / each);
            LayerStep { gradient_norm: sum.square.sqrt(), inside, rate }
        };
        let always = (passes * self.batch * self.steps) as u32;
        let count = |times: u32| -> usize {
            let of_block = |(block, fired): (usize, &Mutex<Vec<u32>>)| {
                let lanes = (d.c - block * LANES).min(LANES);
                let fired = locked(fired);
                fired.chunks(LANES).flat_map(|pixel| &pixel[..lanes]).filter(|&&n| n == times).count()
            };
            self.fired.iter().enumerate().map(of_block).sum()
        };
        LayerView {
            name: self.unit.name.clone(),
            steps: self.planes.chunks(self.batch * d.blocks()).map(step).collect(),
            neurons,
            silent: count(0),
            saturated: count(always),
        }
    }
}
