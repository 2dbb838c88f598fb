//! Nets of one's own: a list of layers that spells a known net is that net, bit for bit.

use spikegrad_bptt::LossConfig;
use spikegrad_models::{Init, LayerSpec, Net, NetConfig, NetKind};
use spikegrad_tensor::Level;

/// The names and sizes of a net's parameters.
fn names(config: &NetConfig) -> Vec<(String, Vec<usize>)> {
    let net = Net::plan(config, 2, Level::BASELINE, false).unwrap();
    net.params().entries.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect()
}

/// Logits and gradients of a net with drawn weights on one batch.
fn pass(config: &NetConfig) -> (Vec<f32>, Vec<f32>) {
    let mut net = Net::plan(config, 2, Level::BASELINE, false).unwrap();
    net.params_mut().initialise(Init::Uniform, 3);
    let images: Vec<f32> = (0..net.images_len()).map(|k| (k * 37 % 11) as f32 / 5.0 - 1.0).collect();
    net.forward(&images, true);
    let logits = net.mean_logits().to_vec();
    net.backward(&[0, 2], &LossConfig::default(), 1e-4);
    (logits, net.params().grads.clone())
}

#[test]
fn a_list_of_layers_is_the_net_it_spells() {
    let lenet = NetConfig::new(NetKind::LeNet, 2, 12, 8, 3).scale(0.25);
    let layers = [
        LayerSpec::Conv { channels: 8, kernel: 5, stride: 1 },
        LayerSpec::AvgPool { size: 2 },
        LayerSpec::Conv { channels: 16, kernel: 5, stride: 1 },
        LayerSpec::AvgPool { size: 2 },
        LayerSpec::Linear { outputs: 32 },
        LayerSpec::Linear { outputs: 16 },
    ];
    let custom = NetConfig::custom(&layers, 2, 12, 8, 3);
    let shapes = |config| names(config).into_iter().map(|(_, shape)| shape).collect::<Vec<_>>();
    assert_eq!(shapes(&custom), shapes(&lenet));
    assert!(pass(&custom) == pass(&lenet), "the same weights give the same bits");

    let mlp = NetConfig::new(NetKind::Mlp, 2, 3, 4, 3).scale(0.125);
    let layers = [LayerSpec::Linear { outputs: 32 }; 2];
    let custom = NetConfig::custom(&layers, 2, 3, 4, 3);
    assert_eq!(names(&custom), names(&mlp));
    assert!(pass(&custom) == pass(&mlp));
}

#[test]
fn a_residual_net_of_ones_own_is_resnet19() {
    let resnet = NetConfig::new(NetKind::ResNet19, 3, 16, 16, 3).scale(0.125);
    let mut layers = vec![LayerSpec::Conv { channels: 8, kernel: 3, stride: 1 }];
    for (channels, strides) in [(16, &[1, 1, 1][..]), (32, &[2, 1, 1]), (64, &[2, 1])] {
        layers.extend(strides.iter().map(|&stride| LayerSpec::Residual { channels, stride }));
    }
    layers.extend([LayerSpec::GlobalPool, LayerSpec::Linear { outputs: 32 }]);
    assert!(pass(&NetConfig::custom(&layers, 3, 16, 16, 3)) == pass(&resnet));
}

#[test]
fn layers_that_make_no_sense_are_named() {
    let why = |layers: &[LayerSpec]| {
        let config = NetConfig::custom(layers, 1, 6, 6, 2);
        Net::plan(&config, 1, Level::BASELINE, false).unwrap_err().to_string()
    };
    let conv = LayerSpec::Conv { channels: 4, kernel: 3, stride: 1 };
    assert_eq!(
        why(&[conv, LayerSpec::Conv { channels: 4, kernel: 2, stride: 1 }]),
        "layer 2: kernel is 2, must be odd"
    );
    assert_eq!(why(&[LayerSpec::Linear { outputs: 0 }]), "layer 1: outputs is 0, must be at least 1");
    assert!(why(&[LayerSpec::Residual { channels: 4, stride: 1 }]).contains("begin with another"));
    assert!(why(&[conv, LayerSpec::AvgPool { size: 7 }]).contains('7'));
}
