//! Energy: what an inference of a trained net would cost, by four models, from counted operations.

use crate::checkpoint::Checkpoint;
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use spikegrad::Trainer;
use spikegrad::data::Loader;
use spikegrad::models::energy::{BreakEven, Constants, LayerWork, Model, Operations, Total};
use spikegrad::models::{InputKind, LayerOperations, UnitSpikes};
use spikegrad_report::log_dots::{Group, LogDots};
use spikegrad_report::row;
use spikegrad_report::table::{markdown, table};
use std::path::Path;

/// The constants, as a file of the user's may give them.
pub const CONSTANTS: &str = "\
# Energies in picojoules, 45 nm, and where they come from.

# 32-bit integers: the paper's appendix.
integer = { mac = 3.2, ac = 0.1 }

# 32-bit floats: multiplication 3.7 and addition 0.9 (Horowitz, ISSCC 2014, figure 1.1.9).
float = { mac = 4.6, ac = 0.9 }

# Reading or writing a 32-bit word of a memory of so many bytes: half of Horowitz's figures for 64 bits (8 KiB: 10,
# 32 KiB: 20, 1 MiB: 100), straight lines between. Larger memories count as 1 MiB, on the chip.
access = [[8192, 5.0], [32768, 10.0], [1048576, 50.0]]
";

/// The file of energies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstantsFile {
    integer: OperationsFile,
    float: OperationsFile,
    access: Vec<(f64, f64)>,
}

/// Energies of two operations in that file.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationsFile {
    mac: f64,
    ac: f64,
}

/// Counts the operations of a trained net's inferences on its first `images` scoring images; `run` names it in an error.
///
/// # Errors
/// A ReLU twin, which has no spikes; what the net reports.
pub fn count(
    run: &Path,
    checkpoint: &mut Checkpoint,
    images: usize,
    constants: Constants,
) -> Result<Figures> {
    let Checkpoint { settings, data, trainer, .. } = checkpoint;
    if settings.config.twin == Some(true) {
        return Err(Error::at(run, "is a ReLU twin: it has no spikes to count"));
    }
    let counted = Counted::over(trainer, &data.test_loader(settings)?, images)?;
    Ok(Figures { counted, constants })
}

/// Reads constants from TOML and checks them.
///
/// # Errors
/// Broken TOML, an unknown key, an energy that makes no sense, in words.
pub fn parse(text: &str) -> Result<Constants, String> {
    let file: ConstantsFile = toml::from_str(text).map_err(|why| why.message().to_string())?;
    let energies = [file.integer.mac, file.integer.ac, file.float.mac, file.float.ac];
    let accesses = file.access.iter().flat_map(|(bytes, energy)| [*bytes, *energy]);
    if let Some(bad) = energies.into_iter().chain(accesses).find(|x| !(x.is_finite() && *x >= 0.0)) {
        return Err(format!("an energy is {bad}, expected a finite number, 0 or more"));
    }
    if file.access.is_empty() || file.access.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("access wants one or more [bytes, pJ], bytes ascending".into());
    }
    let operations = |o: OperationsFile| Operations { mac: o.mac, ac: o.ac };
    let (integer, float) = (operations(file.integer), operations(file.float));
    Ok(Constants { integer, float, access: file.access })
}

/// What was counted over all images.
struct Counted {
    layers: Vec<LayerOperations>,
    units: Vec<UnitSpikes>,
    images: usize,
    parameters: usize,
    buffers: usize,
}

impl Counted {
    /// Runs the net on the first `most` images of a loader.
    fn over(trainer: &mut Trainer, test: &Loader, most: usize) -> Result<Self> {
        let params = trainer.net().params();
        let (parameters, buffers) = (params.weights.len(), params.buffers.len());
        let mut all = Self { layers: Vec::new(), units: Vec::new(), images: 0, parameters, buffers };
        for batch in test.epoch(0) {
            let images = batch.len.min(most - all.images);
            if images == 0 {
                break;
            }
            trainer.predict(&batch.images)?;
            all.images += images;
            let (layers, units) = (trainer.net().operations(images), trainer.net().spikes(images));
            if all.layers.is_empty() {
                (all.layers, all.units) = (layers, units);
                continue;
            }
            for (sum, layer) in all.layers.iter_mut().zip(&layers) {
                add(&mut sum.active, &layer.active);
                add(&mut sum.effective, &layer.effective);
            }
            all.units.iter_mut().zip(&units).for_each(|(sum, unit)| add(&mut sum.spikes, &unit.spikes));
        }
        Ok(all)
    }

    /// The layers' work of one image.
    fn work(&self) -> Vec<LayerWork> {
        let layers = self.layers.iter().enumerate();
        layers.map(|(i, layer)| LayerWork::mean(layer, i == 0, &self.units, self.images)).collect()
    }

    /// Operations of one kind, an image.
    fn effective(&self, kind: InputKind) -> f64 {
        let layers = self.layers.iter().filter(|layer| layer.input == kind);
        layers.flat_map(|layer| &layer.effective).sum::<u64>() as f64 / self.images as f64
    }
}

/// sum += numbers.
fn add(sum: &mut [u64], numbers: &[u64]) {
    sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

/// Counts and what they cost.
pub struct Figures {
    counted: Counted,
    constants: Constants,
}

impl Figures {
    fn total(&self, model: Model) -> Total {
        Total::of(&self.counted.work(), model, &self.constants)
    }

    /// A row for each layer: counts, and energies in nanojoules.
    fn layer_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row![
            "layer",
            "reads",
            "rate, %",
            "operations",
            "of dense, %",
            "ANN, nJ",
            "SNN, nJ",
            "SNN with memory, nJ"
        ]];
        for work in self.counted.work() {
            let reads = if work.input == InputKind::Spikes { "spikes" } else { "reals" };
            let nano = |energy: f64| format!("{:.1}", energy / 1e3);
            rows.push(row![
                work.layer,
                reads,
                format!("{:.1}", 100.0 * work.rate()),
                format!("{:.0}", work.effective),
                format!("{:.1}", 100.0 * work.effective / (work.dense * work.steps)),
                nano(work.ann(Model::Counted, &self.constants)),
                nano(work.snn(Model::Counted, &self.constants)),
                nano(work.snn(Model::Memory, &self.constants))
            ]);
        }
        rows
    }

    /// A row for each model.
    fn model_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row!["model", "ANN, µJ", "SNN, µJ", "ANN ÷ SNN", "break-even rate, %"]];
        for model in Model::ALL {
            let total = self.total(model);
            let micro = |energy: f64| format!("{:.3}", energy / 1e6);
            let even = match total.break_even {
                BreakEven::At(rate) => format!("{:.1}", 100.0 * rate),
                BreakEven::Always => "any".into(),
                BreakEven::Never => "none".into(),
            };
            rows.push(row![
                model.name(),
                micro(total.ann),
                micro(total.snn),
                format!("{:.2}", total.ratio()),
                even
            ]);
        }
        rows
    }

    /// Spikes of each layer of neurons at each step, an image.
    fn spike_rows(&self) -> Vec<Vec<String>> {
        let steps = self.counted.units.first().map_or(0, |unit| unit.spikes.len());
        let mut head = row!["neurons of", "neurons"];
        head.extend((1..=steps).map(|t| format!("spikes, step {t}")));
        head.push("rate, %".into());
        let mut rows = vec![head];
        for UnitSpikes { unit, neurons, spikes } in &self.counted.units {
            let mut cells = row![unit, neurons];
            let images = self.counted.images as f64;
            cells.extend(spikes.iter().map(|count| format!("{:.1}", *count as f64 / images)));
            let all = spikes.iter().sum::<u64>() as f64 / images;
            cells.push(format!("{:.1}", 100.0 * all / (neurons * steps as u64) as f64));
            rows.push(cells);
        }
        rows
    }

    /// The tables for a terminal, under a line that names the run.
    pub fn text(&self, run: &Path) -> String {
        let images = self.counted.images;
        format!(
            "{}: counted on {images} images, all figures for one image\n\n{}\n{}\n{}",
            run.display(),
            table(&self.spike_rows()),
            table(&self.layer_rows()),
            table(&self.model_rows())
        )
    }

    /// The tables in Markdown.
    pub fn markdown(&self) -> String {
        let images = self.counted.images;
        format!(
            "Counted on {images} images; all figures for one image.\n\n{}\n{}\n{}",
            markdown(&self.model_rows()),
            markdown(&self.layer_rows()),
            markdown(&self.spike_rows())
        )
    }

    /// The net's figures under NeuroBench's names, the models, the layers.
    pub fn json(&self) -> Value {
        let Counted { layers, units, images, parameters, buffers } = &self.counted;
        let sum = |value: fn(&LayerOperations) -> u64| layers.iter().map(value).sum::<u64>();
        let dense: u64 = layers.iter().map(|layer| layer.dense * layer.effective.len() as u64).sum();
        let fired: u64 = units.iter().flat_map(|unit| &unit.spikes).sum();
        let places: u64 = units.iter().map(|u| u.neurons * u.spikes.len() as u64 * *images as u64).sum();
        let models = Model::ALL.map(|model| {
            let total = self.total(model);
            json!({
                "model": model.name(), "ann_pj": total.ann, "snn_pj": total.snn, "ann_over_snn": total.ratio(),
                "break_even_rate": match total.break_even {
                    BreakEven::At(rate) => json!(rate),
                    BreakEven::Always => json!("any"),
                    BreakEven::Never => json!("none"),
                },
            })
        });
        let work = self.counted.work();
        let layer = |(layer, work): (&LayerOperations, &LayerWork)| {
            let energies = Model::ALL.map(|model| {
                let (ann, snn) = (work.ann(model, &self.constants), work.snn(model, &self.constants));
                json!({ "model": model.name(), "ann_pj": ann, "snn_pj": snn })
            });
            json!({
                "layer": layer.layer, "spikes": layer.input == InputKind::Spikes, "active": layer.active,
                "effective": layer.effective, "dense": layer.dense, "macs": layer.macs, "rate": work.rate(),
                "energies": energies,
            })
        };
        let units = units.iter().map(|u| json!({ "unit": u.unit, "neurons": u.neurons, "spikes": u.spikes }));
        json!({
            "images": images,
            "Footprint": 4 * (parameters + buffers),
            "ConnectionSparsity": sum(|l| l.zero_weights) as f64 / sum(|l| l.weights) as f64,
            "ActivationSparsity": 1.0 - fired as f64 / places as f64,
            "SynapticOperations": {
                "Effective_MACs": self.counted.effective(InputKind::Real),
                "Effective_ACs": self.counted.effective(InputKind::Spikes),
                "Dense": dense,
            },
            "models": models,
            "layers": layers.iter().zip(&work).map(layer).collect::<Vec<_>>(),
            "units": units.collect::<Vec<_>>(),
        })
    }

    /// Microjoules of each layer: ANN and SNN by their operations, then both with memory.
    fn groups(&self) -> Vec<Group> {
        let c = &self.constants;
        let group = |work: &LayerWork| {
            let energies = [
                work.ann(Model::Counted, c),
                work.snn(Model::Counted, c),
                work.ann(Model::Memory, c),
                work.snn(Model::Memory, c),
            ];
            Group { name: work.layer.clone(), values: energies.map(|energy| energy / 1e6).to_vec() }
        };
        self.counted.work().iter().map(group).collect()
    }

    /// Draws the energy of each layer.
    pub fn chart(&self) -> String {
        LogDots {
            title: "Energy of an inference, layer by layer",
            axis: "energy, µJ an image (logarithmic)",
            series: &["ANN, operations", "SNN, operations", "ANN with memory", "SNN with memory"],
            groups: self.groups(),
        }
        .document()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_that_are_printed_are_those_that_are_used() {
        let constants = parse(CONSTANTS).unwrap();
        assert_eq!(constants.integer, Operations { mac: 3.2, ac: 0.1 });
        assert_eq!(constants.float, Operations { mac: 4.6, ac: 0.9 });
        assert_eq!(constants.access(8192.0 + 12288.0), 7.5);
        assert_eq!((constants.access(1.0), constants.access(1e9)), (5.0, 50.0));
    }

    #[test]
    fn the_chart_shows_microjoules() {
        let layer = LayerOperations {
            layer: "fc2".into(),
            input: InputKind::Spikes,
            unit: None,
            active: vec![60, 40],
            effective: vec![6_000_000, 4_000_000],
            dense: 2_000_000,
            macs: 2_000_000,
            inputs: 100,
            outputs: 1,
            weights: 1,
            zero_weights: 0,
        };
        let counted =
            Counted { layers: vec![layer], units: Vec::new(), images: 2, parameters: 1, buffers: 0 };
        // Every access at 2 pJ.
        let mut constants = parse(CONSTANTS).unwrap();
        constants.access = vec![(1.0, 2.0)];
        let groups = Figures { counted, constants }.groups();
        // 2 million products of 4.6 pJ; 5 million additions of 0.9 pJ an image. With memory, a product reads two words
        // and adds two addresses, the output is written; an addition reads a weight, reads and writes a potential and
        // adds three addresses, an input is read and adds one.
        let ann = 9.2 + (4.0 * 2e6 + 2.0 + (4e6 + 1.0) * 0.9) / 1e6;
        let snn = 4.5 + (6.0 * 5e6 + 2.0 * 50.0 + (3.0 * 5e6 + 50.0) * 0.9) / 1e6;
        assert_eq!((groups.len(), &groups[0].name[..]), (1, "fc2"));
        for (got, want) in groups[0].values.iter().zip([9.2, 4.5, ann, snn]) {
            assert!((got - want).abs() < 1e-9, "got {got}, want {want}");
        }
    }

    #[test]
    fn constants_that_make_no_sense_are_errors() {
        let wrong = |from: &str, to: &str| parse(&CONSTANTS.replace(from, to)).unwrap_err();
        assert!(wrong("mac = 3.2", "mac = -3.2").contains("-3.2"));
        assert!(wrong("[8192, 5.0], ", "[32768, 5.0], ").contains("ascending"));
        assert!(wrong("float", "flout").contains("flout"));
    }
}
