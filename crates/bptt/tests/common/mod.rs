//! Neurons with random inputs that rounding cannot push over a threshold or a kink.

use spikegrad_bptt::surrogate::NAMES;
use spikegrad_bptt::{LifConfig, Reset, Surrogate};
use spikegrad_tensor::{Dims, LANES, Tensor};
use spikegrad_testkit as testkit;
use spikegrad_testkit::lif::{Activation, Lif};
use spikegrad_testkit::rng::Rng;

/// δ of the tests.
pub const DELTAS: [f32; 4] = [0.0, 1e-4, 0.3, -0.3];
/// Kinds of [`NeuronCase`].
pub const KINDS: usize = 5;
/// T of the tests.
pub const STEPS: [usize; 3] = [1, 2, 4];
/// How far membranes stay away from where a result jumps.
const MARGIN: f64 = 1e-4;

/// Every reset with every surrogate.
pub fn configs() -> Vec<LifConfig> {
    let surrogates = NAMES.map(|name| Surrogate::named(name, None).unwrap());
    let with =
        |reset| surrogates.clone().map(|surrogate| LifConfig::default().reset(reset).surrogate(surrogate));
    Reset::ALL.into_iter().flat_map(with).collect()
}

/// The same neuron in the reference.
pub fn reference(lif: &LifConfig) -> Lif {
    let surrogate = testkit::surrogate::Surrogate::named(lif.surrogate.name(), None).unwrap();
    Lif {
        decay: f64::from(lif.decay),
        threshold: f64::from(lif.threshold),
        reset: lif.reset.name().parse().unwrap(),
        surrogate,
        delta: f64::from(lif.delta),
        ..Lif::paper()
    }
}

/// A tensor of these numbers.
pub fn tensor(dims: Dims, data: &[f32]) -> Tensor {
    Tensor::from_nchw(dims, data).unwrap()
}

/// A tensor of NaN, padding lanes zero.
pub fn nan(dims: Dims) -> Tensor {
    tensor(dims, &vec![f32::NAN; dims.len()])
}

/// An affine source: (y − mean)·scale + shift, here of any numbers.
pub struct AffineCase {
    pub dims: Dims,
    pub y: Vec<f32>,
    pub mean: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl AffineCase {
    /// With means round `mean`, and y round them.
    fn new(dims: Dims, mean: f64, rng: &mut Rng) -> Self {
        let lanes = dims.blocks() * LANES;
        let mut channels = |low: f64, high: f64| -> Vec<f32> {
            let mut values: Vec<f32> = (0..dims.c).map(|_| rng.uniform(low, high) as f32).collect();
            values.resize(lanes, 0.0);
            values
        };
        let (scale, shift) = (channels(0.5, 1.5), channels(-0.2, 0.6));
        let mean = channels(mean - 0.5, mean + 0.5);
        let mut case = Self { dims, y: vec![0.0; dims.len()], mean, scale, shift };
        (0..dims.len()).for_each(|i| case.draw(i, rng));
        case
    }

    /// Where the number for neuron `i` of a unit of size `d` lies: one frame serves every step.
    fn at(&self, i: usize) -> usize {
        i % self.dims.len()
    }

    fn channel(&self, i: usize) -> usize {
        i / self.dims.pixels() % self.dims.c
    }

    /// Draws y of neuron `i`.
    fn draw(&mut self, i: usize, rng: &mut Rng) {
        let (c, at) = (self.channel(i), self.at(i));
        self.y[at] = (f64::from(self.mean[c]) + rng.normal()) as f32;
    }

    fn current(&self, i: usize) -> f64 {
        let c = self.channel(i);
        f64::from(self.scale[c]) * self.centred(i) + f64::from(self.shift[c])
    }

    /// y − mean of neuron `i`.
    pub fn centred(&self, i: usize) -> f64 {
        f64::from(self.y[self.at(i)]) - f64::from(self.mean[self.channel(i)])
    }
}

/// Sources and output gradient of a unit.
pub struct NeuronCase {
    pub dims: Dims,
    pub steps: usize,
    pub affine: Vec<AffineCase>,
    pub spikes: Option<Vec<f32>>,
    pub e: Vec<f32>,
}

impl NeuronCase {
    /// Kind 0: affine and spikes; 1: two affine maps; 2: one static frame; 3: one affine map; 4: one whose mean is
    /// ten thousand times what y varies by.
    pub fn new(seed: u64, steps: usize, lif: &Lif, kind: usize) -> Self {
        const SIZES: [(usize, usize, usize, usize); 5] =
            [(2, 17, 3, 5), (1, 16, 1, 1), (3, 1, 2, 2), (1, 15, 9, 11), (1, 37, 1, 3)];
        let mut rng = Rng::new(seed);
        let (n, c, h, w) = SIZES[seed as usize % SIZES.len()];
        let dims = Dims::new(steps * n, c, h, w);
        let y_dims = if kind == 2 { Dims { n, ..dims } } else { dims };
        let count = if kind == 1 { 2 } else { 1 };
        let affine = (0..count)
            .map(|_| AffineCase::new(y_dims, if kind == 4 { 1e4 } else { 0.0 }, &mut rng))
            .collect();
        let spikes = (kind == 0).then(|| rng.spikes(dims.len(), 0.3).iter().map(|&x| x as f32).collect());
        let e = (0..dims.len()).map(|_| rng.normal() as f32).collect();
        let mut case = Self { dims, steps, affine, spikes, e };
        case.avoid_jumps(lif, &mut rng);
        case
    }

    /// Input currents, time outermost.
    pub fn current(&self) -> Vec<f64> {
        let of = |i: usize| {
            let affine: f64 = self.affine.iter().map(|a| a.current(i)).sum();
            affine + self.spikes.as_ref().map_or(0.0, |s| f64::from(s[i]))
        };
        (0..self.dims.len()).map(of).collect()
    }

    /// Draws the inputs of neurons again whose membrane comes near a threshold or a kink.
    fn avoid_jumps(&mut self, lif: &Lif, rng: &mut Rng) {
        let mut jumps = lif.surrogate.kinks();
        jumps.push(0.0);
        for _ in 0..100 {
            let mut clean = true;
            let x = self.current();
            for mode in [Activation::Spike, Activation::Smooth] {
                let u = lif.forward(&x, self.steps, mode).u;
                for (i, u) in u.iter().enumerate() {
                    let d = u - lif.threshold;
                    // Zero is where the ReLU twin turns.
                    let near = jumps.iter().any(|k| (d - k).abs() < MARGIN) || x[i].abs() < MARGIN;
                    if near {
                        clean = false;
                        self.affine[0].draw(i, rng);
                    }
                }
            }
            if clean {
                return;
            }
        }
        panic!("no inputs away from every jump after 100 draws");
    }
}
