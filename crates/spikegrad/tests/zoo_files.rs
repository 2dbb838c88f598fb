//! Weights and states of every net of the registry survive a file, learned decays included.

use spikegrad::prelude::*;
use spikegrad_testkit::check::narrow;
use spikegrad_testkit::rng::Rng;
use spikegrad_testkit::temporary::Temporary;
use std::collections::BTreeMap;

#[test]
fn weights_and_states_come_back_from_files() {
    for &kind in NetKind::ALL {
        let lif = LifConfig::default().threshold(0.5).learn_decay(true);
        let net = NetConfig::new(kind, 2, 33, 32, 3).lif(lif).scale(0.0625);
        let trainer = |seed| {
            let config = TrainConfig::new(net.clone()).batch(2).seed(seed);
            Trainer::new(config, Level::detect().unwrap()).unwrap()
        };
        let mut from = trainer(1);
        let images = narrow(&Rng::new(5).normals(from.net().images_len()));
        from.train_batch(&images, &[0, 2], 0.0).unwrap();
        let names = from.parameters().into_iter().filter(|(name, ..)| name.ends_with(".w")).count();
        assert_eq!(names, from.rates().len(), "{kind}: a decay for each layer of neurons");
        let (weights, state) = (Temporary::new("zoo-weights"), Temporary::new("zoo-state"));
        from.save_weights(&weights.0).unwrap();
        from.save_state(&state.0, &BTreeMap::new()).unwrap();
        let want = from.net().params().weights.clone();
        let mut loaded = trainer(2);
        assert_ne!(loaded.net().params().weights, want, "{kind}");
        loaded.load_weights(&weights.0).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(loaded.net().params().weights, want, "{kind}");
        let mut resumed = trainer(1);
        resumed.load_state(&state.0).unwrap_or_else(|error| panic!("{kind}: {error}"));
        for trainer in [&mut from, &mut resumed] {
            trainer.train_batch(&images, &[0, 2], 1.0).unwrap();
        }
        assert!(from.net().params().weights == resumed.net().params().weights, "{kind}");
    }
}
