//! Experiments called from a program that has no command line.

use spikegrad::tensor::Level;
use spikegrad_lab::run::folder::{BEST, CHECKPOINT};
use spikegrad_lab::run::{Metrics, Position, Run, When};
use spikegrad_lab::score::score;
use spikegrad_lab::settings::{RunConfig, Settings};
use spikegrad_lab::{Checkpoint, Error, Monitor, Opening, Outline, Silent};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Five batches an epoch, three epochs.
fn settings() -> Settings {
    let text = "net = \"mlp\"\nwidth = 0.1\nlimit = 100\nbatch = 20\nepochs = 3\nlr = 0.01\nseed = 5";
    Settings::check(RunConfig::parse(text, Path::new("settings.toml")).unwrap()).unwrap()
}

/// Asks to stop after so many batches, and notes what it hears.
#[derive(Default)]
struct Listener {
    most: usize,
    batches: AtomicUsize,
    heard: Mutex<Vec<String>>,
}

impl Monitor for Listener {
    fn must_stop(&self) -> bool {
        self.batches.load(Ordering::Relaxed) >= self.most
    }

    fn begins(&self, outline: &Outline) {
        let Outline { epochs, batches, done, scored_on, .. } = outline;
        self.heard.lock().unwrap().push(format!("{epochs}×{batches} from {done}, {scored_on}"));
    }

    fn batch(&self, _: &Position, _: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    fn epoch(&self, metrics: &Metrics) {
        self.heard.lock().unwrap().push(format!("epoch {}", metrics.epoch));
    }

    fn ends(&self) {
        self.heard.lock().unwrap().push("ends".into());
    }
}

#[test]
fn a_run_stopped_at_any_batch_ends_with_the_bytes_of_one_that_was_not() {
    let home = tempfile::tempdir().unwrap();
    let level = Level::detect().unwrap();
    let whole = home.path().join("whole");
    let mut run = Run::start(settings(), Some(&whole), level, When::default(), &Silent).unwrap();
    assert!(run.train().unwrap());
    for most in [1, 5, 7, 14] {
        let cut = home.path().join(format!("cut-{most}"));
        let listener = Listener { most, ..Listener::default() };
        let mut run = Run::start(settings(), Some(&cut), level, When::default(), &listener).unwrap();
        assert!(!run.train().unwrap(), "{most} of 15 batches are no whole run");
        assert_eq!(5 * run.at.epoch + run.at.batch, most);
        drop(run);
        let listener = Listener { most: usize::MAX, ..Listener::default() };
        let mut run = Run::resume(&cut, &RunConfig::default(), level, When::default(), &listener).unwrap();
        assert!(run.train().unwrap());
        for file in [CHECKPOINT, BEST] {
            let bytes = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
            assert!(bytes(&cut) == bytes(&whole), "{file}, stopped after {most}");
        }
        // The epoch of the last batch is scored after the stop; those before it are not scored again.
        let mut want = vec![format!("3×5 from {most}, test")];
        want.extend(((most - 1) / 5 + 1..=3).map(|epoch| format!("epoch {epoch}")));
        want.push("ends".into());
        assert_eq!(*listener.heard.lock().unwrap(), want);
    }
}

#[test]
fn an_opened_run_scores_what_its_metrics_say() {
    let home = tempfile::tempdir().unwrap();
    let level = Level::detect().unwrap();
    let folder = home.path().join("run");
    let mut run = Run::start(settings(), Some(&folder), level, When::default(), &Silent).unwrap();
    run.train().unwrap();
    let last = run.metrics.last().unwrap().clone();
    drop(run);
    let Checkpoint { settings, data, mut trainer, .. } =
        Checkpoint::open(&folder, &Opening::at(level), &Silent).unwrap();
    let test = data.test_loader(&settings).unwrap();
    let found = score(&mut trainer, &test, None, &Silent).unwrap().unwrap();
    assert_eq!((found.accuracy, found.loss), (last.test_accuracy, last.test_loss));
    // The confusion matrix holds every image once, and the right answers on its diagonal.
    let all: u64 = found.confusion.iter().flatten().sum();
    let right: u64 = (0..found.confusion.len()).map(|k| found.confusion[k][k]).sum();
    assert_eq!((all as usize, right as f64 / all as f64), (data.test.len(), found.accuracy));
}

#[test]
fn errors_say_what_kind_they_are() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("none");
    let why = Checkpoint::open(&missing, &Opening::at(Level::BASELINE), &Silent).unwrap_err();
    assert!(matches!(&why, Error::Path { path, .. } if *path == missing), "{why:?}");
    let mut config = RunConfig::default();
    config.lr = Some(-1.0);
    let why = Settings::check(config).unwrap_err();
    assert!(why.is_setting() && why.to_string() == "--lr is -1, must be above 0", "{why}");
}
