//! The loader: the same bits whatever the prefetch depth, the batch size or the point of resuming.

use spikegrad_data::{Augment, Batch, DataError, ImageSet, Loader, LoaderConfig, Normalise, shapes};
use std::sync::Arc;

const ALL: Augment = Augment { crop: true, flip: true, cutout: true, autoaugment: true };

fn config(batch: usize, prefetch: usize) -> LoaderConfig {
    let normalise = Normalise { mean: vec![0.5; 3], std: vec![0.25; 3] };
    LoaderConfig { batch, seed: 11, shuffle: true, augment: ALL, drop_last: false, prefetch, normalise }
}

fn set(images: usize) -> Arc<ImageSet> {
    Arc::new(shapes::generate(images, 0, 5).train)
}

/// A set whose image i has the label i and one pixel.
fn numbered(images: u16) -> Arc<ImageSet> {
    let pixels = (0..images).map(|i| i as u8).collect();
    let (classes, labels) = (usize::from(images), (0..images).collect());
    Arc::new(ImageSet { channels: 1, height: 1, width: 1, classes, pixels, labels, class_names: vec![] })
}

fn plain(batch: usize, shuffle: bool, drop_last: bool) -> LoaderConfig {
    let normalise = Normalise { mean: vec![0.0], std: vec![1.0] };
    LoaderConfig { batch, seed: 3, shuffle, augment: Augment::NONE, drop_last, prefetch: 2, normalise }
}

fn bits(batches: &[Batch]) -> Vec<u32> {
    batches
        .iter()
        .flat_map(|b| b.images.iter().map(|v| v.to_bits()).chain(b.labels.iter().copied()))
        .collect()
}

#[test]
fn prefetch_depth_changes_no_bit() {
    let set = set(53);
    for epoch in 0..3 {
        let want: Vec<Batch> = Loader::new(set.clone(), config(8, 0)).unwrap().epoch(epoch).collect();
        assert_eq!(want.len(), 7);
        for depth in [1, 4, usize::MAX] {
            let got: Vec<Batch> = Loader::new(set.clone(), config(8, depth)).unwrap().epoch(epoch).collect();
            assert_eq!(bits(&got), bits(&want), "prefetch {depth}, epoch {epoch}");
        }
    }
}

#[test]
fn batch_size_changes_no_image() {
    let set = set(53);
    let images = |batch| -> Vec<f32> {
        Loader::new(set.clone(), config(batch, 1)).unwrap().epoch(2).flat_map(|b| b.images).collect()
    };
    assert_eq!(images(1), images(53));
    assert_eq!(images(7), images(usize::MAX));
}

#[test]
fn starting_late_equals_skipping() {
    let loader = Loader::new(set(53), config(8, 2)).unwrap();
    let all: Vec<Batch> = loader.epoch(4).collect();
    for first in 0..9 {
        let late: Vec<Batch> = loader.epoch_from(4, first).collect();
        assert_eq!(late, all[first.min(all.len())..], "from {first}");
        assert_eq!(loader.epoch_from(4, first).len(), late.len());
    }
    assert!(loader.epoch_from(4, usize::MAX).next().is_none());
}

#[test]
fn every_image_once_an_epoch_in_an_order_of_its_own() {
    let loader = Loader::new(numbered(200), plain(7, true, false)).unwrap();
    let order = |epoch| loader.epoch(epoch).flat_map(|b| b.labels).collect::<Vec<u32>>();
    for epoch in 0..4 {
        let mut sorted = order(epoch);
        assert_ne!(sorted, order(epoch + 1));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..200).collect::<Vec<_>>());
    }
    let other = LoaderConfig { seed: 4, ..plain(7, true, false) };
    let other = Loader::new(numbered(200), other).unwrap();
    assert_ne!(other.epoch(0).flat_map(|b| b.labels).collect::<Vec<_>>(), order(0));
}

#[test]
fn without_shuffle_the_order_is_the_set_s() {
    let loader = Loader::new(numbered(20), plain(6, false, false)).unwrap();
    let batches: Vec<Batch> = loader.epoch(9).collect();
    assert_eq!(batches.iter().map(|b| b.len).collect::<Vec<_>>(), [6, 6, 6, 2]);
    let images: Vec<f32> = batches.into_iter().flat_map(|b| b.images).collect();
    assert_eq!(images, (0..20).map(|i| i as f32 / 255.0).collect::<Vec<_>>());
}

#[test]
fn drop_last_leaves_out_the_short_batch_but_never_all() {
    let sizes = |images, batch| -> Vec<usize> {
        let loader = Loader::new(numbered(images), plain(batch, true, true)).unwrap();
        assert_eq!(loader.batches(), loader.epoch(0).count());
        loader.epoch(0).map(|b| b.len).collect()
    };
    assert_eq!(sizes(20, 6), [6, 6, 6]);
    assert_eq!(sizes(18, 6), [6, 6, 6]);
    assert_eq!(sizes(5, 6), [5]);
}

#[test]
fn normalises_each_channel() {
    let pixels = vec![0, 255, 51, 102];
    let (channels, height, width) = (2, 1, 2);
    let set = ImageSet { channels, height, width, classes: 1, pixels, labels: vec![0], class_names: vec![] };
    let normalise = Normalise { mean: vec![0.5, 0.2], std: vec![0.25, 0.1] };
    let config = LoaderConfig { normalise, ..plain(1, false, false) };
    let batch = Loader::new(Arc::new(set), config).unwrap().epoch(0).next().unwrap();
    let want = [-2.0, 2.0, 0.0, (0.4 - 0.2) / 0.1];
    assert!(
        batch.images.iter().zip(want).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6),
        "{:?}",
        batch.images
    );
    assert_eq!((batch.channels, batch.height, batch.width), (2, 1, 2));
}

#[test]
fn dropping_an_epoch_stops_its_thread() {
    let set = set(400);
    let loader = Loader::new(set.clone(), config(4, 2)).unwrap();
    for taken in 0..4 {
        let mut epoch = loader.epoch(0);
        (0..taken).for_each(|_| assert!(epoch.next().is_some()));
        drop(epoch);
        // The thread held a share of the set; the test and the loader hold the other two.
        assert_eq!(Arc::strong_count(&set), 2, "after {taken} batches");
    }
    let mut epoch = loader.epoch(0);
    assert_eq!(epoch.by_ref().count(), 100);
    assert!(epoch.next().is_none() && epoch.len() == 0);
}

#[test]
fn augmentations_do_not_disturb_each_other() {
    // The flip of an image is the same with and without the others: compare through cutout's absence.
    let set = set(40);
    let images = |augment| -> Vec<f32> {
        let config = LoaderConfig { augment, shuffle: false, ..config(40, 0) };
        Loader::new(set.clone(), config).unwrap().epoch(0).flat_map(|b| b.images).collect()
    };
    let flipped = images(Augment { flip: true, ..Augment::NONE });
    let holed = images(Augment { flip: true, cutout: true, ..Augment::NONE });
    assert!(flipped.iter().zip(&holed).all(|(a, b)| a == b || *b == 0.0));
    assert_ne!(flipped, holed);
    assert_ne!(flipped, images(Augment::NONE));
}

/// Flip alone, the order the set's: image i of a seed and epoch is mirrored or it is not.
#[test]
fn each_seed_mirrors_other_images() {
    let set = set(64);
    let mirrored = |seed: u64, epoch: u64| -> Vec<bool> {
        let augment = Augment { flip: true, ..Augment::NONE };
        let flipped = LoaderConfig { seed, augment, shuffle: false, ..config(1, 0) };
        let plain = LoaderConfig { augment: Augment::NONE, ..flipped.clone() };
        let images = |config| Loader::new(set.clone(), config).unwrap().epoch(epoch).map(|b| b.images);
        images(flipped).zip(images(plain)).map(|(a, b)| a != b).collect()
    };
    let first = mirrored(1, 0);
    assert_eq!(first, mirrored(1, 0));
    for (seed, epoch) in [(1, 0), (2, 0), (1, 1)] {
        // Binomial of 64 halves: s.d. 4, five of them.
        let count = mirrored(seed, epoch).into_iter().filter(|&m| m).count();
        assert!(count.abs_diff(32) < 20, "{count} of 64 mirrored");
        assert!((seed, epoch) == (1, 0) || mirrored(seed, epoch) != first, "seed {seed}, epoch {epoch}");
    }
}

#[test]
fn refuses_what_cannot_be_loaded() {
    let says = |set: Arc<ImageSet>, config: LoaderConfig, parts: [&str; 2]| {
        let error: DataError = Loader::new(set, config).map(|_| ()).unwrap_err();
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    };
    says(numbered(0), plain(1, true, true), ["number of images is 0", "1 or more"]);
    says(numbered(3), plain(0, true, true), ["batch size is 0", "1 or more"]);
    says(set(3), plain(1, true, true), ["number of means is 1", "3, the number of channels"]);
    for std in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let normalise = Normalise { mean: vec![0.0], std: vec![std] };
        let config = LoaderConfig { normalise, ..plain(1, true, true) };
        says(numbered(3), config, ["standard deviation is", "positive"]);
    }
    let normalise = Normalise { mean: vec![f32::NAN], std: vec![1.0] };
    says(numbered(3), LoaderConfig { normalise, ..plain(1, true, true) }, ["mean is NaN", "finite"]);
    let mut wrong = (*numbered(3)).clone();
    wrong.pixels.pop();
    says(Arc::new(wrong), plain(1, true, true), ["is 2", "expected 3"]);
}
