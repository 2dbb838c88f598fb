//! Batch norms that tell the time steps apart.
//!
//! ```text
//! z[t] = A[t]·x̂[t] + B[t]      x̂[t] = (y[t] − mean)·inv_std
//! dy[t] = inv_std·(A[t]·dz[t] − Σ A·Σdz / M − x̂·Σ A·Σ(dz·x̂) / M)
//! ```
//!
//! | norm | mean, inv_std over | A\[t\] | B\[t\] | source |
//! |---|---|---|---|---|
//! | step-bn | each step | γ | β | a batch norm called step by step |
//! | BNTT | each step | γ\[t\] | 0 | Kim & Panda 2021, arXiv:2010.01729 |
//! | TEBN | all steps | γ·p\[t\] | β·p\[t\] | Duan et al. 2022 |
//!
//! StepSums run over the images that share the statistics, M of them and their pixels. Where one frame serves every step, y has
//! no time: dy is the sum over the steps.

use super::conv_norm::{ConvNorm, NormRanges};
use crate::Params;
use crate::graph::Execution;
use spikegrad_tensor::norm::{MOMENTUM, backward_affine};
use spikegrad_tensor::{LANES, Tensor};

impl NormRanges {
    /// γ of a channel at step t.
    fn gamma_at(&self, t: usize, c: usize, channels: usize) -> usize {
        let rows = self.gamma.len() / channels;
        self.gamma.start + t % rows * channels + c
    }

    /// The place of p\[t\].
    fn scale_at(&self, t: usize) -> Option<usize> {
        self.factors().map(|p| p.start + t)
    }

    /// A\[t\] without γ: the norm's gain and p\[t\].
    fn gain_at(&self, t: usize, weights: &[f32]) -> f32 {
        self.gain * self.scale_at(t).map_or(1.0, |at| weights[at])
    }
}

/// StepSums of one channel at one step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepSums {
    /// Σdz.
    plain: f64,
    /// Σdz·x̂.
    hat: f64,
}

impl ConvNorm {
    /// Computes y, its statistics and a row of the affine map for each step.
    pub(super) fn forward_steps(&mut self, norm: &NormRanges, run: &mut Execution) {
        self.convolve(run);
        self.y.save(run);
        let (rows, lanes) = (self.statistic_rows(), self.lanes());
        let d = self.y.tensor.dims();
        let frames = d.n / run.context.batch;
        if run.context.training {
            let groups = rows.min(frames);
            self.statistics.measure_groups(&self.y.tensor, groups, run.context.level, &mut run.workers);
            for numbers in [&mut self.statistics.mean, &mut self.statistics.inv_std, &mut self.statistics.var]
            {
                (groups..rows).for_each(|row| numbers.copy_within(..lanes, row * lanes));
            }
        }
        let Params { weights, buffers, .. } = &mut *run.params;
        let images = if rows == 1 { run.context.steps } else { 1 } * run.context.batch;
        for row in 0..rows {
            let of_row =
                |range: &std::ops::Range<usize>| range.start + row * d.c..range.start + (row + 1) * d.c;
            let (mean, var) = super::params::two(buffers, &of_row(&norm.mean), &of_row(&norm.var));
            let bias = self.bias.as_ref().map(|bias| &weights[bias.clone()]);
            if run.context.training {
                self.statistics.update_running_at(row * lanes, images * d.pixels(), mean, var);
                let biases = mean.iter_mut().zip(bias.unwrap_or_default());
                biases.for_each(|(mean, bias)| *mean += MOMENTUM * bias);
            } else {
                self.statistics.set_at(row * lanes, mean, var);
                let means = self.statistics.mean[row * lanes..].iter_mut();
                means.zip(bias.unwrap_or_default()).for_each(|(mean, bias)| *mean -= bias);
            }
        }
        for t in 0..self.rows {
            let gain = norm.gain_at(t, weights);
            for c in 0..d.c {
                let inv_std = self.statistics.inv_std[t % rows * lanes + c];
                self.scale[t * lanes + c] = weights[norm.gamma_at(t, c, d.c)] * gain * inv_std;
                let beta = norm.beta.as_ref().map_or(0.0, |beta| weights[beta.start + c]);
                self.shift[t * lanes + c] = beta * norm.scale_at(t).map_or(1.0, |at| weights[at]);
            }
        }
    }

    /// From ∂L/∂z and a row of its sums for each step to the gradients of γ, β and p; y becomes ∂L/∂y.
    pub(super) fn backward_steps(
        &mut self,
        norm: &NormRanges,
        dz: &Tensor,
        (sum, sum_centred): (&[f64], &[f64]),
        run: &mut Execution,
    ) {
        let d = self.y.tensor.dims();
        let (rows, lanes) = (self.statistic_rows(), self.lanes());
        let is_still = d.n == run.context.batch && run.context.steps > 1;
        let images = if rows == 1 { d.n } else { run.context.batch };
        let count = (images * d.pixels()) as f64;
        let mut sums = std::mem::take(&mut self.step_sums);
        for c in 0..d.c {
            let inv_std = |t: usize| f64::from(self.statistics.inv_std[t % rows * lanes + c]);
            for (t, sums) in sums.iter_mut().enumerate() {
                let at = t * lanes + c;
                *sums = StepSums { plain: sum[at], hat: inv_std(t) * sum_centred[at] };
            }
            add_gradients(norm, (c, d.c), &sums, &mut run.params);
            // Σ A·Σdz and Σ A·Σ(dz·x̂) over all steps, where they share the statistics or y.
            let a = |t: usize| f64::from(self.scale[t * lanes + c]);
            let total = sums.iter().enumerate().fold(StepSums::default(), |total, (t, sums)| StepSums {
                plain: total.plain + a(t) * sums.plain,
                hat: total.hat + a(t) * sums.hat,
            });
            let rows_of_y = if is_still { 1 } else { self.rows };
            for (t, sums) in sums.iter().enumerate().take(rows_of_y) {
                let own = StepSums { plain: a(t) * sums.plain, hat: a(t) * sums.hat };
                let StepSums { plain, hat } = if is_still || rows == 1 { total } else { own };
                let affine = &mut self.coefficients[t * d.blocks() + c / LANES];
                affine.a.0[c % LANES] = if is_still { 1.0 } else { self.scale[t * lanes + c] };
                affine.mean.0[c % LANES] = self.statistics.mean[t % rows * lanes + c];
                affine.b.0[c % LANES] = (-inv_std(t) * hat / count) as f32;
                affine.c.0[c % LANES] = (-plain / count) as f32;
            }
        }
        self.step_sums = sums;
        if is_still {
            self.fold(dz);
            let coefficients = &self.coefficients[..d.blocks()];
            let (dz, y) = (&self.folded, &mut self.y.tensor);
            backward_affine(coefficients, dz, y, run.context.level, &mut run.workers);
        } else {
            let y = &mut self.y.tensor;
            backward_affine(&self.coefficients, dz, y, run.context.level, &mut run.workers);
        }
    }

    /// StepSums scale\[t\]·dz\[t\] over the steps.
    fn fold(&mut self, dz: &Tensor) {
        let (d, lanes) = (self.folded.dims(), self.lanes());
        self.folded.blocks_mut().fill(Default::default());
        for (t, frame) in dz.blocks().chunks(d.n * d.image_blocks()).enumerate() {
            let scales = &self.scale[t * lanes..][..lanes];
            for (at, (sum, dz)) in self.folded.blocks_mut().iter_mut().zip(frame).enumerate() {
                let block = at / d.pixels() % d.blocks();
                let scales = &scales[block * LANES..][..LANES];
                sum.0.iter_mut().zip(dz.0).zip(scales).for_each(|((sum, dz), scale)| *sum += scale * dz);
            }
        }
    }
}

/// Adds to the gradients of γ, β and p from the sums of one channel at every step.
fn add_gradients(norm: &NormRanges, (c, channels): (usize, usize), sums: &[StepSums], params: &mut Params) {
    let Params { weights, grads, .. } = params;
    for (t, StepSums { plain, hat }) in sums.iter().enumerate() {
        let p = norm.scale_at(t).map_or(1.0, |at| f64::from(weights[at]));
        let gamma = norm.gamma_at(t, c, channels);
        grads[gamma] += (f64::from(norm.gain) * p * hat) as f32;
        if let Some(beta) = &norm.beta {
            grads[beta.start + c] += (p * plain) as f32;
        }
        if let Some(at) = norm.scale_at(t) {
            let beta = norm.beta.as_ref().map_or(0.0, |beta| f64::from(weights[beta.start + c]));
            grads[at] += (f64::from(weights[gamma]) * f64::from(norm.gain) * hat + beta * plain) as f32;
        }
    }
}
