//! A plan's bytes are those that a trainer then holds, as the allocator counts them; and a plan itself holds nothing,
//! whatever sizes it is asked for.

mod counting;
mod every_op;

use counting::{HELD, PEAK};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spikegrad::models::{Architecture, Input, LayerSpec, Memory, available};
use spikegrad::prelude::*;
use spikegrad_testkit::check::narrow;
use spikegrad_testkit::rng::Rng;
use std::sync::atomic::Ordering::SeqCst;

/// Names, lists of layers, tasks: what a trainer holds that is no number.
const LISTS: usize = 64 << 10;

/// Bytes that a trainer holds after two steps, and those of its plan.
fn held_and_planned(config: &TrainConfig, threads: usize) -> (usize, usize) {
    with_threads(Some(threads), || {
        let level = Level::detect().unwrap();
        let plan = config.plan(level).unwrap();
        let images = narrow(&Rng::new(3).normals(1 << 20));
        let before = HELD.load(SeqCst);
        let mut trainer = Trainer::new(config.clone(), level).unwrap();
        assert_eq!(trainer.plan(), plan, "the plan of sizes, and that of the net");
        let len = trainer.net().images_len();
        let labels: Vec<u32> = (0..config.batch as u32).map(|i| i % 2).collect();
        for _ in 0..2 {
            trainer.train_batch(&images[..len], &labels, 0.0).unwrap();
        }
        (HELD.load(SeqCst) - before, plan.bytes.total)
    })
    .unwrap()
}

fn configs() -> Vec<TrainConfig> {
    let net = |kind, memory| NetConfig::new(kind, 3, 16, 16, 10).scale(0.25).memory(memory);
    let train = |net| TrainConfig::new(net).batch(12);
    let mut configs = vec![
        train(net(NetKind::ResNet19, Memory::F32)).beta(0.0),
        train(net(NetKind::ResNet19, Memory::F32)).optimizer(Optimizer::sgd(0.9, false, 0.0)),
        train(net(NetKind::LeNet, Memory::F32).twin(true)),
        train(net(NetKind::ResNet19, Memory::F32).smooth(true)),
    ];
    for memory in [Memory::F32, Memory::Bf16, Memory::Recompute] {
        configs.push(train(net(NetKind::ResNet19, memory)));
        configs.push(train(net(NetKind::VggSnn, memory)));
        configs.push(train(net(NetKind::VggSnnStride, memory)));
    }
    for memory in [Memory::F32, Memory::Recompute] {
        configs.push(train(every_op::net(16).memory(memory)));
    }
    // Logits are the larger part of a net of few neurons and many classes.
    configs.push(train(NetConfig::custom(&[LayerSpec::Linear { outputs: 4 }], 1, 4, 4, 20_000)));
    for kind in [
        NetKind::LeNet,
        NetKind::Mlp,
        NetKind::EventNet,
        NetKind::ResNet20,
        NetKind::SewResNet18,
        NetKind::SewResNet18Iand,
        NetKind::MsResNet18,
        NetKind::Vgg9,
        NetKind::PlifNetNmnist,
    ] {
        configs.push(train(net(kind, Memory::F32)));
    }
    configs
}

/// Sizes over all of a u64: small, large, and next to powers of two.
fn size() -> impl Strategy<Value = usize> {
    let power =
        (0u32..64, -1i64..2).prop_map(|(shift, off)| (1usize << shift).wrapping_add_signed(off as isize));
    let spread = (0.0f64..20.0).prop_map(|exponent| exponent.exp2() as usize);
    prop_oneof![1 => power, 4 => 1usize..40, 4 => spread, 1 => any::<usize>()]
}

fn layer() -> impl Strategy<Value = LayerSpec> {
    prop_oneof![
        (size(), size(), size()).prop_map(|(channels, kernel, stride)| LayerSpec::Conv {
            channels,
            kernel,
            stride
        }),
        (size(), 1usize..4).prop_map(|(channels, stride)| LayerSpec::Residual { channels, stride }),
        size().prop_map(|size| LayerSpec::AvgPool { size }),
        Just(LayerSpec::GlobalPool),
        size().prop_map(|outputs| LayerSpec::Linear { outputs }),
    ]
}

/// Plans nets of any sizes: an answer, or one line; next to no memory, and no overflow.
fn plans_of_any_sizes() {
    let net = (prop::sample::select(NetKind::ALL), (size(), size(), size(), size()), size(), -3.0f64..6.0);
    let rest = (prop::collection::vec(layer(), 0..4), any::<bool>(), size(), 0usize..3);
    let mut answers = [0, 0];
    let config = Config { failure_persistence: None, ..Config::with_cases(3000) };
    let run = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(Default::default()),
    )
    .run(
        &(net, rest),
        |((kind, (channels, height, width, classes), timesteps, scale), (layers, custom, batch, input))| {
            let input = [Input::Still, Input::Frames, Input::Spikes][input];
            let plain = NetConfig::new(kind, channels, height, width, classes);
            let architecture = if custom { Architecture::Layers(layers) } else { plain.architecture.clone() };
            let net =
                plain.scale(10f64.powf(scale)).timesteps(timesteps).architecture(architecture).input(input);
            let config = TrainConfig::new(net).batch(batch);
            let before = HELD.load(SeqCst);
            PEAK.store(before, SeqCst);
            let plan = config.plan(Level::BASELINE);
            let used = PEAK.load(SeqCst) - before;
            prop_assert!(used < 1 << 20, "a plan took {used} bytes");
            match plan {
                Ok(plan) => {
                    let b = plan.bytes;
                    let sum = b.weights + b.gradients + b.optimizer + b.saved + b.workspace;
                    prop_assert_eq!(sum, b.total);
                    prop_assert!(b.gradients == 4 * plan.parameters && b.total > b.gradients);
                }
                Err(why) => prop_assert!(!why.to_string().is_empty() && !why.to_string().contains('\n')),
            }
            Ok(())
        },
    );
    run.unwrap();
    for batch in [1, 1000, 1_000_000] {
        let net = NetConfig::new(NetKind::ResNet19, 3, 32, 32, 10);
        answers[usize::from(TrainConfig::new(net).batch(batch).plan(Level::BASELINE).is_ok())] += 1;
    }
    assert_eq!(answers, [0, 3]);
}

/// What there is no memory for is refused by both numbers, before anything is allocated.
fn nets_larger_than_memory() {
    for batch in [1_000_000, 10_000_000] {
        if available::memory().is_none() {
            println!("skipped: the system does not tell its memory");
            break;
        }
        let net = NetConfig::new(NetKind::ResNet19, 3, 32, 32, 10);
        let before = HELD.load(SeqCst);
        PEAK.store(before, SeqCst);
        let config = TrainConfig::new(net.clone()).batch(batch);
        for error in [
            Trainer::new(config, Level::BASELINE).map(|_| ()).unwrap_err().to_string(),
            Predictor::new(&net, batch, Level::BASELINE).map(|_| ()).unwrap_err().to_string(),
        ] {
            assert!(error.contains("of memory") && error.contains("can be had"), "{error}");
        }
        assert!(PEAK.load(SeqCst) - before < 1 << 20);
    }
    let error = with_threads(Some(1_000_000), || ()).unwrap_err().to_string();
    assert_eq!(error, "number of threads is 1000000, must be from 1 to 4096");
    assert!(with_threads(Some(0), || ()).is_err());
    assert_eq!(with_threads(Some(3), || 7).unwrap(), 7);
}

/// One test, so that no other allocates meanwhile.
#[test]
fn plans_hold_nothing_and_tell_what_is_held() {
    for config in configs() {
        for threads in [1, 3] {
            let (held, planned) = held_and_planned(&config, threads);
            // Lists of few spikes are not planned, and are a hundredth at most; threads give lists of their own back.
            let (least, most) = (planned - LISTS, planned + planned / 100 + LISTS);
            assert!(
                (least..most).contains(&held),
                "{} {} on {threads} threads: {held} held, {planned} planned",
                config.net.name(),
                config.net.memory
            );
        }
    }
    plans_of_any_sizes();
    nets_larger_than_memory();
}
