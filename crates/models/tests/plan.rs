//! What a plan says of a net, against sums written out by hand; shapes for images whose sides no pool divides.

use spikegrad_bptt::LossConfig;
use spikegrad_models::{Init, Input, LayerReport, Net, NetConfig, NetKind, PlanReport};
use spikegrad_tensor::Level;
use spikegrad_testkit::check::narrow;
use spikegrad_testkit::rng::Rng;

const BATCH: usize = 2;

fn plan(config: &NetConfig) -> PlanReport {
    Net::plan(config, BATCH, Level::BASELINE, false).unwrap().report(2, false)
}

/// ResNet-19's learned numbers for 3 channels, with widths `w` times 64, 128, 256, 512 and 256.
///
/// A block has two 3×3 convolutions and two batch norms of two numbers a channel; the first of a stage also a 1×1
/// convolution and its batch norm.
fn resnet19_parameters(w: f64, classes: usize) -> usize {
    let [stem, a, b, c, hidden] = [64.0, 128.0, 256.0, 512.0, 256.0].map(|base| (base * w) as usize);
    let conv = |ci: usize, co: usize, k: usize| ci * co * k * k + 2 * co;
    let first = |ci: usize, co: usize| conv(ci, co, 3) + conv(co, co, 3) + conv(ci, co, 1);
    let further = |c: usize| 2 * conv(c, c, 3);
    let stages = [first(stem, a), 2 * further(a), first(a, b), 2 * further(b), first(b, c), further(c)];
    let head = c * hidden + hidden + hidden * classes + classes;
    conv(3, stem, 3) + stages.iter().sum::<usize>() + head
}

#[test]
fn resnet19_has_the_parameters_of_the_formula() {
    assert_eq!(resnet19_parameters(1.0, 10), 12_630_858, "the paper's net");
    for (width, classes) in [(1.0, 10), (0.25, 10), (0.25, 100)] {
        let config = NetConfig::new(NetKind::ResNet19, 3, 32, 32, classes).scale(width);
        let plan = plan(&config);
        let want = resnet19_parameters(width, classes);
        assert_eq!(plan.parameters, want, "width {width}, {classes} classes");
        assert_eq!(plan.layers.iter().map(|layer| layer.parameters).sum::<usize>(), want, "sum over layers");
        assert_eq!(plan.bytes.gradients, 4 * want, "a gradient for each");
        assert_eq!(plan.bytes.optimizer, 8 * want, "two moments for each");
    }
    let full = plan(&NetConfig::new(NetKind::ResNet19, 3, 32, 32, 10));
    assert_eq!((full.macs_per_step, full.neurons), (2_216_495_616, 1_376_512), "the paper's net");
}

/// Name, input numbers of an output, outputs and output pixels of each layer with weights; and all neurons.
type Shapes = (Vec<(String, usize, usize, usize)>, usize);

fn resnet19_shapes(config: &NetConfig) -> Shapes {
    let scaled = |base| config.scaled(base).unwrap();
    let (mut ci, mut h, mut w) = (scaled(64), config.height, config.width);
    let mut layers = vec![("conv1.weight".to_string(), config.channels * 9, ci, h * w)];
    let mut neurons = ci * h * w;
    for (stage, (blocks, base, stride)) in [(3, 128, 1), (3, 256, 2), (2, 512, 2)].into_iter().enumerate() {
        let co = scaled(base);
        // A 3×3 kernel with a rim of one pixel keeps every stride-th row and column, the first included.
        (h, w) = (h.div_ceil(stride), w.div_ceil(stride));
        for block in 0..blocks {
            let name = |part: &str| format!("layer{}.{block}.{part}.weight", stage + 1);
            layers.push((name("conv1"), ci * 9, co, h * w));
            layers.push((name("conv2"), co * 9, co, h * w));
            if block == 0 {
                layers.push((name("downsample.0"), ci, co, h * w));
            }
            neurons += 2 * co * h * w;
            ci = co;
        }
    }
    let hidden = scaled(256);
    layers.push(("fc1.weight".into(), ci, hidden, 1));
    layers.push(("fc2.weight".into(), hidden, config.classes, 1));
    (layers, neurons + hidden)
}

fn lenet_shapes(config: &NetConfig) -> Shapes {
    let [c1, c2, f1, f2] = [32, 64, 128, 64].map(|base| config.scaled(base).unwrap());
    let (h, w) = (config.height, config.width);
    // Pooling by 2 drops a row and a column that are left over.
    let (half, quarter) = ((h / 2) * (w / 2), (h / 2 / 2) * (w / 2 / 2));
    let layers = [
        ("conv1.weight", config.channels * 25, c1, h * w),
        ("conv2.weight", c1 * 25, c2, half),
        ("fc1.weight", c2 * quarter, f1, 1),
        ("fc2.weight", f1, f2, 1),
        ("fc3.weight", f2, config.classes, 1),
    ];
    let layers = layers.map(|(name, inputs, outputs, pixels)| (name.to_string(), inputs, outputs, pixels));
    (layers.into(), c1 * h * w + c2 * half + f1 + f2)
}

fn mlp_shapes(config: &NetConfig) -> Shapes {
    let (inputs, hidden) = (config.channels * config.height * config.width, config.scaled(256).unwrap());
    let layers = [
        ("fc1.weight", inputs, hidden, 1),
        ("fc2.weight", hidden, hidden, 1),
        ("fc3.weight", hidden, config.classes, 1),
    ];
    let layers = layers.map(|(name, inputs, outputs, pixels)| (name.to_string(), inputs, outputs, pixels));
    (layers.into(), 2 * hidden)
}

/// Convolutions of `bases`, one after the other; behind those that `halves` names the image is halved, by a pool that
/// drops what is left over, or by a stride that does not.
fn chain_shapes(config: &NetConfig, bases: &[usize], halves: fn(usize) -> bool, strided: bool) -> Shapes {
    let (mut ci, mut h, mut w) = (config.channels, config.height, config.width);
    let (mut layers, mut neurons) = (Vec::new(), 0);
    for (k, &base) in bases.iter().enumerate() {
        let co = config.scaled(base).unwrap();
        if halves(k) && strided {
            (h, w) = (h.div_ceil(2), w.div_ceil(2));
        }
        layers.push((format!("conv{}.weight", k + 1), ci * 9, co, h * w));
        neurons += co * h * w;
        if halves(k) && !strided {
            (h, w) = (h / 2, w / 2);
        }
        ci = co;
    }
    layers.push(("fc1.weight".into(), ci * h * w, config.classes, 1));
    (layers, neurons)
}

#[test]
fn vggsnn_has_the_published_size() {
    for kind in [NetKind::VggSnn, NetKind::VggSnnStride] {
        for input in [Input::Still, Input::Frames, Input::Spikes] {
            let config = NetConfig::new(kind, 2, 48, 48, 10).timesteps(10).input(input);
            let plan = Net::plan(&config, 1, Level::BASELINE, false).unwrap().report(2, false);
            assert_eq!(plan.parameters, 9_271_498, "Deng et al. 2022: {kind}");
            assert_eq!(plan.layers.iter().map(|layer| layer.parameters).sum::<usize>(), 9_271_498);
        }
    }
}

#[test]
fn every_layer_has_its_shape_for_odd_images() {
    let sides = [(8, 8), (9, 8), (8, 11), (9, 9), (11, 13), (15, 10), (17, 9), (16, 16), (18, 17), (33, 21)];
    let kinds = [
        NetKind::ResNet19,
        NetKind::LeNet,
        NetKind::Mlp,
        NetKind::VggSnn,
        NetKind::VggSnnStride,
        NetKind::EventNet,
    ];
    let vgg = [64, 128, 256, 256, 512, 512, 512, 512];
    for kind in kinds {
        let least = if matches!(kind, NetKind::VggSnn | NetKind::VggSnnStride) { 16 } else { 8 };
        for (height, width) in sides.into_iter().filter(|side| side.0.min(side.1) >= least) {
            let config = NetConfig::new(kind, 3, height, width, 5).scale(0.0625);
            let plan = plan(&config);
            let (layers, neurons) = match kind {
                NetKind::ResNet19 => resnet19_shapes(&config),
                NetKind::LeNet => lenet_shapes(&config),
                NetKind::Mlp => mlp_shapes(&config),
                NetKind::VggSnn => chain_shapes(&config, &vgg, |k| k % 2 == 1, false),
                NetKind::VggSnnStride => chain_shapes(&config, &vgg, |k| k % 2 == 1, true),
                NetKind::EventNet => chain_shapes(&config, &[32, 64, 128], |_| true, false),
                other => panic!("the shapes of {other} are not written out"),
            };
            let macs = |layer: &LayerReport| (layer.name.clone(), layer.macs);
            let got: Vec<_> = plan.layers.iter().map(macs).collect();
            let want: Vec<_> =
                layers.into_iter().map(|(name, i, o, pixels)| (name, (i * o * pixels) as u64)).collect();
            assert_eq!(got, want, "{kind} {height}×{width}");
            assert_eq!(plan.neurons, neurons, "{kind} {height}×{width}: neurons");
            runs(&config);
        }
    }
}

/// Runs a step, forward and backward, and finds every number finite.
fn runs(config: &NetConfig) {
    let mut net = Net::plan(config, BATCH, Level::BASELINE, true).unwrap();
    net.params_mut().initialise(Init::Kaiming, 3);
    net.forward(&narrow(&Rng::new(1).normals(net.images_len())), true);
    assert_eq!(net.mean_logits().len(), BATCH * config.classes);
    let loss = LossConfig::default().label_smoothing(0.1);
    let loss = net.backward(&[0, 4], &loss, 1e-4);
    assert!(loss.data_term > 0.0 && loss.lipschitz > 0.0, "{config:?}: {loss:?}");
    assert_eq!(net.first_not_finite(), None, "{config:?}");
    assert_eq!(net.input_gradient().map(|g| g.len()), Some(net.images_len()), "{config:?}");
    assert!(net.rates().iter().all(|(_, rate)| (0.0..=1.0).contains(rate)), "{config:?}: {:?}", net.rates());
}
