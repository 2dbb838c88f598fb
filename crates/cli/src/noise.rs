//! The flags that say which noise a net is scored under.

use clap::Args;
use spikegrad::data::{Space, Spread};
use spikegrad_lab::robustness::NoiseConfig;

/// What the noise is.
#[derive(Args, Clone, Debug, Default)]
pub struct NoiseFlags {
    /// Some of gaussian,salt-and-pepper
    #[arg(long = "noise", value_name = "LIST", help_heading = "Noise")]
    kinds: Option<String>,
    /// Levels, as 0.02,0.1; default: ten from 0.02 to 0.1
    #[arg(long = "noise-levels", value_name = "LIST", help_heading = "Noise")]
    levels: Option<String>,
    /// Where Gaussian noise is added: pixel (0 to 1, cut) or normalised
    #[arg(long = "noise-space", value_name = "NAME", help_heading = "Noise")]
    space: Option<Space>,
    /// What a Gaussian level is: sigma or variance
    #[arg(long = "noise-spread", value_name = "NAME", help_heading = "Noise")]
    spread: Option<Spread>,
    /// How often each level is drawn
    #[arg(id = "noise_seeds", long = "noise-seeds", value_name = "N", help_heading = "Noise")]
    seeds: Option<u64>,
}

impl From<NoiseFlags> for NoiseConfig {
    fn from(flags: NoiseFlags) -> Self {
        let NoiseFlags { kinds, levels, space, spread, seeds } = flags;
        Self { kinds, levels, space, spread, seeds }
    }
}
