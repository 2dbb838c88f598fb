//! Dropout: in training, each number of a sample is 0 with probability p at every time step alike, and else 1/(1 − p) times
//! itself; in evaluation all numbers stay as they are.
//!
//! ```text
//! y[t] = mask · x[t] / (1 − p)        ∂L/∂x[t] = mask · ∂L/∂y[t] / (1 − p)        mask: 1 with probability 1 − p
//! ```
//! A sample's mask follows from the run's seed, the step, the pass within the step, the layer and the sample's place in the
//! batch ([`crate::graph::Draw`]) alone: it is the same for any number of threads, and after a run is resumed.

use crate::graph::{
    Builder, Execution, Node, Op, OpBytes, OpSpec, Output, Read, Setting, Settings, Value, ValueId,
};
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::memory::NoMemory;
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Block, Dims, LANES, Spikes};

/// The first word of the masks' random streams.
const MASK_STREAM: u64 = 0x6d61_736b;

/// Sets numbers to 0 in training, each with probability p, the same ones at every time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    p: f32,
}

impl Dropout {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "dropout";

    /// Drops each number with probability `p`, from 0 to less than 1.
    pub fn new(p: f32) -> Self {
        Self { p }
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        Ok(Self { p: settings.need("p")? })
    }
}

impl OpSpec for Dropout {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        Settings::from([("p", Setting::number(self.p))])
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        if !(0.0..1.0).contains(&self.p) {
            return Err(node.error(format!("p is {}, must be at least 0 and less than 1", self.p)));
        }
        let from = builder.value(node.only_input()?)?;
        let dims = builder.dims(from);
        let to = builder.dense(dims)?;
        let mask = Spikes::planned(Dims { n: builder.batch(), ..dims });
        builder.push(DropoutOp { name: node.name.to_string(), p: self.p, from, to, mask })
    }
}

#[derive(Debug)]
struct DropoutOp {
    name: String,
    p: f32,
    from: ValueId,
    to: ValueId,
    /// A bit for each number of a sample: whether it stays.
    mask: Spikes,
}

impl DropoutOp {
    /// Draws the masks of all samples.
    fn draw(&mut self, run: &mut Execution) {
        let (draw, layer, d) = (run.context.draw, self.to.index() as u64, self.mask.dims());
        let samples = self.mask.words_mut().chunks_mut(d.image_blocks()).enumerate();
        run.workers.run(samples, |(sample, words), _| {
            let words_of_key = [MASK_STREAM, draw.seed, draw.step, draw.pass, layer, sample as u64];
            let mut rng = Rng::keyed(&words_of_key);
            for (block, plane) in words.chunks_mut(d.pixels()).enumerate() {
                let lanes = (d.c - block * LANES).min(LANES);
                for word in plane {
                    *word = (0..lanes).map(|lane| u16::from(rng.uniform() >= self.p) << lane).sum();
                }
            }
        });
    }

    /// Sets `to` to the numbers of `from` that stay, times their factor.
    fn mask(&self, from: &Value, to: &mut [Block]) {
        let scale = 1.0 / (1.0 - self.p);
        let words = self.mask.words().iter().cycle();
        for (at, (to, &mask)) in to.iter_mut().zip(words).enumerate() {
            to.0 = keep(from.lanes(at), mask, scale);
        }
    }
}

/// Sixteen numbers times a factor where a bit is set, 0 elsewhere.
fn keep(x: [f32; LANES], mask: u16, scale: f32) -> [f32; LANES] {
    std::array::from_fn(|lane| if mask >> lane & 1 == 1 { scale * x[lane] } else { 0.0 })
}

impl Op for DropoutOp {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<Read> {
        vec![Read::new(self.from)]
    }

    fn writes(&self) -> ValueId {
        self.to
    }

    fn forward(&mut self, run: &mut Execution) {
        if run.context.training {
            self.draw(run);
        }
        let Value::Dense(mut y) = run.values.take(self.to) else { return };
        let x = run.values.get(self.from);
        match run.context.training {
            true => self.mask(x, y.blocks_mut()),
            false => y.blocks_mut().iter_mut().enumerate().for_each(|(at, y)| y.0 = x.lanes(at)),
        }
        run.values.put(self.to, Value::Dense(y));
    }

    fn backward(&mut self, run: &mut Execution) {
        let Some(mut dx) = run.gradients.take_to_overwrite(self.from) else { return };
        let dy = Value::Dense(run.gradients.take(self.to));
        self.mask(&dy, dx.blocks_mut());
        if let Value::Dense(dy) = dy {
            run.gradients.put(self.to, dy);
        }
        run.gradients.put_overwritten(self.from, dx);
    }

    fn allocate(&mut self) -> Result<(), NoMemory> {
        self.mask.allocate()
    }

    fn bytes(&self) -> OpBytes {
        OpBytes { saved: self.mask.bytes(), workspace: 0 }
    }

    /// In evaluation, for which operations are counted, spikes stay spikes.
    fn only_reorders(&self) -> bool {
        true
    }
}
