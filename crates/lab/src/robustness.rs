//! Robustness: accuracy under Gaussian and salt-and-pepper noise, as in the paper's figure 7.
//!
//! The paper says neither in which space its Gaussian noise is added nor whether its level is σ or σ²: settings say so
//! here. Each net sees the same noisy images; a level is scored once for each noise seed.

use crate::checkpoint::{Checkpoint, Opening};
use crate::monitor::Monitor;
use crate::score::score;
use crate::settings::by_name;
use crate::statistics::Summary;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use spikegrad::Trainer;
use spikegrad::data::{Loader, Noise, NoiseKind, Source, Space, Spread};
use spikegrad_report::csv::Csv;
use spikegrad_report::plot::{Chart, Line, document};
use spikegrad_report::row;
use std::path::Path;

/// Digitised from figure 7 of the paper (ResNet-19, CIFAR-10), at levels 0.02 and 0.1: with the Lipschitz term, then
/// without.
const PAPER: [(NoiseKind, [f64; 2], [f64; 2]); 2] = [
    (NoiseKind::Gaussian, [93.3, 85.3], [92.8, 80.0]),
    (NoiseKind::SaltAndPepper, [82.1, 77.1], [77.3, 65.9]),
];
/// The levels that those figures belong to.
const PAPER_LEVELS: [f64; 2] = [0.02, 0.1];
/// Levels where none are given: ten, evenly from the paper's lowest to its highest.
const LEVELS: usize = 10;
/// The most noise seeds; each keeps its accuracy.
const MOST_SEEDS: u64 = 1_000_000;

/// Noise seeds where none are given.
const SEEDS: u64 = 3;

/// What the noise is, each setting given or not.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NoiseConfig {
    /// Some of gaussian,salt-and-pepper
    pub kinds: Option<String>,
    /// Levels, as 0.02,0.1; default: ten from 0.02 to 0.1
    pub levels: Option<String>,
    /// Where Gaussian noise is added: pixel (0 to 1, cut) or normalised
    #[serde(with = "by_name")]
    pub space: Option<Space>,
    /// What a Gaussian level is: sigma or variance
    #[serde(with = "by_name")]
    pub spread: Option<Spread>,
    /// How often each level is drawn
    pub seeds: Option<u64>,
}

impl NoiseConfig {
    /// Lays these settings over others.
    pub fn over(self, below: Self) -> Self {
        Self {
            kinds: self.kinds.or(below.kinds),
            levels: self.levels.or(below.levels),
            space: self.space.or(below.space),
            spread: self.spread.or(below.spread),
            seeds: self.seeds.or(below.seeds),
        }
    }

    /// The curves to measure, one for each kind; none where no kind is named.
    ///
    /// # Errors
    /// An unknown name, a level out of range, no seeds.
    pub fn curves(&self) -> Result<Vec<Curve>> {
        let Some(kinds) = &self.kinds else { return Ok(Vec::new()) };
        let (space, spread) = (self.space.unwrap_or_default(), self.spread.unwrap_or_default());
        let seeds = self.seeds.unwrap_or(SEEDS);
        if seeds == 0 {
            return Err(Error::setting("--noise-seeds is 0, must be at least 1"));
        }
        if seeds > MOST_SEEDS {
            return Err(Error::setting(format!("--noise-seeds is {seeds}, must be at most {MOST_SEEDS}")));
        }
        let levels = self.levels()?;
        let curve = |name: &str| -> Result<Curve> {
            let kind: NoiseKind = name.trim().parse().map_err(Error::setting)?;
            let curve = Curve {
                kind: kind.to_string(),
                space: space.to_string(),
                spread: spread.to_string(),
                levels: levels.clone(),
                seeds,
            };
            for &level in &levels {
                Noise { kind, level, space, spread, seed: 0 }.check().map_err(Error::setting)?;
            }
            Ok(curve)
        };
        kinds.split(',').map(curve).collect()
    }

    fn levels(&self) -> Result<Vec<f64>> {
        let Some(text) = &self.levels else {
            let [low, high] = PAPER_LEVELS;
            let level = |i: usize| low + (high - low) * i as f64 / (LEVELS - 1) as f64;
            return Ok((0..LEVELS).map(|i| (level(i) * 1e4).round() / 1e4).collect());
        };
        let level = |text: &str| {
            let level = text.trim().parse();
            level.map_err(|_| {
                Error::setting(format!("--noise-levels has {text:?}, expected numbers as 0.02,0.1"))
            })
        };
        text.split(',').map(level).collect()
    }
}

/// A kind of noise at several levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The kind.
    pub kind: String,
    /// Where it is added.
    pub space: String,
    /// What its levels are.
    pub spread: String,
    /// The levels.
    pub levels: Vec<f64>,
    /// How often each is drawn.
    pub seeds: u64,
}

/// What a net reached on a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveScores {
    /// The noise.
    pub curve: Curve,
    /// Accuracy at each level, for each noise seed.
    pub accuracy: Vec<Vec<f64>>,
}

/// What [`CurveScores::csv_rows`] hold.
pub const SCORE_COLUMNS: [&str; 6] = ["noise", "space", "spread", "level", "noise_seed", "accuracy"];

impl CurveScores {
    /// Every score, the fields of a row each.
    pub fn csv_rows(&self) -> impl Iterator<Item = Vec<String>> {
        let Curve { kind, space, spread, levels, .. } = &self.curve;
        let scores = levels.iter().zip(&self.accuracy).flat_map(|(level, accuracies)| {
            accuracies.iter().enumerate().map(move |(seed, accuracy)| (level, seed, accuracy))
        });
        scores.map(move |(level, seed, accuracy)| row![kind, space, spread, level, seed, accuracy])
    }

    /// Scores a net along a curve; none where the monitor asks to stop.
    ///
    /// # Errors
    /// What the net reports.
    pub fn measure(
        trainer: &mut Trainer,
        test: &Loader,
        curve: &Curve,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>> {
        let mut accuracy = Vec::new();
        for &level in &curve.levels {
            let mut row = Vec::new();
            for seed in 0..curve.seeds {
                let noise = Noise {
                    kind: curve.kind.parse().map_err(Error::input)?,
                    level,
                    space: curve.space.parse().map_err(Error::input)?,
                    spread: curve.spread.parse().map_err(Error::input)?,
                    seed,
                };
                let Some(score) = score(trainer, test, Some(&noise), monitor)? else { return Ok(None) };
                row.push(score.accuracy);
            }
            accuracy.push(row);
        }
        Ok(Some(Self { curve: curve.clone(), accuracy }))
    }

    /// Mean accuracy at each level.
    pub fn means(&self) -> Vec<f64> {
        self.accuracy.iter().map(|row| row.iter().sum::<f64>() / row.len().max(1) as f64).collect()
    }
}

/// A named curve.
pub struct NamedScores<'a> {
    /// For the legend.
    pub name: &'a str,
    /// The noise.
    pub curve: &'a Curve,
    /// Accuracy without noise.
    pub clean: f64,
    /// Accuracy at each level, as often as it was measured.
    pub accuracy: Vec<Vec<f64>>,
}

impl NamedScores<'_> {
    /// The line: the clean accuracy at level 0, then means, with 95 % t intervals where a level was measured more than
    /// once.
    fn line(&self) -> Line<'_> {
        let levels = || self.curve.levels.iter().zip(self.accuracy.iter().map(|sample| Summary::of(sample)));
        let points = levels().map(|(level, sample)| (*level, 100.0 * sample.mean));
        let interval = |(level, sample): (&f64, Summary)| {
            let (low, high) = sample.t_interval?;
            Some((*level, 100.0 * low, 100.0 * high))
        };
        Line {
            name: self.name,
            points: std::iter::once((0.0, 100.0 * self.clean)).chain(points).collect(),
            intervals: levels().filter_map(interval).collect(),
            dashed: false,
        }
    }
}

impl Curve {
    /// What a level is, with its unit.
    fn unit(&self) -> String {
        let pixel =
            if self.space == "pixel" { "pixel values from 0 to 1" } else { "normalised pixel values" };
        match (&self.kind[..], &self.spread[..]) {
            ("gaussian", "variance") => format!("variance σ², in squared {pixel}"),
            ("gaussian", _) => format!("standard deviation σ, in {pixel}"),
            _ => "share of pixels set to black or white".into(),
        }
    }
}

/// Draws accuracy over noise, a chart for each kind: what was measured, and on the paper's data set its end points,
/// joined by dashes.
pub fn chart(kinds: &[Vec<NamedScores<'_>>], on_papers_data: bool) -> String {
    let unit = |curves: &Vec<NamedScores<'_>>| curves.first().map_or(String::new(), |c| c.curve.unit());
    let units: Vec<String> = kinds.iter().map(unit).collect();
    let charts: Vec<Chart> = kinds
        .iter()
        .zip(&units)
        .map(|(curves, unit)| {
            let kind = curves.first().map_or("", |curve| &curve.curve.kind);
            let mut lines: Vec<Line> = curves.iter().map(NamedScores::line).collect();
            for (_, with, without) in
                PAPER.iter().filter(|(paper, ..)| on_papers_data && paper.to_string() == kind)
            {
                for (name, ends) in [("paper, LR", with), ("paper, no LR", without)] {
                    let points = PAPER_LEVELS.into_iter().zip(*ends).collect();
                    lines.push(Line { name, points, dashed: true, ..Line::default() });
                }
            }
            let title = if kind == "gaussian" { "Gaussian noise" } else { "Salt-and-pepper noise" };
            Chart { title, x: unit, y: "right answers, %", lines, ..Chart::default() }
        })
        .collect();
    document(&charts)
}

/// Tells whether a data set is the one of the paper's figure.
pub fn is_papers_data(source: &Source) -> bool {
    matches!(source, Source::Images(set, _) if set.name == "cifar10")
}

/// What was measured of one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunScores {
    run: String,
    #[serde(skip)]
    on_papers_data: bool,
    beta: f32,
    clean_accuracy: f64,
    noise: Vec<CurveScores>,
}

/// Scores one run, without noise first; none where the monitor asks to stop.
///
/// # Errors
/// A run that cannot be opened, noise that its data set has none of; what the net reports.
pub fn measure(
    path: &Path,
    opening: &Opening,
    curves: &[Curve],
    monitor: &dyn Monitor,
) -> Result<Option<RunScores>> {
    let Checkpoint { settings, data, mut trainer, .. } = Checkpoint::open(path, opening, monitor)?;
    let test = data.test_loader(&settings)?;
    let Some(clean) = score(&mut trainer, &test, None, monitor)? else { return Ok(None) };
    let mut noise = Vec::new();
    for curve in curves {
        let Some(scores) = CurveScores::measure(&mut trainer, &test, curve, monitor)? else {
            return Ok(None);
        };
        noise.push(scores);
    }
    let (run, beta) = (path.display().to_string(), settings.config.beta.unwrap_or(0.0));
    let on_papers_data = is_papers_data(&settings.source);
    Ok(Some(RunScores { run, on_papers_data, beta, clean_accuracy: clean.accuracy, noise }))
}

/// The table: a row for each run and kind, and the paper's end points.
pub fn rows(scores: &[RunScores]) -> Vec<Vec<String>> {
    let levels = scores.first().and_then(|run| run.noise.first()).map_or(&[][..], |n| &n.curve.levels);
    let mut head = row!["run", "noise", "clean"];
    head.extend(levels.iter().map(f64::to_string));
    let mut rows = vec![head];
    for run in scores {
        for noise in &run.noise {
            let clean = format!("{:.2}", 100.0 * run.clean_accuracy);
            let mut cells = row![run.run, noise.curve.kind, clean];
            cells.extend(noise.means().iter().map(|mean| format!("{:.2}", 100.0 * mean)));
            rows.push(cells);
        }
    }
    for (kind, with, without) in PAPER.into_iter().filter(|_| scores.iter().all(|run| run.on_papers_data)) {
        for (name, ends) in [("paper, with LR", with), ("paper, without LR", without)] {
            let mut cells = row![name, kind, ""];
            let at = |level: &f64| PAPER_LEVELS.iter().position(|paper| (paper - level).abs() < 1e-9);
            cells.extend(
                levels.iter().map(|level| at(level).map_or(String::new(), |i| format!("{:.1}", ends[i]))),
            );
            rows.push(cells);
        }
    }
    rows
}

/// Every score as CSV, one line each.
pub fn csv(scores: &[RunScores]) -> String {
    let mut csv = Csv::with_head(&[&["run", "beta"][..], &SCORE_COLUMNS].concat());
    for run in scores {
        for row in run.noise.iter().flat_map(CurveScores::csv_rows) {
            csv.row(row![run.run, run.beta].into_iter().chain(row));
        }
    }
    csv.finish()
}

/// Draws accuracy over noise, a line for each run.
pub fn svg(scores: &[RunScores]) -> String {
    let kinds = scores.first().map_or(&[][..], |run| &run.noise);
    let of_kind = |k: usize| {
        let curve = |run| {
            let RunScores { run, noise, clean_accuracy, .. }: &RunScores = run;
            let name = run.trim_end_matches('/').rsplit('/').next().unwrap_or(run);
            NamedScores {
                name,
                curve: &noise[k].curve,
                clean: *clean_accuracy,
                accuracy: noise[k].accuracy.clone(),
            }
        };
        scores.iter().map(curve).collect()
    };
    let charts: Vec<_> = (0..kinds.len()).map(of_kind).collect();
    chart(&charts, scores.iter().all(|run| run.on_papers_data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(kind: &str, space: &str, spread: &str) -> Curve {
        let (kind, space, spread) = (kind.into(), space.into(), spread.into());
        Curve { kind, space, spread, levels: vec![0.1, 0.2], seeds: 2 }
    }

    #[test]
    fn a_line_begins_at_the_clean_accuracy_and_has_intervals() {
        let curve = curve("gaussian", "pixel", "sigma");
        let accuracy = vec![vec![0.5, 0.75], vec![0.25]];
        let scores = NamedScores { name: "a", curve: &curve, clean: 0.875, accuracy };
        let line = scores.line();
        assert_eq!(line.points, [(0.0, 87.5), (0.1, 62.5), (0.2, 25.0)]);
        // Of two numbers a quarter apart: t₀.₉₇₅(1) = 12.7062 times (1/4)/√2/√2.
        let [(level, low, high)] = line.intervals[..] else { panic!("{:?}", line.intervals) };
        let half = 100.0 * 12.706_205 * 0.125;
        assert!(level == 0.1 && (low - (62.5 - half)).abs() < 1e-3 && (high - (62.5 + half)).abs() < 1e-3);
    }

    #[test]
    fn axes_say_what_a_level_is() {
        let unit = |kind, space, spread| curve(kind, space, spread).unit();
        assert_eq!(unit("gaussian", "pixel", "sigma"), "standard deviation σ, in pixel values from 0 to 1");
        assert_eq!(
            unit("gaussian", "normalised", "variance"),
            "variance σ², in squared normalised pixel values"
        );
        assert_eq!(unit("salt-and-pepper", "pixel", "sigma"), "share of pixels set to black or white");
    }

    #[test]
    fn settings_say_which_noise_is_measured() {
        let of = |kinds: &str| NoiseConfig { kinds: Some(kinds.into()), ..NoiseConfig::default() };
        let [curve] = &of("salt-and-pepper").curves().unwrap()[..] else { panic!("one curve") };
        // Ten levels, evenly from 0.02 to 0.1, rounded to four digits.
        let levels = [0.02, 0.0289, 0.0378, 0.0467, 0.0556, 0.0644, 0.0733, 0.0822, 0.0911, 0.1];
        assert_eq!((&curve.levels[..], curve.seeds), (&levels[..], 3));
        assert_eq!(
            (&curve.kind[..], &curve.space[..], &curve.spread[..]),
            ("salt-and-pepper", "pixel", "sigma")
        );
        let upper = NoiseConfig {
            levels: Some("0.5".into()),
            space: Some(Space::Normalised),
            spread: Some(Spread::Variance),
            seeds: Some(7),
            ..of("gaussian")
        };
        let below = NoiseConfig { levels: Some("0.25".into()), seeds: Some(5), ..of("salt-and-pepper") };
        let [curve] = &upper.over(below.clone()).curves().unwrap()[..] else { panic!("one curve") };
        let want = Curve {
            kind: "gaussian".into(),
            space: "normalised".into(),
            spread: "variance".into(),
            levels: vec![0.5],
            seeds: 7,
        };
        assert_eq!(*curve, want);
        let [curve] = &NoiseConfig::default().over(below).curves().unwrap()[..] else { panic!("one curve") };
        assert_eq!((&curve.levels[..], curve.seeds), (&[0.25][..], 5));
        assert!(NoiseConfig::default().curves().unwrap().is_empty());
        assert!(NoiseConfig { seeds: Some(0), ..of("gaussian") }.curves().is_err());
    }

    #[test]
    fn the_papers_points_belong_to_its_data_set() {
        let curve = curve("salt-and-pepper", "pixel", "sigma");
        let of = |on_papers_data| {
            let accuracy = vec![vec![0.5], vec![0.4]];
            chart(&[vec![NamedScores { name: "a", curve: &curve, clean: 0.9, accuracy }]], on_papers_data)
        };
        assert!(!of(false).contains("paper"));
        assert!(of(true).contains("paper, no LR") && of(true).contains("Salt-and-pepper noise"));
        // As the paper's figure 7 has them: ResNet-19 on CIFAR-10.
        assert_eq!(PAPER[1].1, [82.1, 77.1]);
        assert!(is_papers_data(&Source::cifar10("x")) && !is_papers_data(&Source::Shapes));
    }
}
