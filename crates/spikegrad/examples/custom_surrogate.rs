//! Trains with a surrogate of one's own: two functions.
//!
//! `cargo run --release --example custom_surrogate`

use spikegrad::prelude::*;
use spikegrad::tensor::rng::Rng;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A parabola: h(d) = ¾·(1 − d²) for |d| < 1, of area 1.
struct Parabola;

impl UserSurrogate for Parabola {
    fn derivative(&self, d: f32) -> f32 {
        0.75 * (1.0 - d * d).max(0.0)
    }

    /// The smooth spike of gradient checks: the integral of `derivative`, from 0 to 1.
    fn primitive(&self, d: f32) -> f32 {
        let d = d.clamp(-1.0, 1.0);
        0.5 + 0.75 * (d - d * d * d / 3.0)
    }
}

/// Trains a small net with the parabola, and with the rectangle for comparison.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The two functions must belong together: the slope of one is the other.
    for d in [-0.9f32, -0.3, 0.0, 0.4, 0.8] {
        let slope = (Parabola.primitive(d + 1e-2) - Parabola.primitive(d - 1e-2)) / 2e-2;
        // The cube's third derivative leaves 0.75·2·h²/6 = 2.5e-5, rounding 1e-5.
        assert!((slope - Parabola.derivative(d)).abs() < 1e-4, "slope at {d}");
    }
    let mut rng = Rng::new(1);
    let centres: Vec<f32> = (0..3 * 16).map(|_| rng.normal()).collect();
    for surrogate in [Surrogate::Custom(Arc::new(Parabola)), Surrogate::named("rectangle", None)?] {
        let name = format!("{surrogate:?}");
        let lif = LifConfig::default().surrogate(surrogate);
        let net = NetConfig::new(NetKind::Mlp, 1, 4, 4, 3).lif(lif).scale(0.25);
        let config = TrainConfig::new(net).batch(30).lr(5e-3).epochs(8);
        let mut trainer = Trainer::new(config, Level::detect()?)?;
        // Three clouds of points, one a class.
        let batches = |epoch: usize| {
            let (mut rng, centres) = (Rng::new(100 + epoch as u64), &centres);
            (0..20).map(move |_| {
                let labels: Vec<u32> = (0..30).map(|i| i % 3).collect();
                let point = |k: usize| centres[labels[k / 16] as usize * 16 + k % 16] + 0.8 * rng.normal();
                let images: Vec<f32> = (0..30 * 16).map(point).collect();
                (images, labels)
            })
        };
        let mut accuracy = 0.0;
        trainer.fit(0..8, batches, |_, progress| {
            if let Progress::Epoch(epoch) = progress {
                accuracy = epoch.accuracy;
            }
            ControlFlow::Continue(())
        })?;
        println!("{name}: {:.1} % right", 100.0 * accuracy);
        if accuracy < 0.9 {
            return Err(format!("{name} learned too little: {accuracy}").into());
        }
    }
    Ok(())
}
