//! Data sets of recordings: listing, splitting, frames in memory and on disk, batches.

mod common;

use common::{TempDir, real, says};
use spikegrad_data::events::{
    Event, EventAugment, Events, Fit, FrameConfig, FrameOptions, FrameSet, Resample, Sample, Sensor, Slicing,
    Values, five_byte, motion,
};
use spikegrad_data::{Augment, Batch, Loader, LoaderConfig, Normalise, Source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const SIDE: usize = 34;

fn config(steps: usize) -> FrameConfig {
    let size = Sensor { width: SIDE, height: SIDE };
    FrameConfig { steps, slicing: Slicing::Count, values: Values::Counts, size, resample: Resample::Nearest }
}

/// A recording whose first event lies in column `mark`, and whose others wander.
fn recording(mark: usize) -> Events {
    let event = |k: usize| Event {
        t: 10 * k as u64,
        x: ((mark + 3 * k) % SIDE) as u16,
        y: (k % SIDE) as u16,
        on: k.is_multiple_of(3),
    };
    Events::new(Sensor { width: SIDE, height: SIDE }, (0..90).map(event).collect())
}

fn write(directory: &Path, name: &str, events: &Events) -> PathBuf {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, five_byte::encode(events).unwrap()).unwrap();
    path
}

/// Three classes of 21, 20 and 1 recordings.
fn folder() -> TempDir {
    let folder = TempDir::new();
    for (class, count) in [("cat", 21), ("ant", 20), ("bee", 1)] {
        (0..count).for_each(|k| drop(write(folder.path(), &format!("{class}/{k:02}.bin"), &recording(k))));
    }
    folder
}

fn source(kind: &str, directory: &Path) -> Source {
    format!("{kind}:{}", directory.display()).parse().unwrap()
}

fn load(samples: &[Sample], augment: EventAugment, cache: Option<&Path>) -> FrameSet {
    let names = ["ant", "bee", "cat"].map(str::to_owned).to_vec();
    let fit = Fit { sensor: Some(Sensor { width: SIDE, height: SIDE }), ..Fit::default() };
    FrameSet::load(samples, names, &FrameOptions { config: config(3), fit, augment, cache }).unwrap()
}

fn all_frames(set: &FrameSet) -> Vec<Vec<f32>> {
    let mut frames = vec![0.0; set.config.len()];
    let mut one = |i| {
        set.frames(i, &mut frames);
        frames.clone()
    };
    (0..set.len()).map(&mut one).collect()
}

fn path(sample: &Sample) -> &Path {
    match &sample.origin {
        spikegrad_data::events::Origin::File(path) => path,
        other => panic!("{other:?} is no file"),
    }
}

#[test]
fn nine_tenths_of_each_class_train() {
    let folder = folder();
    let split = source("events", folder.path()).list_events(0).unwrap();
    assert_eq!(split.class_names, ["ant", "bee", "cat"]);
    let count = |samples: &[Sample]| [0, 1, 2].map(|k| samples.iter().filter(|s| s.label == k).count());
    // ⌈0.9·20⌉, ⌈0.9⌉, ⌈18.9⌉.
    assert_eq!((count(&split.train), count(&split.test)), ([18, 1, 19], [2, 0, 2]));
    let paths: BTreeSet<&Path> = split.train.iter().chain(&split.test).map(path).collect();
    assert_eq!(paths.len(), 42, "every recording once");
    let names = |samples: &[Sample]| samples.iter().map(|s| path(s).to_path_buf()).collect::<Vec<_>>();
    let again = source("events", folder.path()).list_events(7).unwrap();
    assert_eq!((names(&again.train), names(&again.test)), (names(&split.train), names(&split.test)));
    // The classes take turns, and the test recordings are not the last by name.
    assert_eq!(split.train.iter().take(5).map(|s| s.label).collect::<Vec<_>>(), [0, 1, 2, 0, 2]);
    let last: Vec<PathBuf> = [18, 19].map(|k| folder.path().join(format!("ant/{k:02}.bin"))).into();
    assert_ne!(names(&split.test.into_iter().filter(|s| s.label == 0).collect::<Vec<_>>()), last);
}

#[test]
fn folders_of_training_and_test_are_taken_as_they_are() {
    let folder = TempDir::new();
    for (part, count) in [("Train", 3), ("Test", 2)] {
        for class in ["0", "1"] {
            (0..count)
                .for_each(|k| drop(write(folder.path(), &format!("{part}/{class}/{k}.bin"), &recording(k))));
        }
    }
    let split = source("nmnist", folder.path()).list_events(0).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (6, 4));
    assert!(split.rule.contains("Train and Test"));
    std::fs::create_dir(folder.path().join("Test/2")).unwrap();
    says(source("nmnist", folder.path()).list_events(0), &["Test/2", "holds nothing", "a recording"]);
    folder.write("Test/2/x.bin", &[1, 2, 3, 4, 5]);
    says(source("nmnist", folder.path()).list_events(0), &["has 2 classes", "Test has 3"]);
}

#[test]
fn what_is_no_data_set_is_refused() {
    let folder = TempDir::new();
    says(source("events", &folder.path().join("none")).list_events(0), &["none"]);
    says(source("events", folder.path()).list_events(0), &["a folder for each of two classes"]);
    says(source("events", folder.path()).load(0), &["holds events"]);
    says("synthetic:shapes".parse::<Source>().unwrap().list_events(0), &["holds images"]);
    let path = write(folder.path(), "a/0.bin", &recording(1));
    write(folder.path(), "b/0.bin", &recording(1));
    std::fs::write(&path, [200, 1, 0, 0, 1]).unwrap();
    let split = source("nmnist", folder.path()).list_events(0).unwrap();
    let options =
        FrameOptions { config: config(1), fit: split.fit, augment: EventAugment::NONE, cache: None };
    let names = split.class_names.clone();
    says(FrameSet::load(&split.train, names, &options), &["a/0.bin", "column 200", "34×34"]);
}

#[test]
fn disorder_is_sorted_and_counted() {
    let folder = TempDir::new();
    let mut events = recording(4);
    events.list.swap(10, 11);
    write(folder.path(), "a/0.bin", &events);
    write(folder.path(), "b/0.bin", &recording(4));
    let split = source("events", folder.path()).list_events(0).unwrap();
    let set = load(&split.train, EventAugment::NONE, None);
    assert_eq!((set.tally.disordered, set.tally.outside), (1, 0));
    let (sorted, _) = split.train[0].read(&split.fit).unwrap();
    assert_eq!(sorted.list, recording(4).list);
    let frames = all_frames(&set);
    assert_eq!(frames[0], frames[1]);
}

#[test]
fn frames_are_kept_and_made_anew_when_something_changed() {
    let (folder, cache) = (folder(), TempDir::new());
    let split = source("events", folder.path()).list_events(0).unwrap();
    let cached = || load(&split.train, EventAugment::NONE, Some(cache.path()));
    let plain = all_frames(&load(&split.train, EventAugment::NONE, None));
    let first = cached();
    assert_eq!((first.cached, all_frames(&first)), (0, plain.clone()));
    let second = cached();
    assert_eq!((second.cached, all_frames(&second)), (split.train.len(), plain.clone()));
    // The test recordings join them, and take nothing away.
    assert_eq!(load(&split.test, EventAugment::NONE, Some(cache.path())).cached, 0);
    assert_eq!(load(&split.test, EventAugment::NONE, Some(cache.path())).cached, split.test.len());
    assert_eq!(cached().cached, split.train.len());
    // Another size, then the same size at another time.
    let changed = path(&split.train[5]);
    let mut events = recording(1);
    events.list.truncate(60);
    std::fs::write(changed, five_byte::encode(&events).unwrap()).unwrap();
    let third = cached();
    assert_eq!(third.cached, split.train.len() - 1);
    assert_ne!(all_frames(&third)[5], plain[5]);
    events.list[0].x += 1;
    std::fs::write(changed, five_byte::encode(&events).unwrap()).unwrap();
    let file = std::fs::File::options().write(true).open(changed).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
    let fourth = cached();
    assert_eq!(fourth.cached, split.train.len() - 1);
    assert_ne!(all_frames(&fourth)[5], all_frames(&third)[5]);
}

#[test]
fn other_settings_and_damage_are_read_anew() {
    let (folder, cache) = (folder(), TempDir::new());
    let split = source("events", folder.path()).list_events(0).unwrap();
    let load = |config: FrameConfig| {
        let fit = Fit { sensor: Some(Sensor { width: SIDE, height: SIDE }), ..Fit::default() };
        let options = FrameOptions { config, fit, augment: EventAugment::NONE, cache: Some(cache.path()) };
        FrameSet::load(&split.train, vec!["x".into(); 3], &options).unwrap()
    };
    let small = Sensor { width: 20, height: 20 };
    let area = FrameConfig { resample: Resample::Area, size: small, ..config(3) };
    let settings = [
        config(3),
        config(4),
        FrameConfig { slicing: Slicing::Time, ..config(3) },
        FrameConfig { values: Values::Binary, ..config(3) },
        FrameConfig { size: small, ..config(3) },
        area,
    ];
    for settings in settings {
        assert_eq!(load(settings).cached, 0, "{settings:?}");
        assert_eq!(load(settings).cached, split.train.len(), "{settings:?}");
    }
    let want = all_frames(&load(area));
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
    }
    let damaged = load(area);
    assert!(damaged.cached < split.train.len(), "the damaged part is left out");
    assert_eq!(all_frames(&damaged), want);
    assert_eq!(load(area).cached, split.train.len(), "and is mended");
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let folder = folder();
    let split = source("events", folder.path()).list_events(0).unwrap();
    let file = folder.write("a file", b"");
    let set = load(&split.train, EventAugment::NONE, Some(&file.join("below")));
    assert_eq!((set.cached, set.len()), (0, split.train.len()));
}

fn loader(set: FrameSet, batch: usize, prefetch: usize) -> Loader {
    let normalise = Normalise { mean: vec![], std: vec![] };
    let config = LoaderConfig {
        batch,
        seed: 5,
        shuffle: true,
        augment: Augment::NONE,
        drop_last: false,
        prefetch,
        normalise,
    };
    Loader::new(Arc::new(set), config).unwrap()
}

#[test]
fn batches_have_time_outermost() {
    let folder = folder();
    let split = source("events", folder.path()).list_events(0).unwrap();
    let set = load(&split.train, EventAugment::NONE, None);
    let frames = all_frames(&set);
    let labels = set.labels.clone();
    let batch = loader(set, 5, 0).epoch(0).next().unwrap();
    assert_eq!((batch.steps, batch.len, batch.channels, batch.height, batch.width), (3, 5, 2, SIDE, SIDE));
    let frame = 2 * SIDE * SIDE;
    for k in 0..5 {
        let of: Vec<f32> =
            (0..3).flat_map(|t| batch.images[(t * 5 + k) * frame..][..frame].to_vec()).collect();
        // Recordings of different classes may be alike here.
        let mut pairs = frames.iter().zip(&labels);
        assert!(pairs.any(|(one, &label)| *one == of && u32::from(label) == batch.labels[k]), "sample {k}");
    }
}

#[test]
fn augmentation_depends_on_seed_epoch_and_recording_alone() {
    let folder = folder();
    let split = source("events", folder.path()).list_events(0).unwrap();
    let all = EventAugment { flip: true, roll: true, jitter: true, drop: true };
    for augment in [all, EventAugment { flip: true, roll: true, ..EventAugment::NONE }] {
        // One recording a batch, so that its frames lie together.
        let images = |epoch: u64, prefetch: usize| -> Vec<Vec<f32>> {
            let batches = loader(load(&split.train, augment, None), 1, prefetch).epoch(epoch);
            batches.map(|batch: Batch| batch.images).collect()
        };
        assert_eq!(images(1, 0), images(1, 3), "{augment}");
        let sorted = |epoch| {
            let mut images = images(epoch, 0);
            images.sort_by(|a, b| a.partial_cmp(b).unwrap());
            images
        };
        assert_ne!(sorted(0), sorted(1), "{augment}: each epoch varies anew");
        let events = |images: Vec<Vec<f32>>| images.iter().flatten().sum::<f32>();
        let whole = 90.0 * split.train.len() as f32;
        match augment.drop {
            true => assert!(events(images(0, 0)) < whole),
            false => assert_eq!(events(images(0, 0)), whole, "flip and roll lose nothing"),
        }
    }
}

#[test]
fn motion_is_balanced_and_repeats_itself() {
    let (train, test) = motion::generate(16, 4, 3);
    assert_eq!((train.len(), test.len()), (16, 4));
    for (k, (events, label)) in train.iter().enumerate() {
        assert_eq!(usize::from(*label), k % 8);
        events.check().unwrap();
        assert!(events.disorder() == 0 && events.len() > 100, "{k}: {} events", events.len());
    }
    assert_eq!(train[..9], motion::generate(9, 0, 3).0, "a prefix is a prefix");
    assert_ne!(train[0].0, train[8].0);
    assert_ne!(train[0].0, test[0].0);
    assert_ne!(train, motion::generate(16, 0, 4).0);
}

#[test]
fn real_nmnist() {
    let Some(folder) = real("nmnist") else { return };
    let split = source("nmnist", &folder).list_events(0).unwrap();
    assert_eq!((split.train.len(), split.test.len(), split.class_names.len()), (1000, 100, 10));
    let mut out_of_order = 0;
    for sample in split.train.iter().take(200) {
        let (events, tally) = sample.read(&split.fit).unwrap();
        // Three saccades of about 100 ms.
        assert!((290_000..320_000).contains(&events.duration()), "{sample:?}: {} µs", events.duration());
        assert!((500..20_000).contains(&events.len()), "{sample:?}: {} events", events.len());
        out_of_order += tally.disordered;
    }
    println!("{out_of_order} of 200 recordings are out of order");
}

/// A DVS128's address of column c = 1 and row r = 20: (126, 107) as jAER shows it, (107, 126) in CIFAR10-DVS.
#[test]
fn the_set_decides_how_a_dvs128_is_turned() {
    let folder = TempDir::new();
    let mut bytes = b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n".to_vec();
    bytes.extend([0, 0, 0x14, 0x02, 0, 0, 1, 0]);
    for class in ["a", "b"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        (0..2).for_each(|k| drop(folder.write(&format!("{class}/{k}.aedat"), &bytes)));
    }
    for (kind, place) in [("events", (126, 107)), ("cifar10dvs", (107, 126))] {
        let split = source(kind, folder.path()).list_events(0).unwrap();
        let (events, _) = split.train[0].read(&split.fit).unwrap();
        assert_eq!(events.list, [Event { t: 256, x: place.0, y: place.1, on: true }], "{kind}");
    }
}

/// Where events lie moves as the class says, from the first third of a recording to the last, over 50 recordings of each.
#[test]
fn motions_go_where_their_names_say() {
    let (recordings, _) = motion::generate(400, 0, 11);
    // Sums over recordings: right, down, outward, clockwise (y points down).
    let mut moved = [[0.0f64; 4]; 8];
    for (events, label) in recordings {
        let part = |from: u64, to: u64| {
            let list = events.list.iter().filter(|e| (from..to).contains(&e.t));
            let places: Vec<(f64, f64)> =
                list.map(|e| (f64::from(e.x) - 15.5, f64::from(e.y) - 15.5)).collect();
            let mean =
                |of: &dyn Fn(&(f64, f64)) -> f64| places.iter().map(of).sum::<f64>() / places.len() as f64;
            (mean(&|p| p.0), mean(&|p| p.1), mean(&|p| p.0.hypot(p.1)))
        };
        let ((x0, y0, r0), (x1, y1, r1)) = (part(0, 33_000), part(67_000, 100_000));
        for (sum, value) in
            moved[usize::from(label)].iter_mut().zip([x1 - x0, y1 - y0, r1 - r0, x0 * y1 - y0 * x1])
        {
            *sum += value / 50.0;
        }
    }
    // Which of the four, and in which direction, by class.
    let want = [(0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0), (3, 1.0), (3, -1.0), (2, 1.0), (2, -1.0)];
    for (class, (which, sign)) in want.into_iter().enumerate() {
        let value = sign * moved[class][which];
        println!("{}: {:?}", motion::NAMES[class], moved[class]);
        // Growing spots leave the picture, so that the mean radius moves little.
        let least = if which == 2 { 0.25 } else { 1.0 };
        assert!(value > least, "{}: {:?}", motion::NAMES[class], moved[class]);
    }
}
