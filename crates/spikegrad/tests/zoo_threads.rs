//! A net of every op of the zoo, large enough to be shared by threads, has the same bits for any number of them.

mod every_op;

use spikegrad::models::PlanReport;
use spikegrad::prelude::*;
use spikegrad_testkit::check::narrow;
use spikegrad_testkit::rng::Rng;

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let train = |level: Level, threads: usize| {
        with_threads(Some(threads), || {
            let config = TrainConfig::new(every_op::net(16)).batch(4).init(Init::Kaiming);
            let mut trainer = Trainer::new(config, level).unwrap();
            let images = narrow(&Rng::new(3).normals(trainer.net().images_len()));
            for step in 0..2 {
                trainer.train_batch(&images, &[0, 1, 2, 4], f64::from(step)).unwrap();
            }
            let logits = trainer.predict(&images).unwrap();
            (trainer.net().params().weights.clone(), trainer.net().params().buffers.clone(), logits)
        })
        .unwrap()
    };
    let macs = PlanReport::of(&every_op::net(16), 4, Level::BASELINE, 2, false).unwrap().macs_per_step;
    assert!(2 * 4 * macs > 1 << 25, "threads share no net of {macs} multiply-adds");
    for level in Level::available() {
        let one = train(level, 1);
        for threads in [2, 3] {
            assert!(train(level, threads) == one, "{level}: {threads} threads");
        }
    }
}
