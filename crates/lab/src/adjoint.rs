//! The adjoint identities of the convolution kernels: ⟨W ∗ x, g⟩ = ⟨x, dx⟩ = ⟨W, dW⟩ for any x, W, g.
//!
//! They tie the three passes to each other without any reference: a pass that is not the transpose of another
//! shows at once.

use spikegrad::data::rng::Rng;
use spikegrad::tensor::conv::{Conv, ConvConfig};
use spikegrad::tensor::{Dims, Level, ShapeError, Spikes, Tensor, Workers};

/// One identity.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Which shape, input and pass.
    pub name: String,
    /// ⟨x, dx⟩ or ⟨W, dW⟩.
    pub got: f64,
    /// ⟨W ∗ x, g⟩.
    pub want: f64,
    /// Difference ÷ Σ|(W ∗ x)·g|, what rounding is relative to.
    pub error: f64,
}

/// (kernel, stride, padding) of the nets' convolutions.
const SHAPES: [(usize, usize, usize); 4] = [(3, 1, 1), (3, 2, 1), (1, 2, 0), (5, 1, 2)];

/// Measures both identities for each shape, on spikes and on dense images.
///
/// # Errors
/// None for these shapes; a plan's error is handed on.
pub fn identities(level: Level, seed: u64) -> Result<Vec<Identity>, ShapeError> {
    let mut rows = Vec::new();
    for (kernel, stride, padding) in SHAPES {
        let config = ConvConfig { out_channels: 37, kernel, stride, padding, ..ConvConfig::default() };
        for binary in [true, false] {
            let mut conv = Conv::plan(Dims::new(3, 19, 11, 9), config, level)?;
            rows.extend(of_conv(&mut conv, binary, seed)?);
        }
    }
    Ok(rows)
}

fn of_conv(conv: &mut Conv, binary: bool, seed: u64) -> Result<[Identity; 2], ShapeError> {
    let mut rng = Rng::new(seed);
    let mut draw = |len: usize| (0..len).map(|_| rng.normal()).collect::<Vec<f32>>();
    let (mut x, weight) = (draw(conv.input().len()), draw(conv.weight_len()));
    let g = draw(conv.output().len());
    if binary {
        x.iter_mut().for_each(|x| *x = f32::from(*x > 0.5));
    }
    let (image, gradient) = (Tensor::from_nchw(conv.input(), &x)?, Tensor::from_nchw(conv.output(), &g)?);
    let (mut y, mut dx) = (Tensor::zeros(conv.output()), Tensor::zeros(conv.input()));
    let (mut dw, mut workers) = (vec![0.0; weight.len()], Workers::new());
    if binary {
        let spikes = Spikes::from_tensor(&image);
        conv.forward_spikes(&spikes, &weight, &mut y, &mut workers);
        conv.backward_weight_spikes(&spikes, &mut gradient.clone(), &mut dw, &mut workers);
    } else {
        conv.forward_dense(&image, &weight, &mut y, &mut workers);
        conv.backward_weight_dense(&image, &gradient, &mut dw, &mut workers);
    }
    conv.backward_input(&gradient, &weight, &mut dx, false, &mut workers);
    let products: Vec<f64> = y.to_nchw().iter().zip(&g).map(|(a, b)| f64::from(*a) * f64::from(*b)).collect();
    let (want, size) = (products.iter().sum::<f64>(), products.iter().map(|p| p.abs()).sum::<f64>());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let ConvConfig { kernel, stride, .. } = conv.config();
    let what = if binary { "spikes" } else { "dense" };
    let row = |pass: &str, got: f64| {
        let name = format!("{kernel}×{kernel} stride {stride}, {what}: {pass}");
        let error = (got - want).abs() / size;
        Identity { name, got, want, error: if error.is_nan() { f64::INFINITY } else { error } }
    };
    Ok([row("input gradient", dot(&x, &dx.to_nchw())), row("weight gradient", dot(&weight, &dw))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_are_adjoint_at_every_level() {
        for level in Level::available() {
            let rows = identities(level, 3).expect("valid shapes");
            assert_eq!(rows.len(), 16, "four shapes, spikes and dense, two gradients");
            for row in &rows {
                assert!(row.error < 1e-6, "{level}: {row:?}");
                // The same number by other sums, which round otherwise.
                let off = (row.got - row.want).abs();
                assert!(off > 0.0 && row.error > 0.0 && off > row.error, "{level}: {row:?}");
            }
            for pair in rows.chunks(2) {
                assert!(pair[0].want == pair[1].want && pair[0].got != pair[1].got, "{level}: {pair:?}");
            }
        }
    }
}
