//! Convolution of spikes: every kernel at every level against the f64 reference, within the bound of its sums.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spikegrad_tensor::conv::{Conv, ConvConfig, SpikeKernel};
use spikegrad_tensor::rng::Rng;
use spikegrad_tensor::{Dims, Level, Spikes, Tensor, Workers};
use spikegrad_testkit::check::{Tolerance, assert_close, magnitudes, widen};
use spikegrad_testkit::conv as reference;

fuzz_target!(|input: ([u8; 8], u64, u8)| {
    let ([n, ci, h, w, co, k, stride, pad], seed, density) = input;
    let side = |x: u8, most: u8| usize::from(x % most) + 1;
    let dims = Dims::new(side(n, 3), side(ci, 40), side(h, 12), side(w, 12));
    let kernel = side(k, 5);
    let config = ConvConfig {
        out_channels: side(co, 40),
        kernel,
        stride: side(stride, 4),
        padding: usize::from(pad) % (kernel + 1),
        ..ConvConfig::default()
    };
    let mut rng = Rng::new(seed);
    let share = f32::from(density) / 255.0;
    let x: Vec<f32> = (0..dims.len()).map(|_| f32::from(u8::from(rng.uniform() < share))).collect();
    let spikes = Spikes::from_tensor(&Tensor::from_nchw(dims, &x).expect("as many numbers"));
    let shape = reference::Conv {
        n: dims.n,
        ci: dims.c,
        h: dims.h,
        w: dims.w,
        co: config.out_channels,
        k: kernel,
        stride: config.stride,
        pad: config.padding,
    };
    let mut workers = Workers::new();
    for level in Level::available() {
        let Ok(plan) = Conv::plan(dims, config, level) else { return };
        let weight: Vec<f32> = {
            let mut rng = Rng::new(seed ^ 1);
            (0..plan.weight_len()).map(|_| rng.normal()).collect()
        };
        let (wide, bits) = (widen(&weight), widen(&x));
        let want = reference::conv_forward(&shape, &bits, &wide);
        let magnitude = reference::conv_forward(&shape, &bits, &magnitudes(&wide));
        let tolerance = Tolerance::Dot { k: dims.c * kernel * kernel, magnitude: &magnitude };
        for spike_kernel in [SpikeKernel::Lookup, SpikeKernel::Sparse] {
            let conv = plan.clone().with_spike_kernel(spike_kernel);
            let mut y = Tensor::zeros(conv.output());
            conv.forward_spikes(&spikes, &weight, &mut y, &mut workers);
            assert_close(&format!("{level} {spike_kernel:?}"), &y.to_nchw(), &want, tolerance);
        }
    }
});
