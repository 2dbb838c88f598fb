//! The layers and losses as operations on the tape; each calls the reference of the same name.

use super::{Tape, Var};
use crate::conv::{Conv, bias_forward, bias_grad, conv_forward, conv_input_grad, conv_weight_grad};
use crate::linear::{Linear, linear_bias_grad, linear_forward, linear_input_grad, linear_weight_grad};
use crate::lipschitz::{lipschitz_grad, lipschitz_value};
use crate::loss::{self, cross_entropy};
use crate::norm::{EPS, Norm, norm_apply, norm_apply_backward, norm_backward, norm_forward};
use crate::pool::{Pool, avg_pool_backward, avg_pool_forward, global_avg_backward, global_avg_forward};

/// A gradient times the number that arrived at a scalar output.
fn scaled(grad: &[f64], g: f64) -> Vec<f64> {
    grad.iter().map(|v| v * g).collect()
}

/// Mean and biased variance of each channel, beside the normalised values.
pub struct NormVars {
    /// The normalised values.
    pub y: Var,
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Biased variance of each channel.
    pub var: Vec<f64>,
}

impl Tape {
    /// Convolution of `x` (n × ci × h × w) with `wt` (co × ci × k × k).
    ///
    /// # Panics
    /// The shapes do not agree.
    pub fn conv(&mut self, x: Var, wt: Var, stride: usize, pad: usize) -> Var {
        let (xs, ws) = (self.shape(x), self.shape(wt));
        assert_eq!(xs[1], ws[1], "input channels");
        let conv = Conv { n: xs[0], ci: xs[1], h: xs[2], w: xs[3], co: ws[0], k: ws[2], stride, pad };
        let (vx, vw) = (self.rc(x), self.rc(wt));
        let shape = vec![conv.n, conv.co, conv.out_h(), conv.out_w()];
        self.push(shape, conv_forward(&conv, &vx, &vw), move |g| {
            vec![(x, conv_input_grad(&conv, g, &vw)), (wt, conv_weight_grad(&conv, &vx, g))]
        })
    }

    /// Adds `bias` (c) to every channel of `x` (n × c × …).
    pub fn channel_bias(&mut self, x: Var, bias: Var) -> Var {
        let planes = self.norm_sizes(x);
        let y = bias_forward(planes.hw, self.value(x), self.value(bias));
        self.push(self.shape(x).to_vec(), y, move |g| {
            vec![(x, g.to_vec()), (bias, bias_grad(planes.c, planes.hw, g))]
        })
    }

    /// Sizes of the normalisation of `x` (n × c × …).
    pub fn norm_sizes(&self, x: Var) -> Norm {
        let shape = self.shape(x);
        Norm { n: shape[0], c: shape[1], hw: shape[2..].iter().product(), eps: EPS }
    }

    /// Batch normalisation of `x` (n × c × …) with the batch's statistics.
    pub fn batch_norm(&mut self, x: Var, gamma: Var, beta: Var) -> NormVars {
        let norm = self.norm_sizes(x);
        let (vx, vgamma) = (self.rc(x), self.rc(gamma));
        let out = norm_forward(&norm, &vx, &vgamma, self.value(beta));
        let (mean, var) = (out.mean.clone(), out.var.clone());
        let y = self.push(self.shape(x).to_vec(), out.y, move |g| {
            let d = norm_backward(&norm, &vx, &vgamma, (&out.mean, &out.var), g);
            vec![(x, d.x), (gamma, d.gamma), (beta, d.beta)]
        });
        NormVars { y, mean, var }
    }

    /// Normalisation of `x` (n × c × …) with the given statistics.
    pub fn norm_with(&mut self, x: Var, gamma: Var, beta: Var, mean: Vec<f64>, var: Vec<f64>) -> Var {
        let norm = self.norm_sizes(x);
        let (vx, vgamma) = (self.rc(x), self.rc(gamma));
        let y = norm_apply(&norm, &vx, &vgamma, self.value(beta), &mean, &var);
        self.push(self.shape(x).to_vec(), y, move |g| {
            let d = norm_apply_backward(&norm, &vx, &vgamma, (&mean, &var), g);
            vec![(x, d.x), (gamma, d.gamma), (beta, d.beta)]
        })
    }

    /// Average pooling of `x` (n × c × h × w).
    pub fn avg_pool(&mut self, x: Var, k: usize, stride: usize) -> Var {
        let shape = self.shape(x);
        let pool = Pool { planes: shape[0] * shape[1], h: shape[2], w: shape[3], k, stride };
        let shape = vec![shape[0], shape[1], pool.out_h(), pool.out_w()];
        let y = avg_pool_forward(&pool, self.value(x));
        self.push(shape, y, move |g| vec![(x, avg_pool_backward(&pool, g))])
    }

    /// Global average pooling: (n × c × h × w) to (n × c).
    pub fn global_pool(&mut self, x: Var) -> Var {
        let shape = self.shape(x);
        let hw = shape[2] * shape[3];
        let shape = vec![shape[0], shape[1]];
        let y = global_avg_forward(self.value(x), hw);
        self.push(shape, y, move |g| vec![(x, global_avg_backward(g, hw))])
    }

    /// Fully connected layer: `x` (n × inputs), `wt` (outputs × inputs), `bias` (outputs).
    ///
    /// # Panics
    /// The shapes do not agree.
    pub fn linear(&mut self, x: Var, wt: Var, bias: Var) -> Var {
        let (xs, ws) = (self.shape(x), self.shape(wt));
        assert_eq!(xs[1], ws[1], "input features");
        let linear = Linear { n: xs[0], inputs: xs[1], outputs: ws[0] };
        let (vx, vw) = (self.rc(x), self.rc(wt));
        let y = linear_forward(&linear, &vx, &vw, self.value(bias));
        self.push(vec![linear.n, linear.outputs], y, move |g| {
            vec![
                (x, linear_input_grad(&linear, g, &vw)),
                (wt, linear_weight_grad(&linear, &vx, g)),
                (bias, linear_bias_grad(&linear, g)),
            ]
        })
    }

    /// Mean over `steps` equal parts of the outermost axis.
    pub fn mean_over_time(&mut self, a: Var, steps: usize) -> Var {
        let mut shape = self.shape(a).to_vec();
        shape[0] /= steps;
        let value = loss::mean_over_time(self.value(a), steps);
        self.push(shape, value, move |g| vec![(a, scaled(&g.repeat(steps), 1.0 / steps as f64))])
    }

    /// Cross-entropy of `logits` (n × classes), mean over n.
    pub fn cross_entropy(&mut self, logits: Var, labels: &[usize], smoothing: f64) -> Var {
        let classes = self.shape(logits)[1];
        let (value, grad) = cross_entropy(self.value(logits), labels, classes, smoothing);
        self.push(vec![1], vec![value], move |g| vec![(logits, scaled(&grad, g[0]))])
    }

    /// TET loss of `outputs` (steps · n × classes), with λ and φ.
    pub fn tet(
        &mut self,
        outputs: Var,
        steps: usize,
        labels: &[usize],
        smoothing: f64,
        tet: (f64, f64),
    ) -> Var {
        let classes = self.shape(outputs)[1];
        let (value, grad) = loss::tet(self.value(outputs), steps, labels, classes, smoothing, tet);
        self.push(vec![1], vec![value], move |g| vec![(outputs, scaled(&grad, g[0]))])
    }

    /// `(β/2)·‖W Wᵀ − I‖²_F` of a weight whose outermost axis is its outputs.
    pub fn lipschitz(&mut self, wt: Var, beta: f64) -> Var {
        let rows = self.shape(wt)[0];
        let value = lipschitz_value(self.value(wt), rows, beta);
        let grad = lipschitz_grad(self.value(wt), rows, beta);
        self.push(vec![1], vec![value], move |g| vec![(wt, scaled(&grad, g[0]))])
    }
}
