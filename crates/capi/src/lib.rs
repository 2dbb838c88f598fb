//! The C interface of spikegrad: opaque handles, error codes, no panic across the boundary.
//!
//! Every function that can fail returns a [`SpikegradStatus`]; [`spikegrad_last_error`] then has one line about it.
//! A handle belongs to whoever made it, is freed by the function of its kind, and is used by one thread at a time;
//! different handles may be used at the same time. All share one pool of threads: as many as the environment's
//! `RAYON_NUM_THREADS` says at the first call, else one a core.
//! `include/spikegrad.h` is made from this file by a test, which fails when the two differ.
//!
//! | file | what |
//! |---|---|
//! | `lib.rs` | the interface, in the order of the header |
//! | `boundary.rs` | pointers to slices and strings, panics to error codes |

mod boundary;

use boundary::{
    Fault, guard, guard_free, handle, not_null, output, reference, sized, slice, slice_mut, string,
};
use spikegrad::prelude::*;
use std::ffi::c_char;

/// What a function did.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpikegradStatus {
    /// All went well.
    Ok = 0,
    /// A pointer was null or not aligned, an array too long, text not UTF-8, or a struct of another size.
    BadArgument = 1,
    /// A hyper-parameter or a size makes no sense.
    BadConfig = 2,
    /// A file cannot be read, written or used.
    BadFile = 3,
    /// Images, labels or a frame of the wrong number or value.
    BadBatch = 4,
    /// The loss, a gradient, a weight or a logit is not finite; the trainer is as before.
    NotFinite = 5,
    /// A fault of the library itself; the handle should be freed.
    Panic = 6,
}

/// Which net.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpikegradNet {
    /// The paper's residual net.
    Resnet19 = 0,
    /// Two convolutions and three linear layers.
    Lenet = 1,
    /// Three linear layers.
    Mlp = 2,
}

/// A net and its training; `spikegrad_config_default` fills it in, its size included. A later version may add fields
/// at the end: a program built with this header goes on, for its struct says how long it is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SpikegradConfig {
    /// Bytes of this struct.
    pub struct_size: usize,
    /// Which net: a SpikegradNet.
    pub net: i32,
    /// Channels of an image.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Classes.
    pub classes: usize,
    /// Factor on the layers' widths.
    pub scale: f64,
    /// Time steps T.
    pub timesteps: usize,
    /// Share of the membrane kept from step to step.
    pub decay: f32,
    /// Threshold of the membrane.
    pub threshold: f32,
    /// Strength of surrogate gradient scaling.
    pub delta: f32,
    /// Coefficient of the Lipschitz term.
    pub beta: f32,
    /// Images a batch.
    pub batch: usize,
    /// Epochs of the cosine schedule.
    pub epochs: usize,
    /// Learning rate of Adam.
    pub lr: f32,
    /// Seed of the weights.
    pub seed: u64,
}

/// What a training step did.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SpikegradReport {
    /// Loss: cross-entropy and Lipschitz term.
    pub loss: f64,
    /// Images answered right.
    pub correct: usize,
    /// Learning rate.
    pub lr: f32,
}

/// A trainer.
pub struct SpikegradTrainer(Trainer);

/// A net that reads streams, one time step at a time.
pub struct SpikegradPredictor(Predictor);

/// The state of one stream.
pub struct SpikegradStream(Stream);

impl SpikegradConfig {
    fn train_config(&self) -> Result<TrainConfig, Fault> {
        let kind = match self.net {
            0 => NetKind::ResNet19,
            1 => NetKind::LeNet,
            2 => NetKind::Mlp,
            other => return Err(Fault::config(format!("net is {other}, must be 0, 1 or 2"))),
        };
        let (decay, threshold, delta) = (self.decay, self.threshold, self.delta);
        let lif = LifConfig::default().decay(decay).threshold(threshold).delta(delta);
        let net = NetConfig::new(kind, self.channels, self.height, self.width, self.classes);
        let net = net.scale(self.scale).timesteps(self.timesteps).lif(lif);
        let Self { batch, beta, lr, epochs, seed, .. } = *self;
        Ok(TrainConfig::new(net).batch(batch).beta(beta).lr(lr).epochs(epochs).seed(seed))
    }
}

fn level() -> Result<Level, Fault> {
    Level::detect().map_err(|why| Fault::config(why.to_string()))
}

/// The version of the library, as text: "major.minor.patch". Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn spikegrad_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Says in one line why the last function of this thread that failed did; empty before any. Valid until the next
/// failure in this thread.
#[unsafe(no_mangle)]
pub extern "C" fn spikegrad_last_error() -> *const c_char {
    boundary::last_error()
}

/// Fills a configuration in: the paper's neuron and recipe, full width, two time steps.
///
/// # Safety
/// `config` is null or points to a SpikegradConfig, which is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_config_default(
    net: i32,
    channels: usize,
    height: usize,
    width: usize,
    classes: usize,
    config: *mut SpikegradConfig,
) -> SpikegradStatus {
    guard(|| {
        let lif = LifConfig::default();
        let (decay, threshold, delta) = (lif.decay, lif.threshold, lif.delta);
        let of = TrainConfig::new(NetConfig::new(NetKind::Mlp, channels, height, width, classes));
        let value = SpikegradConfig {
            struct_size: size_of::<SpikegradConfig>(),
            net,
            channels,
            height,
            width,
            classes,
            scale: 1.0,
            timesteps: of.net.timesteps,
            decay,
            threshold,
            delta,
            beta: of.beta,
            batch: of.batch,
            epochs: of.epochs,
            lr: of.lr,
            seed: of.seed,
        };
        value.train_config()?;
        // SAFETY: the caller keeps this function's contract.
        unsafe { output(config, "config", value) }
    })
}

/// Makes a trainer and draws its weights.
///
/// # Safety
/// `config` is null or points to a SpikegradConfig, of as many bytes as its size says; `trainer` is null or points to a pointer, which is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_trainer_new(
    config: *const SpikegradConfig,
    trainer: *mut *mut SpikegradTrainer,
) -> SpikegradStatus {
    guard(|| {
        not_null(trainer, "trainer")?;
        // SAFETY: the caller keeps this function's contract.
        let config = unsafe { sized(config, "config")? }.train_config()?;
        let made = SpikegradTrainer(Trainer::new(config, level()?)?);
        // SAFETY: the caller keeps this function's contract.
        unsafe { output(trainer, "trainer", Box::into_raw(Box::new(made))) }
    })
}

/// Frees a trainer; null is let be.
///
/// # Safety
/// `trainer` is null or comes from spikegrad_trainer_new and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_trainer_free(trainer: *mut SpikegradTrainer) {
    // SAFETY: the caller keeps this function's contract.
    unsafe { guard_free(trainer) }
}

/// Takes one training step on a full batch; `progress` is the epoch that the schedule is in (3.25: a quarter into the
/// fourth).
///
/// # Safety
/// `trainer` is null or a trainer; `images` points to `images_len` numbers in the order image, channel, row, column,
/// `labels` to `labels_len` classes; `report` is null (then nothing is written) or points to a SpikegradReport.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_trainer_step(
    trainer: *mut SpikegradTrainer,
    images: *const f32,
    images_len: usize,
    labels: *const u32,
    labels_len: usize,
    progress: f64,
    report: *mut SpikegradReport,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let (trainer, images, labels) = unsafe {
            let (images, labels) =
                (slice(images, images_len, "images")?, slice(labels, labels_len, "labels")?);
            (handle(trainer, "trainer")?, images, labels)
        };
        let step = trainer.0.train_batch(images, labels, progress)?;
        if !report.is_null() {
            let value = SpikegradReport { loss: step.loss, correct: step.correct, lr: step.lr };
            // SAFETY: the caller keeps this function's contract.
            unsafe { output(report, "report", value)? };
        }
        Ok(())
    })
}

/// Writes the logits of up to a batch of images, with the running statistics.
///
/// # Safety
/// `trainer` is null or a trainer; `images` points to `images_len` numbers, `logits` to `logits_len` that are
/// overwritten: one for each image and class.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_trainer_predict(
    trainer: *mut SpikegradTrainer,
    images: *const f32,
    images_len: usize,
    logits: *mut f32,
    logits_len: usize,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let (trainer, images, logits) = unsafe {
            let (images, logits) =
                (slice(images, images_len, "images")?, slice_mut(logits, logits_len, "logits")?);
            (handle(trainer, "trainer")?, images, logits)
        };
        copy(&trainer.0.predict(images)?, logits)
    })
}

/// Writes weights and running estimates as a safetensors file under PyTorch's names.
///
/// # Safety
/// `trainer` is null or a trainer; `path` is null or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_trainer_save(
    trainer: *mut SpikegradTrainer,
    path: *const c_char,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let (trainer, path) = unsafe { (handle(trainer, "trainer")?, string(path, "path")?) };
        Ok(trainer.0.save_weights(path)?)
    })
}

/// Reads weights and running estimates from a safetensors file under PyTorch's names.
///
/// # Safety
/// `trainer` is null or a trainer; `path` is null or ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_trainer_load(
    trainer: *mut SpikegradTrainer,
    path: *const c_char,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let (trainer, path) = unsafe { (handle(trainer, "trainer")?, string(path, "path")?) };
        Ok(trainer.0.load_weights(path)?)
    })
}

/// Makes a predictor of one stream at a time with the weights of a file.
///
/// # Safety
/// `config` is null or points to a SpikegradConfig, of as many bytes as its size says; `path` is null or ends with a zero byte; `predictor` is null or
/// points to a pointer, which is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_predictor_load(
    config: *const SpikegradConfig,
    path: *const c_char,
    predictor: *mut *mut SpikegradPredictor,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let (config, path) = unsafe { (sized(config, "config")?, string(path, "path")?) };
        not_null(predictor, "predictor")?;
        let mut made = Predictor::new(&config.train_config()?.net, 1, level()?)?;
        made.load_weights(path)?;
        // SAFETY: the caller keeps this function's contract.
        unsafe { output(predictor, "predictor", Box::into_raw(Box::new(SpikegradPredictor(made)))) }
    })
}

/// Makes a predictor of one stream at a time with a copy of a trainer's weights.
///
/// # Safety
/// `trainer` is null or a trainer; `predictor` is null or points to a pointer, which is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_predictor_of(
    trainer: *mut SpikegradTrainer,
    predictor: *mut *mut SpikegradPredictor,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let trainer = unsafe { handle(trainer, "trainer")? };
        not_null(predictor, "predictor")?;
        let made = SpikegradPredictor(Predictor::of(&trainer.0, 1)?);
        // SAFETY: the caller keeps this function's contract.
        unsafe { output(predictor, "predictor", Box::into_raw(Box::new(made))) }
    })
}

/// Frees a predictor; null is let be. Its streams are freed apart.
///
/// # Safety
/// `predictor` is null or comes from this interface and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_predictor_free(predictor: *mut SpikegradPredictor) {
    // SAFETY: the caller keeps this function's contract.
    unsafe { guard_free(predictor) }
}

/// Begins a stream.
///
/// # Safety
/// `predictor` is null or a predictor; `stream` is null or points to a pointer, which is overwritten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_stream_new(
    predictor: *const SpikegradPredictor,
    stream: *mut *mut SpikegradStream,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let predictor = unsafe { reference(predictor, "predictor")? };
        not_null(stream, "stream")?;
        let made = SpikegradStream(predictor.0.try_stream()?);
        // SAFETY: the caller keeps this function's contract.
        unsafe { output(stream, "stream", Box::into_raw(Box::new(made))) }
    })
}

/// Takes a stream back to its beginning: membranes at rest.
///
/// # Safety
/// `stream` is null or a stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_stream_reset(stream: *mut SpikegradStream) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        unsafe { handle(stream, "stream")? }.0.reset();
        Ok(())
    })
}

/// Frees a stream; null is let be.
///
/// # Safety
/// `stream` is null or comes from spikegrad_stream_new and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_stream_free(stream: *mut SpikegradStream) {
    // SAFETY: the caller keeps this function's contract.
    unsafe { guard_free(stream) }
}

/// Takes a stream one time step further with a frame and writes the logits, mean over its steps so far. Nothing is
/// allocated.
///
/// # Safety
/// `predictor` is null or a predictor, `stream` null or a stream; `frame` points to `frame_len` numbers in the order
/// channel, row, column, `logits` to `logits_len` that are overwritten, one a class.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn spikegrad_predictor_step(
    predictor: *mut SpikegradPredictor,
    stream: *mut SpikegradStream,
    frame: *const f32,
    frame_len: usize,
    logits: *mut f32,
    logits_len: usize,
) -> SpikegradStatus {
    guard(|| {
        // SAFETY: the caller keeps this function's contract.
        let (predictor, stream) = unsafe { (handle(predictor, "predictor")?, handle(stream, "stream")?) };
        // SAFETY: the caller keeps this function's contract.
        let (frame, logits) =
            unsafe { (slice(frame, frame_len, "frame")?, slice_mut(logits, logits_len, "logits")?) };
        let want = stream.0.mean_logits().len();
        if logits.len() != want {
            return Err(Fault::batch(format!("room for {} logits, there are {want}", logits.len())));
        }
        predictor.0.step(frame, &mut stream.0)?;
        copy(stream.0.mean_logits(), logits)
    })
}

/// Copies logits to where the caller wants them.
fn copy(from: &[f32], to: &mut [f32]) -> Result<(), Fault> {
    if from.len() != to.len() {
        return Err(Fault::batch(format!("room for {} logits, there are {}", to.len(), from.len())));
    }
    to.copy_from_slice(from);
    Ok(())
}
