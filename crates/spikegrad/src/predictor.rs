//! Prediction on a stream, one time step at a time.

use crate::inputs::{check_input, check_logits};
use crate::{BatchError, Error, Trainer, files};
use spikegrad_models::ops::Kinds;
use spikegrad_models::{Net, NetConfig, Stream};
use spikegrad_tensor::Level;
use std::path::Path;

/// A net that reads streams step by step; the state of a stream is the caller's.
///
/// A step takes a frame, charges every neuron once, and gives logits; after [`Predictor::stream`] nothing is allocated
/// any more. Frames may differ (an event camera) or stay the same (a still image): T steps on one image are what a
/// trainer of T steps predicts.
///
/// ```
/// use spikegrad::prelude::*;
///
/// let net = NetConfig::new(NetKind::Mlp, 1, 4, 4, 3).scale(0.25).timesteps(4);
/// let mut trainer = Trainer::new(TrainConfig::new(net).batch(1), Level::detect()?)?;
/// let image = [0.5; 16];
/// let want = trainer.predict(&image)?;
///
/// let mut predictor = Predictor::of(&trainer, 1)?;
/// let mut stream = predictor.stream();
/// for _ in 0..4 {
///     predictor.step(&image, &mut stream)?;
/// }
/// assert_eq!(stream.mean_logits(), want);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Predictor {
    net: Net,
    /// As it was asked for: with the time steps that its weights were trained for.
    config: NetConfig,
}

impl Predictor {
    /// Plans a net for frames of `batch` streams side by side; its weights are zero until they are loaded.
    ///
    /// # Errors
    /// A hyper-parameter or a size makes no sense, or the net needs more memory than there is.
    pub fn new(net: &NetConfig, batch: usize, level: Level) -> Result<Self, Error> {
        Ok(Self { net: Net::plan_prediction(&Net::stepwise(net), batch, level)?, config: net.clone() })
    }

    /// Opens a file of weights that a trainer wrote, for frames of `batch` streams side by side.
    ///
    /// # Errors
    /// As [`files::net_of`] and [`Predictor::load_weights`].
    pub fn open(path: impl AsRef<Path>, batch: usize, level: Level) -> Result<Self, Error> {
        Self::open_with(path, &Kinds::default(), batch, level)
    }

    /// As [`Predictor::open`], with ops of one's own.
    ///
    /// # Errors
    /// As [`Predictor::open`].
    pub fn open_with(
        path: impl AsRef<Path>,
        kinds: &Kinds,
        batch: usize,
        level: Level,
    ) -> Result<Self, Error> {
        let (net, _) = files::net_of(&path, kinds)?;
        let mut predictor = Self::new(&net, batch, level)?;
        predictor.load_weights(path)?;
        Ok(predictor)
    }

    /// Copies a trainer's net as it stands, at the trainer's level.
    ///
    /// # Errors
    /// A batch of 0.
    pub fn of(trainer: &Trainer, batch: usize) -> Result<Self, Error> {
        let mut predictor = Self::new(&trainer.config.net, batch, trainer.level)?;
        let (from, to) = (trainer.net.params(), predictor.net.params_mut());
        to.weights.copy_from_slice(&from.weights);
        to.buffers.copy_from_slice(&from.buffers);
        Ok(predictor)
    }

    /// Reads weights and running estimates, under PyTorch's or the authors' names.
    ///
    /// # Errors
    /// As [`Trainer::load_weights`], but for the time steps of a predictor that was made for one; the predictor is then
    /// unchanged.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        files::load_weights(&mut self.net, &self.config, path.as_ref())
    }

    /// Makes another predictor that holds the weights together with this one, for another thread: memory is that of the
    /// activations of one step.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let mut own = Self::new(&self.config, self.net.batch(), self.net.level())?;
        own.net.share_params(&self.net);
        Ok(own)
    }

    /// Begins a stream.
    ///
    /// # Panics
    /// There is no memory for the membranes; [`Predictor::try_stream`] returns an error instead.
    pub fn stream(&self) -> Stream {
        self.net.stream().expect("a net of one step, and memory for its membranes")
    }

    /// Begins a stream, where there is memory for it.
    ///
    /// # Errors
    /// There is no memory for the membranes.
    pub fn try_stream(&self) -> Result<Stream, Error> {
        Ok(self.net.stream()?)
    }

    /// Takes a stream one step further with a frame (batch·C·H·W) and returns the step's logits (batch·classes);
    /// [`Stream::mean_logits`] has their mean. Membranes and sums in `stream` are overwritten; nothing is allocated.
    ///
    /// # Errors
    /// A frame of the wrong size, a pixel that is not finite or beyond ±1e15, a number other than 0 and 1 where the net
    /// reads spikes, or the stream of another net; the stream is then unchanged. Logits that are not finite, of weights
    /// too large for an `f32`: the stream is then at its beginning, for its membranes mean nothing any more.
    pub fn step(&mut self, frame: &[f32], stream: &mut Stream) -> Result<&[f32], Error> {
        let (found, expected) = (frame.len(), self.net.images_len());
        if found != expected {
            return Err(BatchError::FrameSize { found, expected }.into());
        }
        if !self.net.accepts(stream) {
            return Err(BatchError::ForeignStream.into());
        }
        check_input(self.net.config(), frame)?;
        let classes = self.net.config().classes;
        if let Err(error) = check_logits(self.net.step(frame, stream), classes) {
            stream.reset();
            return Err(error);
        }
        Ok(self.net.mean_logits())
    }

    /// The planned net.
    pub fn net(&self) -> &Net {
        &self.net
    }
}
