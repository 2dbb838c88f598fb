//! `spikegrad film`: an image data set becomes recordings of events, filmed by a simulated camera.

use crate::host::Terminal;
use crate::interrupt;
use clap::Args;
use spikegrad::data::Source;
use spikegrad::data::events::Camera;
use spikegrad_lab::film::{FilmPlan, Format, film};
use spikegrad_lab::{Error, Result};
use std::path::PathBuf;

/// What `film` takes.
#[derive(Args, Clone, Debug)]
pub struct FilmArgs {
    /// Images: cifar10:DIR, cifar100:DIR, mnist:DIR or synthetic:shapes
    #[arg(long, value_name = "NAME[:DIR]", default_value = "synthetic:shapes")]
    data: Source,
    /// Folder to write, new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Format: aedat2 (DVS128, as CIFAR10-DVS), nmnist (five bytes an event), evt2 or dat
    #[arg(long, value_name = "NAME", default_value = "aedat2")]
    format: Format,
    /// Film the first N training images; default: all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Film the first N test images; default: all
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Rows and columns of the camera
    #[arg(long, value_name = "N", default_value_t = 128)]
    size: usize,
    /// How often the image goes round its closed way
    #[arg(long, value_name = "N", default_value_t = 2)]
    loops: usize,
    /// Milliseconds of each of the four legs of the way
    #[arg(long, value_name = "MS", default_value_t = 50)]
    leg_ms: u64,
    /// How far a leg goes in each direction, as a share of the camera's side
    #[arg(long, value_name = "SHARE", default_value_t = 0.0625)]
    reach: f32,
    /// Change of the logarithm of brightness that makes an event
    #[arg(long, value_name = "THETA", default_value_t = 0.2)]
    threshold: f32,
    /// Standard deviation of that threshold between pixels
    #[arg(long, value_name = "SD", default_value_t = 0.02)]
    mismatch: f32,
    /// Microseconds for which a pixel is silent after an event
    #[arg(long, value_name = "US", default_value_t = 100)]
    refractory_us: u64,
    /// Noise events of a pixel each second
    #[arg(long, value_name = "HZ", default_value_t = 0.1)]
    noise_hz: f32,
    /// Microseconds between two looks at the scene
    #[arg(long, value_name = "US", default_value_t = 1000)]
    step_us: u64,
    /// Seed of noise and mismatch
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Films.
///
/// # Errors
/// Settings that make no sense or that the format cannot hold, bad images, a folder in use, or a file that cannot be
/// written.
pub fn run(args: FilmArgs) -> Result<()> {
    let FilmArgs { threshold, mismatch, refractory_us, noise_hz, step_us, .. } = args;
    let camera = Camera { threshold, mismatch, refractory: refractory_us, noise: noise_hz, step: step_us };
    let FilmArgs { data: source, out, format, limit, test_limit, size, loops, leg_ms, reach, seed, .. } =
        args;
    interrupt::listen()?;
    let plan = FilmPlan { source, out, format, limit, test_limit, size, loops, leg_ms, reach, camera, seed };
    if film(&plan, &Terminal::new())? { Ok(()) } else { Err(Error::Stopped) }
}
