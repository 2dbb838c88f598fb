//! What is written can be read, to the bit, whatever the numbers.

use super::*;
use crate::TrainConfig;
use proptest::prelude::*;
use spikegrad_bptt::Optimizer;
use spikegrad_models::NetKind;
use spikegrad_testkit::temporary::Temporary;

fn trainer(optimizer: Optimizer) -> Trainer {
    let net = NetConfig::new(NetKind::LeNet, 1, 8, 8, 2).scale(0.03);
    Trainer::new(TrainConfig { batch: 1, optimizer, ..TrainConfig::new(net) }, Level::BASELINE).unwrap()
}

/// The bits of all that a state holds.
fn bits(trainer: &Trainer) -> (Vec<u32>, u64) {
    let params = trainer.net.params();
    let lists = [&params.weights, &params.buffers, &trainer.moments[0], &trainer.moments[1]];
    (lists.into_iter().flatten().map(|x| x.to_bits()).collect(), trainer.step)
}

/// Numbers that break things: by special bits and over the whole range.
fn hostile() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<u32>().prop_map(f32::from_bits),
        prop::sample::select(vec![
            0.0,
            -0.0,
            1e-45,
            -1e-45,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::MIN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            -f32::NAN,
            -1.0,
            1e38,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is written can be read, to the bit; what could not be read is not written, and the old file stays.
    #[test]
    fn what_is_saved_can_be_loaded(
        numbers in prop::collection::vec((0usize..4, any::<prop::sample::Index>(), hostile()), 0..4),
        step in any::<u64>(),
        extra in prop::collection::btree_map(any::<String>(), any::<String>(), 0..3),
        sgd in any::<bool>(),
        with_state in any::<bool>(),
    ) {
        let optimizer = if sgd { Optimizer::sgd(0.9, false, 0.0) } else { Optimizer::adam(0.0) };
        let mut saved = trainer(optimizer.clone());
        saved.step = step;
        for (list, at, x) in numbers {
            let params = saved.net.params_mut();
            let [first, second] = &mut saved.moments;
            let list = [&mut params.weights, &mut params.buffers, first, second][list].as_mut_slice();
            if !list.is_empty() {
                list[at.index(list.len())] = x;
            }
        }
        let file = Temporary::new("hostile");
        std::fs::write(&file.0, b"old").unwrap();
        let written = if with_state { saved.save_state(&file.0, &extra) } else { saved.save_weights_with(&file.0, &extra) };
        let mut loaded = trainer(optimizer);
        if written.is_err() {
            prop_assert_eq!(std::fs::read(&file.0).unwrap(), b"old".to_vec());
            // The same numbers, written by somebody else, are refused.
            let mut views = saved.weight_views();
            let lengths = saved.moments.each_ref().map(|moment| [moment.len()]);
            if with_state {
                views.push(View { name: "moment.first", shape: &lengths[0], data: &saved.moments[0] });
                views.push(View { name: "moment.second", shape: &lengths[1], data: &saved.moments[1] });
            }
            let metadata = BTreeMap::from([("format".into(), FORMAT.into()), ("step".into(), "1".to_string())]);
            write(&file.0, &metadata, &views).unwrap();
            let before = bits(&loaded);
            let read = if with_state { loaded.load_state(&file.0).map(|_| ()) } else { loaded.load_weights(&file.0) };
            prop_assert!(read.is_err());
            prop_assert!(bits(&loaded) == before);
        } else if with_state {
            prop_assert_eq!(loaded.load_state(&file.0).unwrap(), extra);
            prop_assert!(bits(&loaded) == bits(&saved));
        } else {
            loaded.load_weights(&file.0).unwrap();
            prop_assert_eq!(super::extra(&file.0).unwrap(), extra);
            let params = |trainer: &Trainer| (trainer.net.params().weights.clone(), trainer.net.params().buffers.clone());
            prop_assert!(params(&loaded) == params(&saved));
        }
    }
}
