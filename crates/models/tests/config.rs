//! Settings of a net: names, and what is refused.

use spikegrad_bptt::Activation;
use spikegrad_models::{Architecture, Init, Input, LayerSpec, Net, NetConfig, NetKind, Norm};
use spikegrad_tensor::Level;
use spikegrad_testkit::check::{dot, widen};

#[test]
fn names_round_trip() {
    let kinds = [
        ("resnet19", NetKind::ResNet19),
        ("lenet", NetKind::LeNet),
        ("mlp", NetKind::Mlp),
        ("vggsnn", NetKind::VggSnn),
        ("vggsnn-stride", NetKind::VggSnnStride),
        ("eventnet", NetKind::EventNet),
    ];
    for (name, kind) in kinds {
        assert_eq!((name.parse(), kind.to_string()), (Ok(kind), name.to_string()));
    }
    for (name, norm) in [("bn", Norm::Bn), ("tdbn", Norm::TdBn)] {
        assert_eq!((name.parse(), norm.to_string()), (Ok(norm), name.to_string()));
    }
    for (name, init) in [("uniform", Init::Uniform), ("kaiming", Init::Kaiming)] {
        assert_eq!((name.parse(), init.to_string()), (Ok(init), name.to_string()));
    }
    let error = "ResNet19".parse::<NetKind>().unwrap_err().to_string();
    assert!(
        error.contains("ResNet19") && error.contains("resnet19, lenet, mlp, vggsnn, vggsnn-stride, eventnet"),
        "{error}"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = || NetConfig::new(NetKind::LeNet, 3, 8, 9, 4).scale(0.1);
    let refused = |what: &str, change: fn(&mut NetConfig), wants: [&str; 2]| {
        let mut config = good();
        change(&mut config);
        let error = Net::plan(&config, 1, Level::BASELINE, false).expect_err(what).to_string();
        assert!(wants.iter().all(|want| error.contains(want)), "{what}: {error:?} does not name {wants:?}");
    };
    refused("no steps", |c| c.timesteps = 0, ["timesteps is 0", "1"]);
    refused("low images", |c| c.height = 7, ["7×9", "8×8"]);
    refused("narrow images", |c| c.width = 1, ["8×1", "8×8"]);
    refused("no channels", |c| c.channels = 0, ["0 image channels", "1"]);
    refused("one class", |c| c.classes = 1, ["1 classes", "2"]);
    refused("no width", |c| c.scale = 0.0, ["width 0", "need 1"]);
    refused("negative width", |c| c.scale = -1.0, ["width -1", "need 1"]);
    refused("no number for a width", |c| c.scale = f64::NAN, ["width NaN", "need 1"]);
    refused("endless width", |c| c.scale = f64::INFINITY, ["width inf", "1000000"]);
    refused("threshold", |c| c.lif.threshold = 0.0, ["threshold is 0", "positive"]);
    refused("decay", |c| c.lif.decay = 1.5, ["decay is 1.5", "between 0 and 1"]);
    refused("delta", |c| c.lif.delta = f32::NAN, ["delta is NaN", "finite"]);
    refused(
        "low images of VGGSNN",
        |c| c.architecture = Architecture::Named(NetKind::VggSnn),
        ["8×9", "16×16"],
    );
    let twin_of_frames = |c: &mut NetConfig| (c.twin, c.input, c.timesteps) = (true, Input::Frames, 4);
    refused("twin of frames", twin_of_frames, ["reads 1 image", "4 steps"]);
    let error = Net::plan(&good(), 0, Level::BASELINE, false).unwrap_err().to_string();
    assert!(error.contains("batch is 0"), "{error}");
    assert!(Net::plan(&good(), 1, Level::BASELINE, false).is_ok());
    let pixel = good().architecture(Architecture::Named(NetKind::Mlp)).height(1).width(1);
    assert!(Net::plan(&pixel, 1, Level::BASELINE, false).is_ok(), "an MLP reads any image");
}

#[test]
fn twins_say_what_they_compute() {
    let config = NetConfig::new(NetKind::Mlp, 1, 2, 2, 2).timesteps(4);
    assert_eq!((config.steps(), config.activation()), (4, Activation::Spike));
    let smooth = config.clone().smooth(true);
    assert_eq!((smooth.steps(), smooth.activation()), (4, Activation::Smooth));
    let twin = smooth.twin(true);
    assert_eq!((twin.steps(), twin.activation()), (1, Activation::Relu));
    let frames = config.clone().input(Input::Spikes);
    assert_eq!((config.frames(), frames.frames()), (1, 4));
}

#[test]
fn weights_begin_as_they_are_said_to() {
    let lenet = NetConfig::new(NetKind::LeNet, 3, 9, 11, 5).scale(0.5);
    let vggsnn = NetConfig::new(NetKind::VggSnn, 2, 16, 16, 5).scale(0.25);
    for (config, init) in
        [(&lenet, Init::Uniform), (&lenet, Init::Kaiming), (&vggsnn, Init::Uniform), (&vggsnn, Init::Kaiming)]
    {
        let draw = |seed| {
            let mut net = Net::plan(config, 1, Level::BASELINE, false).unwrap();
            net.params_mut().initialise(init, seed);
            net.params().clone()
        };
        let params = draw(7);
        assert_eq!(params.weights, draw(7).weights, "{init}: one seed, one draw");
        assert_ne!(params.weights, draw(8).weights, "{init}: another seed, another draw");
        let mut fan_in = 1;
        for entry in &params.entries {
            let w = widen(params.get(&entry.name).unwrap());
            if entry.shape.len() == 1 {
                let in_norm = entry.name.starts_with("bn");
                let bias = !in_norm && init == Init::Uniform;
                assert!(!bias || w.iter().any(|&w| w != 0.0), "{}: drawn", entry.name);
                let start = if in_norm && entry.name.ends_with("weight") { 1.0 } else { 0.0 };
                assert!(bias || w.iter().all(|&w| w == start), "{init}: {} is {start}", entry.name);
            } else {
                fan_in = entry.shape[1..].iter().product();
            }
            let bound = 1.0 / (fan_in as f64).sqrt();
            let in_bound = w.iter().all(|w| w.abs() <= bound * (1.0 + 1e-6));
            assert!(
                init == Init::Kaiming || entry.name.starts_with("bn") || in_bound,
                "{init}: {}",
                entry.name
            );
            if entry.shape.len() > 1 {
                // The mean square of n draws is off by √(2/n) of itself (normal; less if uniform): five times that.
                let (want, n) = (
                    if init == Init::Uniform { bound * bound / 3.0 } else { 2.0 * bound * bound },
                    w.len() as f64,
                );
                let got = dot(&w, &w) / n;
                let near = (got / want - 1.0).abs() <= 5.0 * (2.0 / n).sqrt();
                assert!(near, "{init}: {} has mean square {got}, want {want} of {n}", entry.name);
            }
        }
    }
}

#[test]
fn sizes_beyond_their_limits_are_refused_with_the_limit() {
    let refused = |config: NetConfig, batch: usize, wants: &str| {
        let error = Net::plan(&config, batch, Level::BASELINE, false).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(wants), "{error}, expected {wants}");
    };
    let good = || NetConfig::new(NetKind::Mlp, 1, 4, 4, 2);
    for many in [1_000_001, usize::MAX] {
        let limit = |what: &str| format!("{what} is {many}, must be at most 1000000");
        refused(good().timesteps(many), 1, &limit("timesteps"));
        refused(good().channels(many), 1, &limit("image channels"));
        refused(good().height(many), 1, &limit("image height"));
        refused(good().width(many), 1, &limit("image width"));
        refused(good().classes(many), 1, &limit("classes"));
        let layer = |layer| NetConfig::custom(&[LayerSpec::Linear { outputs: 1 }, layer], 1, 4, 4, 2);
        refused(layer(LayerSpec::Linear { outputs: many }), 1, &limit("layer 2: outputs"));
        refused(layer(LayerSpec::AvgPool { size: many }), 1, &limit("layer 2: size"));
        let conv = |channels, kernel, stride| layer(LayerSpec::Conv { channels, kernel, stride });
        refused(conv(many, 3, 1), 1, &limit("layer 2: channels"));
        refused(conv(1, 3, many), 1, &limit("layer 2: stride"));
        refused(conv(1, many, 1), 1, "layer 2: kernel is");
        refused(layer(LayerSpec::Residual { channels: many, stride: 1 }), 1, &limit("layer 2: channels"));
    }
    refused(good(), 1_000_000_001, "batch is 1000000001, must be at most 1000000000");
    refused(good().scale(1e4), 1, "need 1 to 1000000");
    // Each size is within its limit, their product is not.
    let side = 1_000_000;
    refused(good().height(side).width(side), 1000, "pixels are more than 70368744177664 numbers");
    let wide = [LayerSpec::Linear { outputs: side }, LayerSpec::Linear { outputs: side }];
    refused(NetConfig::custom(&[wide, wide].concat(), 1, 1, 1, side), 90_000, "multiply-adds a batch");
}
