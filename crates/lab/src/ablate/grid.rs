//! What an ablation is made of: settings that all cells share, axes, seeds.

use crate::files;
use crate::robustness::{Curve, NoiseConfig};
use crate::settings::RunConfig;
use crate::settings::Settings;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A setting and the values it takes, the baseline first.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    name: String,
    values: Vec<Value>,
}

/// What a plan is made from: a file, and what is laid over it.
#[derive(Clone, Debug, Default)]
pub struct PlanConfig {
    /// Settings that all cells share.
    pub config: RunConfig,
    /// A TOML file with settings, seeds, a `[grid]` and perhaps `[noise]`.
    pub file: Option<PathBuf>,
    /// Axes of the grid, each `NAME=A,B,…`, instead of the file's.
    pub grid: Vec<String>,
    /// Seeds 1 to so many, instead of the file's.
    pub seeds: Option<u64>,
    /// The noise that each net is scored under.
    pub noise: NoiseConfig,
}

/// A checked plan.
#[derive(Clone, Debug)]
pub struct Plan {
    title: String,
    settings: Table,
    axes: Vec<Axis>,
    seeds: Vec<u64>,
    /// The noise that each net is scored under.
    pub noise: Vec<Curve>,
}

/// One run of the ablation.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Where it lies on each axis: name and value.
    pub point: Vec<(String, String)>,
    /// Its seed.
    pub seed: u64,
    /// All that training needs.
    pub settings: Settings,
}

impl Cell {
    /// The point in words, `delta=0.1 beta=0`; all cells of an ablation without axes lie at `baseline`.
    pub fn label(&self) -> String {
        let parts: Vec<String> = self.point.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if parts.is_empty() { "baseline".into() } else { parts.join(" ") }
    }

    /// The name of its folder.
    pub fn name(&self) -> String {
        let fit = |c: char| if c.is_ascii_alphanumeric() || "=._-+".contains(c) { c } else { '-' };
        format!("{}_seed={}", self.label().replace(' ', "_"), self.seed).chars().map(fit).collect()
    }
}

/// Seeds in a file: how many, or which.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Seeds {
    Count(u64),
    List(Vec<u64>),
}

/// Seeds of a plan that names none.
const SEEDS: u64 = 3;

/// The most cells of a grid.
const MOST_CELLS: u128 = 10_000;

impl Plan {
    /// Lays what is given over the file, and checks that every cell makes sense.
    ///
    /// # Errors
    /// A file that cannot be read or used, an axis that is no setting, a cell with a setting out of range.
    pub fn resolve(given: PlanConfig) -> Result<Self> {
        let PlanConfig { config, file, grid: given_grid, seeds: given_seeds, noise: given_noise } = given;
        let at = file.as_deref();
        let mut file = match at {
            Some(path) => read(path)?,
            None => Table::new(),
        };
        let grid: Table = take(&mut file, "grid", at)?.unwrap_or_default();
        let seeds: Option<Seeds> = take(&mut file, "seeds", at)?;
        let noise: NoiseConfig = take(&mut file, "noise", at)?.unwrap_or_default();
        let below = parse(file, at)?;
        let settings = config.over_saved(below);
        if settings.seed.is_some() {
            return Err(Error::setting("an ablation has --seeds (or seeds = […] in its file), not --seed"));
        }
        let axes = match given_grid.is_empty() {
            true => grid.into_iter().map(|(name, values)| axis_of_file(name, values, at)).collect(),
            false => given_grid.iter().map(|text| axis_of_flag(text)).collect::<Result<Vec<_>, _>>(),
        }?;
        let seeds = match given_seeds.map(Seeds::Count).or(seeds).unwrap_or(Seeds::Count(SEEDS)) {
            Seeds::Count(count) => {
                check_count(&axes, count)?;
                (1..=count).collect()
            }
            Seeds::List(list) => {
                check_count(&axes, list.len() as u64)?;
                list
            }
        };
        check_seeds(&seeds)?;
        let noise = given_noise.over(noise).curves()?;
        let title = match at.and_then(Path::file_stem) {
            Some(stem) => stem.to_string_lossy().into_owned(),
            None => Settings::check(settings.clone())?.title(),
        };
        Ok(Self { title, settings: table(&settings)?, axes, seeds, noise })
    }

    /// The name of the ablation's folder.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Every cell: seeds outermost, so that an ablation cut short has whole columns; then the axes in order.
    ///
    /// # Errors
    /// A cell whose settings make no sense, with its label.
    pub fn cells(&self) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            let points = self.axes.iter().map(|axis| axis.values.len()).product::<usize>();
            for point in 0..points {
                cells.push(self.cell(point, seed)?);
            }
        }
        Ok(cells)
    }

    /// The cell at place `point` of the grid, the last axis running fastest.
    fn cell(&self, mut point: usize, seed: u64) -> Result<Cell> {
        let (mut settings, mut place) = (self.settings.clone(), Vec::new());
        for axis in self.axes.iter().rev() {
            let value = &axis.values[point % axis.values.len()];
            point /= axis.values.len();
            if axis.name == "surrogate" {
                // Each surrogate with its own parameter, unless that is an axis too.
                settings.remove("window");
                settings.remove("alpha");
            }
            settings.insert(axis.name.clone(), value.clone());
            place.push((axis.name.clone(), show(value)));
        }
        place.reverse();
        let label: Vec<String> = place.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let explain = |why: Error| Error::setting(format!("cell {}: {why}", label.join(" ")));
        let mut config = parse(settings, None).map_err(explain)?;
        config.seed = Some(seed);
        Ok(Cell { point: place, seed, settings: Settings::check(config).map_err(explain)? })
    }
}

/// Reads a TOML file.
fn read(path: &Path) -> Result<Table> {
    let text = files::read_text(path).map_err(|why| Error::at(path, why))?;
    text.parse().map_err(|why: toml::de::Error| {
        let line = why.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
        Error::at(path, format!("line {}: {}", line + 1, why.message()))
    })
}

/// Takes an entry out of a file's table.
fn take<T: for<'a> Deserialize<'a>>(file: &mut Table, key: &str, path: Option<&Path>) -> Result<Option<T>> {
    let Some(value) = file.remove(key) else { return Ok(None) };
    value.try_into().map(Some).map_err(|why| explain(path, format!("{key}: {}", why.message())))
}

/// Reads settings under the flags' names.
fn parse(settings: Table, path: Option<&Path>) -> Result<RunConfig> {
    settings.try_into().map_err(|why: toml::de::Error| explain(path, why.message().to_string()))
}

/// Settings as a table.
fn table(config: &RunConfig) -> Result<Table> {
    Table::try_from(config).map_err(Error::input)
}

fn explain(path: Option<&Path>, why: String) -> Error {
    match path {
        Some(path) => Error::at(path, why),
        None => Error::setting(why),
    }
}

/// An axis of a file: `delta = [0, 1e-4]`.
fn axis_of_file(name: String, values: Value, path: Option<&Path>) -> Result<Axis> {
    match values {
        Value::Array(values) => check_axis(Axis { name, values }),
        other => {
            let found = other.type_str();
            Err(explain(path, format!("grid.{name} is a {found}, must be a list: {name} = [first, second]")))
        }
    }
}

/// An axis of a flag: `delta=0,1e-4`.
fn axis_of_flag(text: &str) -> Result<Axis> {
    let Some((name, values)) = text.split_once('=') else {
        return Err(Error::setting(format!("--grid {text}: expected NAME=A,B,…")));
    };
    let value = |text: &str| {
        let number = format!("x = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("x"));
        number.filter(|value| !value.is_str()).unwrap_or_else(|| Value::String(text.to_string()))
    };
    let values = values.split(',').map(|text| value(text.trim())).collect();
    check_axis(Axis { name: name.trim().to_string(), values })
}

/// An axis has values, each once, and is not the seed.
fn check_axis(axis: Axis) -> Result<Axis> {
    let Axis { name, values } = &axis;
    let labels: Vec<String> = values.iter().map(show).collect();
    if name == "seed" {
        return Err(Error::setting("seed is no axis of the grid: give --seeds"));
    }
    if values.is_empty() || labels.iter().any(String::is_empty) {
        return Err(Error::setting(format!("axis {name} of the grid has an empty value")));
    }
    match (1..labels.len()).find(|&i| labels[..i].contains(&labels[i])) {
        Some(i) => Err(Error::setting(format!("axis {name} of the grid has {} twice", labels[i]))),
        None => Ok(axis),
    }
}

/// Checks that the grid has no more cells than can be listed.
fn check_count(axes: &[Axis], seeds: u64) -> Result<()> {
    let points = axes.iter().fold(1u128, |points, axis| points.saturating_mul(axis.values.len() as u128));
    let cells = points.saturating_mul(seeds.into());
    match cells > MOST_CELLS {
        true => Err(Error::setting(format!(
            "{seeds} seeds of {points} points are {cells} cells, must be at most {MOST_CELLS}"
        ))),
        false => Ok(()),
    }
}

fn check_seeds(seeds: &[u64]) -> Result<()> {
    if seeds.is_empty() {
        return Err(Error::setting("--seeds is 0, must be at least 1"));
    }
    match (1..seeds.len()).find(|&i| seeds[..i].contains(&seeds[i])) {
        Some(i) => Err(Error::setting(format!("seed {} is given twice", seeds[i]))),
        None => Ok(()),
    }
}

/// A value as it stands in labels.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_axes_of_numbers_and_names() {
        let axis = axis_of_flag("delta=0, 1e-4,-0.1").unwrap();
        assert_eq!(axis.values.iter().map(show).collect::<Vec<_>>(), ["0", "0.0001", "-0.1"]);
        let axis = axis_of_flag("surrogate=rectangle,arctan").unwrap();
        assert_eq!(axis.values[1], Value::String("arctan".into()));
        for wrong in ["delta", "delta=0,0", "delta=", "seed=1,2"] {
            assert!(axis_of_flag(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_surrogate_of_an_axis_has_its_own_parameter() {
        let axes = vec![axis_of_flag("surrogate=rectangle,arctan").unwrap()];
        let config =
            RunConfig { surrogate: "rectangle".parse().ok(), window: Some(0.75), ..RunConfig::default() };
        let (title, settings) = ("t".to_string(), table(&config).unwrap());
        let plan = Plan { title, settings, axes, seeds: vec![1], noise: Vec::new() };
        let parameters: Vec<_> = plan
            .cells()
            .unwrap()
            .iter()
            .map(|c| (c.settings.config.window, c.settings.config.alpha))
            .collect();
        assert_eq!(parameters, [(Some(0.5), None), (None, Some(2.0))]);
    }

    #[test]
    fn cells_are_the_product_of_axes_and_seeds() {
        let axes = ["delta=0,0.5", "reset=hard,soft,soft-detached"];
        let axes = axes.into_iter().map(|text| axis_of_flag(text).unwrap()).collect();
        let config = RunConfig { lr: Some(0.25), ..RunConfig::default() };
        let (title, settings) = ("t".to_string(), table(&config).unwrap());
        let plan = Plan { title, settings, axes, seeds: vec![4, 9], noise: Vec::new() };
        let cells = plan.cells().unwrap();
        assert_eq!(cells.len(), 12);
        assert_eq!(cells[0].label(), "delta=0 reset=hard");
        assert_eq!(cells[4].name(), "delta=0.5_reset=soft_seed=4");
        let config = &cells[10].settings.config;
        assert_eq!((config.seed, config.delta, config.lr), (Some(9), Some(0.5), Some(0.25)));
        assert_eq!(config.reset, "soft".parse().ok());
    }
}
