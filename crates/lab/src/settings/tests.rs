//! Every setting against the configuration that it must give.

use super::*;
use spikegrad::bptt::{LifConfig, Readout, Reset};
use spikegrad::data::events::{FrameConfig, Resample, Sensor, Slicing, Values};
use spikegrad::models::{Init, Memory, NetKind, Norm};

fn wrong(config: RunConfig) -> String {
    Settings::resolve(config, None).unwrap_err().to_string()
}

#[test]
fn numbers_out_of_range_show_both_numbers() {
    let config = RunConfig { lr: Some(-1.0), ..RunConfig::default() };
    assert_eq!(wrong(config), "--lr is -1, must be above 0");
    let config = RunConfig { timesteps: Some(0), ..RunConfig::default() };
    assert_eq!(wrong(config), "--timesteps is 0, must be at least 1");
    let config = RunConfig { decay: Some(f32::NAN), ..RunConfig::default() };
    assert_eq!(wrong(config), "--decay is NaN, must be from 0 to 1");
}

#[test]
fn resolved_settings_resolve_to_themselves() {
    let config = RunConfig { surrogate: "arctan".parse().ok(), ..RunConfig::default() };
    let once = Settings::resolve(config, None).unwrap();
    let again = Settings::resolve(once.config.clone(), None).unwrap();
    assert_eq!(once.config, again.config);
    assert_eq!(once.config.alpha, Some(2.0));
}

#[test]
fn a_surrogate_takes_its_own_parameter() {
    let config = RunConfig { alpha: Some(1.0), ..RunConfig::default() };
    assert_eq!(wrong(config), "the rectangle surrogate takes --window, not --alpha");
}

/// Settings from TOML, under the names that flags have.
fn of(text: &str) -> Settings {
    Settings::check(toml::from_str(text).unwrap()).unwrap()
}

/// What `text` gives the trainer, of a set of 3×32×32 images.
fn trainer_of(text: &str) -> TrainConfig {
    of(text).train_config(Shape { channels: 3, height: 32, width: 32, classes: 10 })
}

#[test]
fn every_setting_reaches_the_trainer() {
    // Every number is another, so that none can stand in another's place.
    let text = "data = \"cifar10:x\"\nnet = \"lenet\"\nwidth = 0.75\ntimesteps = 3\nnorm = \"tdbn\"\n\
                init = \"kaiming\"\nthreshold = 0.625\ndecay = 0.375\nreset = \"soft-detached\"\n\
                surrogate = \"triangle\"\nwindow = 1.25\ndelta = -0.0625\nloss = \"tet\"\ntet-lambda = 0.15625\n\
                tet-phi = 1.75\nlabel-smoothing = 0.09375\nbeta = 0.03125\noptimizer = \"sgd\"\nlr = 0.0078125\n\
                weight-decay = 0.015625\nmomentum = 0.8125\nnesterov = true\nclip = 2.5\nschedule = \"step\"\n\
                step-every = 7.5\nstep-factor = 0.21875\nwarmup = 1.5\nbatch = 17\nepochs = 23\nseed = 29\n\
                memory = \"bf16\"\ninput-gradient = \"winograd2\"\ndelta-kernels = \"on\"\naugment = \"flip\"\n";
    let net = NetConfig::new(NetKind::LeNet, 3, 32, 32, 10)
        .scale(0.75)
        .timesteps(3)
        .input(Input::Still)
        .lif(
            LifConfig::default()
                .decay(0.375)
                .threshold(0.625)
                .reset(Reset::SoftDetached)
                .surrogate(Surrogate::Triangle { window: 1.25 })
                .delta(-0.0625),
        )
        .norm(Norm::TdBn)
        .kernels(Kernels { input_gradient: Some(InputGradient::Winograd2), delta: DeltaKernels::On })
        .memory(Memory::Bf16)
        .twin(false)
        .smooth(false);
    let want = TrainConfig::new(net)
        .batch(17)
        .loss(LossConfig::new(LossKind::Tet { lambda: 0.15625, phi: 1.75 }).label_smoothing(0.09375))
        .beta(0.03125)
        .optimizer(Optimizer::Sgd { momentum: 0.8125, nesterov: true, weight_decay: 0.015625 })
        .lr(0.0078125)
        .schedule(Schedule::Step { every_epochs: 7.5, factor: 0.21875 })
        .warmup_epochs(1.5)
        .clip(Some(2.5))
        .epochs(23)
        .seed(29)
        .init(Init::Kaiming);
    assert_eq!(trainer_of(text), want);
    let settings = of(text);
    assert_eq!((settings.batch(), settings.epochs(), settings.seed()), (17, 23, 29));
    assert_eq!(settings.augment, "flip".parse().unwrap());
    assert_eq!(settings.title(), "lenet-cifar10");
    assert_eq!(of("").title(), "lenet-shapes");
}

#[test]
fn every_setting_of_a_neuron_reaches_the_trainer() {
    use spikegrad::bptt::lif::{Firing, InputScale, Learn, NeuronKind};
    let lif = |text: &str| trainer_of(text).net.lif;
    let got =
        lif("neuron = \"alif\"\ndecay = 0.375\nthreshold = 0.625\nreset-value = -0.25\ninput-scale = 1.5\n\
                   firing = \"at-or-above\"\nadaptation-decay = 0.875\nadaptation = 0.1875\n\
                   learn-decay = \"channel\"\nlearn-threshold = \"layer\"\nlearn-kind = \"channel\"");
    let want = LifConfig::default()
        .kind(NeuronKind::Adaptive { decay: 0.875, strength: 0.1875 })
        .decay(0.375)
        .threshold(0.625)
        .reset_value(-0.25)
        .input_scale(InputScale::Constant(1.5))
        .firing(Firing::AtOrAbove)
        .learn_decay(Learn::Channel)
        .learn_threshold(Learn::Layer)
        .learn_kind(Learn::Channel);
    assert_eq!(got, want);
    let got = lif(
        "neuron = \"synaptic\"\nsynapse = 0.8125\nreset = \"soft\"\nreset-amount = 0.6875\ninput-scale = \"leak\"",
    );
    let want = LifConfig::default()
        .kind(NeuronKind::Synaptic { decay: 0.8125 })
        .reset(Reset::Soft)
        .reset_amount(Some(0.6875))
        .input_scale(InputScale::Leak);
    assert_eq!(got, want);
    // A name brings its own beginnings, which settings win over; a switch of an earlier file is one number a layer.
    assert_eq!((lif("neuron = \"if\"").decay, lif("neuron = \"if\"\ndecay = 0.25").decay), (1.0, 0.25));
    assert_eq!(lif("neuron = \"diet-snn\"").reset, Reset::Soft);
    assert_eq!(lif("learn-decay = true").learn_decay, Learn::Layer);
    assert_eq!(lif("neuron = \"plif\"\nlearn-decay = false").learn_decay, Learn::No);
}

#[test]
fn each_name_is_its_own_choice() {
    let net = |text: &str| trainer_of(text).net;
    for (name, kind) in [
        ("resnet19", NetKind::ResNet19),
        ("lenet", NetKind::LeNet),
        ("mlp", NetKind::Mlp),
        ("vggsnn", NetKind::VggSnn),
        ("vggsnn-stride", NetKind::VggSnnStride),
        ("eventnet", NetKind::EventNet),
    ] {
        assert_eq!(net(&format!("net = {name:?}")).kind(), Some(kind), "{name}");
    }
    for (name, reset) in [
        ("hard", Reset::Hard),
        ("hard-detached", Reset::HardDetached),
        ("soft", Reset::Soft),
        ("soft-detached", Reset::SoftDetached),
    ] {
        assert_eq!(net(&format!("reset = {name:?}")).lif.reset, reset, "{name}");
    }
    for (text, surrogate) in [
        ("surrogate = \"rectangle\"\nwindow = 0.7", Surrogate::Rectangle { window: 0.7 }),
        ("surrogate = \"triangle\"", Surrogate::Triangle { window: 1.0 }),
        ("surrogate = \"arctan\"\nalpha = 3", Surrogate::Arctan { alpha: 3.0 }),
        ("surrogate = \"sigmoid\"\nalpha = 3", Surrogate::Sigmoid { alpha: 3.0 }),
        ("surrogate = \"gaussian\"\nalpha = 3", Surrogate::Gaussian { alpha: 3.0 }),
        ("surrogate = \"fast-sigmoid\"\nalpha = 3", Surrogate::FastSigmoid { alpha: 3.0 }),
        ("surrogate = \"dspike\"\nalpha = 5", Surrogate::Dspike { alpha: 5.0 }),
    ] {
        assert_eq!(net(text).lif.surrogate, surrogate, "{text}");
    }
}

#[test]
fn each_name_of_training_is_its_own_choice() {
    let net = |text: &str| trainer_of(text).net;
    for (name, optimizer) in [
        ("adam", Optimizer::adam(0.25)),
        ("adamw", Optimizer::adamw(0.25)),
        ("sgd", Optimizer::sgd(0.9, false, 0.25)),
    ] {
        let text = format!("optimizer = {name:?}\nweight-decay = 0.25");
        assert_eq!(trainer_of(&text).optimizer, optimizer, "{name}");
    }
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.25 };
    assert_eq!(Optimizer::adam(0.25), adam);
    for (name, schedule) in [("cosine", Schedule::Cosine), ("constant", Schedule::Constant)] {
        assert_eq!(trainer_of(&format!("schedule = {name:?}")).schedule, schedule, "{name}");
    }
    for (name, form) in [
        ("auto", None),
        ("direct", Some(InputGradient::Direct)),
        ("winograd2", Some(InputGradient::Winograd2)),
        ("winograd4", Some(InputGradient::Winograd4)),
    ] {
        assert_eq!(net(&format!("input-gradient = {name:?}")).kernels.input_gradient, form, "{name}");
    }
    for (name, delta) in [("auto", DeltaKernels::Auto), ("off", DeltaKernels::Off), ("on", DeltaKernels::On)]
    {
        assert_eq!(net(&format!("delta-kernels = {name:?}")).kernels.delta, delta, "{name}");
    }
    for (name, memory) in [("f32", Memory::F32), ("bf16", Memory::Bf16), ("recompute", Memory::Recompute)] {
        assert_eq!(net(&format!("memory = {name:?}")).memory, memory, "{name}");
    }
    assert_eq!((net("norm = \"bn\"").norm, net("norm = \"tdbn\"").norm), (Norm::Bn, Norm::TdBn));
    assert_eq!(trainer_of("init = \"uniform\"").init, Init::Uniform);
    assert_eq!(
        trainer_of("loss = \"ce\"\nlabel-smoothing = 0.5").loss,
        LossConfig::default().label_smoothing(0.5)
    );
    for readout in Readout::ALL {
        assert_eq!(net(&format!("readout = \"{readout}\"")).readout, readout);
    }
    assert_eq!(
        trainer_of("loss = \"mse\"\nmse-correct = 0.75\nmse-incorrect = -0.125").loss,
        LossConfig::new(LossKind::Mse { correct: 0.75, incorrect: -0.125 })
    );
    assert!(net("twin = true\ntimesteps = 1").twin);
    assert_eq!(trainer_of("clip = 0").clip, None);
}

#[test]
fn settings_of_events_reach_the_frames() {
    let events = |text: &str| of(&format!("data = \"synthetic:motion\"\n{text}"));
    let frames = |text: &str| events(text).events.unwrap().frames(Sensor { width: 32, height: 24 });
    let size = Sensor { width: 20, height: 20 };
    let text =
        "frames = \"time\"\nvalues = \"normalised\"\nframe-size = 20\nresample = \"area\"\ntimesteps = 5";
    let want = FrameConfig {
        steps: 5,
        slicing: Slicing::Time,
        values: Values::Normalised,
        size,
        resample: Resample::Area,
    };
    assert_eq!(frames(text), want);
    for (name, slicing) in [
        ("count", Slicing::Count),
        ("time", Slicing::Time),
        ("tonic-count", Slicing::TonicCount),
        ("tonic-time", Slicing::TonicTime),
        ("window:2500", Slicing::Window(2500)),
    ] {
        assert_eq!(frames(&format!("frames = {name:?}")).slicing, slicing, "{name}");
    }
    assert_eq!(frames("frame-size = 0").size, Sensor { width: 32, height: 24 });
    for (values, input) in
        [("binary", Input::Spikes), ("counts", Input::Frames), ("normalised", Input::Frames)]
    {
        let settings = events(&format!("values = {values:?}"));
        assert_eq!(settings.train_config(settings.shape()).net.input, input, "{values}");
    }
    let kept = |text: &str| events(text).events.unwrap().cache;
    assert_eq!((kept("cache = \"none\""), kept("cache = \"a/b\"")), (None, Some("a/b".into())));
    assert_eq!(kept(""), Some("runs/cache".into()));
    assert_eq!(events("augment = \"roll,drop\"").events.unwrap().augment, "roll,drop".parse().unwrap());
}
