//! Nets by published definitions: their parameters against the formulae of the papers, names as PyTorch has them, and a
//! step of each.

use spikegrad_bptt::{LifConfig, LossConfig};
use spikegrad_models::{Init, Input, Net, NetConfig, NetKind, PlanReport};
use spikegrad_tensor::Level;
use spikegrad_testkit::check::narrow;
use spikegrad_testkit::rng::Rng;

fn plan(config: &NetConfig) -> PlanReport {
    PlanReport::of(config, 2, Level::BASELINE, 2, false).unwrap()
}

/// A convolution without bias and the two numbers a channel of its norm.
fn conv(ci: usize, co: usize, k: usize) -> usize {
    ci * co * k * k + 2 * co
}

/// A residual net of basic blocks whose stem is a 3×3 convolution: stages of so many blocks, of `base`, 2·`base`, …
/// channels, a 1×1 shortcut where the channels change.
fn resnet_parameters(base: usize, blocks: &[usize], classes: usize) -> usize {
    let (mut sum, mut ci) = (conv(3, base, 3), base);
    for (stage, &blocks) in blocks.iter().enumerate() {
        let co = base << stage;
        sum += conv(ci, co, 3) + conv(co, co, 3) + if ci == co { 0 } else { conv(ci, co, 1) };
        sum += (blocks - 1) * 2 * conv(co, co, 3);
        ci = co;
    }
    sum + ci * classes + classes
}

#[test]
fn residual_nets_have_the_published_parameters() {
    use NetKind::{
        MsResNet18, ResNet18, ResNet20, ResNet34, SewResNet18, SewResNet18And, SewResNet18Iand, SewResNet34,
        SewResNet34And, SewResNet34Iand,
    };
    let eighteen: &[_] = &[ResNet18, SewResNet18, SewResNet18And, SewResNet18Iand, MsResNet18];
    let thirty_four: &[_] = &[ResNet34, SewResNet34, SewResNet34And, SewResNet34Iand];
    // The form for 32×32 pixels. torchvision's resnet18, and SpikingJelly's sew_resnet18, of 1000 classes have 11 689 512
    // numbers and resnet34 21 797 672, of which their 7×7 stem has 3·64·(49 − 9) more.
    let stem = 3 * 64 * (49 - 9);
    for (kinds, base, blocks, ten, thousand) in [
        (eighteen, 64, &[2, 2, 2, 2][..], 11_173_962, Some(11_689_512 - stem)),
        (thirty_four, 64, &[3, 4, 6, 3], 21_282_122, Some(21_797_672 - stem)),
        (&[ResNet20], 16, &[3, 3, 3], 272_474, None),
    ] {
        assert_eq!(resnet_parameters(base, blocks, 10), ten, "{base} {blocks:?}");
        for &kind in kinds {
            let of = |classes| plan(&NetConfig::new(kind, 3, 32, 32, classes)).parameters;
            assert_eq!(of(10), ten, "{kind}");
            assert_eq!(Some(of(1000)).filter(|_| thousand.is_some()), thousand, "{kind} of 1000 classes");
        }
    }
    for (kind, want) in [
        (NetKind::ResNet18ImageNet, 11_689_512),
        (NetKind::SewResNet18ImageNet, 11_689_512),
        (NetKind::ResNet34ImageNet, 21_797_672),
        (NetKind::SewResNet34ImageNet, 21_797_672),
    ] {
        let plan = plan(&NetConfig::new(kind, 3, 224, 224, 1000));
        assert_eq!(plan.parameters, want, "{kind}");
        // torchvision's: 1.81 and 3.66 thousand million multiply-adds of an image.
        let macs = if want == 11_689_512 { 1_814_073_344 } else { 3_663_761_408 };
        assert_eq!(plan.macs_per_step, macs, "{kind}");
    }
}

#[test]
fn vggs_have_the_published_parameters() {
    // A convolution with bias and norm.
    let conv = |ci: usize, co: usize| ci * co * 9 + 3 * co;
    let features = |widths: &[usize]| {
        let from = [3].iter().chain(widths);
        from.zip(widths).map(|(&ci, &co)| conv(ci, co)).sum::<usize>()
    };
    let eleven = features(&[64, 128, 256, 256, 512, 512, 512, 512]) + 512 * 10 + 10;
    let sixteen = features(&[64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]) + 512 * 10 + 10;
    let hidden = 256 * 4 * 4 * 1024 + 1024;
    let nine = features(&[64, 64, 128, 128, 256, 256, 256]) + hidden + 1024 * 10 + 10;
    assert_eq!(
        (eleven, sixteen),
        (9_231_114, 14_728_266),
        "torchvision's with one linear layer of 10 classes"
    );
    for (kind, want) in [(NetKind::Vgg9, nine), (NetKind::Vgg11, eleven), (NetKind::Vgg16, sixteen)] {
        assert_eq!(plan(&NetConfig::new(kind, 3, 32, 32, 10)).parameters, want, "{kind}");
    }
}

#[test]
fn plif_nets_have_the_published_parameters() {
    // 34 → 17 → 8 pixels, 128 → 64 → … → 8, and 128 → … → 4: a hidden layer of a quarter of the features, ten voters a
    // class, no biases, and a decay for each layer of neurons.
    for (kind, side, classes, convolutions, features) in [
        (NetKind::PlifNetNmnist, 34, 10, 2, 128 * 8 * 8),
        (NetKind::PlifNetCifar10Dvs, 128, 10, 4, 128 * 8 * 8),
        (NetKind::PlifNetGesture, 128, 11, 5, 128 * 4 * 4),
    ] {
        let convs = conv(2, 128, 3) + (convolutions - 1) * conv(128, 128, 3);
        let linear = features * (features / 4) + features / 4 * 10 * classes;
        let want = convs + linear + convolutions + 2;
        assert_eq!(plan(&NetConfig::new(kind, 2, side, side, classes)).parameters, want, "{kind}");
        if kind == NetKind::PlifNetNmnist {
            assert_eq!(want, 17_132_292, "by hand");
        }
    }
}

/// Multiply-adds of one image: a 3×3 convolution of stride 1 has nine a pixel, an input and an output channel.
#[test]
fn resnet18_has_the_multiply_adds_of_the_formula() {
    let mut macs = 32 * 32 * 9 * 3 * 64;
    let (mut ci, mut side) = (64, 32);
    for (stage, co) in [64, 128, 256, 512].into_iter().enumerate() {
        side /= if stage > 0 { 2 } else { 1 };
        let pixels = side * side;
        macs += pixels * 9 * (ci * co + 3 * co * co) + if stage > 0 { pixels * ci * co } else { 0 };
        ci = co;
    }
    for kind in [NetKind::ResNet18, NetKind::SewResNet18, NetKind::MsResNet18] {
        assert_eq!(plan(&NetConfig::new(kind, 3, 32, 32, 10)).macs_per_step, macs + 512 * 10, "{kind}");
    }
}

#[test]
fn names_are_those_of_pytorch() {
    let names = |kind| -> Vec<String> {
        let net = Net::plan(&NetConfig::new(kind, 3, 32, 32, 10).scale(0.0625), 1, Level::BASELINE, false);
        let net = net.unwrap();
        let estimates = net.params().buffer_entries.iter();
        net.params().entries.iter().chain(estimates).map(|entry| entry.name.clone()).collect()
    };
    let block = |name: &str, project: bool| {
        let mut parts =
            vec!["conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias"];
        if project {
            parts.extend(["downsample.0.weight", "downsample.1.weight", "downsample.1.bias"]);
        }
        parts.into_iter().map(|part| format!("{name}.{part}")).collect::<Vec<_>>()
    };
    let mut want: Vec<_> = ["conv1.weight", "bn1.weight", "bn1.bias"].map(String::from).to_vec();
    for stage in 1..=4 {
        want.extend(block(&format!("layer{stage}.0"), stage > 1));
        want.extend(block(&format!("layer{stage}.1"), false));
    }
    want.extend(["fc.weight", "fc.bias"].map(String::from));
    for kind in [NetKind::ResNet18, NetKind::SewResNet18, NetKind::MsResNet18] {
        let mut got: Vec<_> = names(kind).into_iter().filter(|name| !name.contains("running")).collect();
        let mut want = want.clone();
        got.sort();
        want.sort();
        assert_eq!(got, want, "{kind}");
    }
    let vgg = names(NetKind::Vgg11);
    for (at, next) in
        [("features.0", "features.1"), ("features.4", "features.5"), ("features.25", "features.26")]
    {
        for name in [format!("{at}.bias"), format!("{next}.weight"), format!("{next}.running_var")] {
            assert!(vgg.contains(&name), "{name} in {vgg:?}");
        }
    }
    assert!(vgg.contains(&"classifier.weight".to_string()));
    let plif = names(NetKind::PlifNetNmnist);
    for name in
        ["conv.0.weight", "conv.1.running_mean", "conv.2.w", "conv.6.w", "fc.2.weight", "fc.3.w", "fc.6.w"]
    {
        assert!(plif.contains(&name.to_string()), "{name} in {plif:?}");
    }
}

/// Every net of the registry, small, as it comes and as a graph that a text spells.
#[test]
fn every_net_takes_a_step_and_has_a_text() {
    for &kind in NetKind::ALL {
        for (input, is_twin) in [(Input::Still, false), (Input::Spikes, false), (Input::Still, true)] {
            let net = NetConfig::new(kind, 2, 33, 34, 3).scale(0.0625).input(input).timesteps(3);
            let net = net.lif(LifConfig::default().threshold(0.5)).twin(is_twin);
            let graph = NetConfig::of_graph(net.graph().unwrap(), 2, 33, 34, 3);
            let graph = graph.input(input).timesteps(3).lif(net.lif.clone()).twin(is_twin);
            assert_eq!(NetConfig::from_text(&net.to_text()).unwrap(), net, "{kind}");
            let read = NetConfig::from_text(&graph.to_text()).unwrap();
            assert_eq!(read, graph, "{kind}");
            let steps = [&net, &read].map(step);
            assert!(steps[0] == steps[1], "{kind} {input}: a graph that a text spells has the net's bits");
        }
    }
}

/// Logits and gradients of a net on drawn frames.
fn step(config: &NetConfig) -> (Vec<f32>, Vec<f32>) {
    let mut net = Net::plan(config, 2, Level::BASELINE, true).unwrap();
    net.params_mut().initialise(Init::Kaiming, 3);
    let images = narrow(&Rng::new(1).spikes(net.images_len(), 0.4));
    net.forward(&images, true);
    let logits = net.logits();
    net.backward(&[0, 2], &LossConfig::default(), 1e-4);
    assert_eq!(net.first_not_finite(), None, "{}", config.name());
    let grads = &net.params().grads;
    assert!(grads.iter().any(|g| *g != 0.0), "{}", config.name());
    (logits, grads.clone())
}
