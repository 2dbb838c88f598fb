//! What a run looks like: `curves.svg` and `report.html`, both self-contained.

use crate::Error;
use crate::escape::{html as escape, shell_path};
use crate::plot::{Chart, Line, document};
use crate::thumbnails;
use spikegrad::data::SampleSet;
use spikegrad::tensor::Level;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The figures of an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// Epochs finished, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub train_loss: f64,
    /// Share of training images answered right while training.
    pub train_accuracy: f64,
    /// Share of scoring images answered right after the epoch.
    pub test_accuracy: f64,
    /// Cross-entropy on the scoring images.
    pub test_loss: f64,
    /// Learning rate of the last batch.
    pub lr: f32,
    /// Training images a second.
    pub images_per_second: f64,
    /// Seconds spent training.
    pub seconds: f64,
    /// Mean of `rates`.
    pub mean_rate: f64,
    /// Firing rate of each spiking layer, in the last batch.
    pub rates: &'a BTreeMap<String, f64>,
}

/// How the scoring images were answered after the last epoch.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// `confusion[label][answer]`: how many images.
    pub confusion: &'a [Vec<u64>],
    /// The answers to the first images.
    pub answers: &'a [usize],
}

/// What made a run's figures.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The program's version.
    pub version: &'static str,
    /// The instruction set that its kernels run on.
    pub level: Level,
    /// Threads at work.
    pub threads: usize,
    /// The processor and the system.
    pub machine: String,
    /// The command, as it can be typed again; empty where none made the run.
    pub command: String,
}

/// Everything on the page of a run.
#[derive(Clone, Debug)]
pub struct RunPage<'a> {
    /// The net and the data set.
    pub title: String,
    /// Epochs that the run is to have.
    pub epochs: usize,
    /// What the scoring images are called: test or held-out.
    pub scored_on: &'a str,
    /// The resolved settings, names and values.
    pub settings: Vec<(String, String)>,
    /// One entry per epoch, at least one.
    pub metrics: Vec<Epoch<'a>>,
    /// How the scoring images were answered after the last epoch.
    pub scored: Option<Scored<'a>>,
    /// The scoring images.
    pub test: &'a SampleSet,
    /// What made the figures.
    pub provenance: &'a Provenance,
    /// The run folder.
    pub folder: &'a Path,
}

/// Draws loss and accuracy over epochs, side by side.
pub fn curves(page: &RunPage<'_>) -> String {
    let (metrics, scored) = (&page.metrics, page.scored_on);
    let points = |value: fn(&Epoch<'_>) -> f64| -> Vec<(f64, f64)> {
        metrics.iter().map(|m| (m.epoch as f64, value(m))).collect()
    };
    let loss = Chart {
        title: "Loss",
        x: "epoch",
        least_x: 1.0,
        y: "loss",
        lines: vec![
            Line { name: "training", points: points(|m| m.train_loss), ..Line::default() },
            Line { name: scored, points: points(|m| m.test_loss), ..Line::default() },
        ],
        ..Chart::default()
    };
    let accuracy = Chart {
        title: "Accuracy",
        x: "epoch",
        least_x: 1.0,
        y: "right answers, %",
        lines: vec![
            Line { name: "training", points: points(|m| 100.0 * m.train_accuracy), ..Line::default() },
            Line { name: scored, points: points(|m| 100.0 * m.test_accuracy), ..Line::default() },
        ],
        ..Chart::default()
    };
    document(&[loss, accuracy])
}

/// Sides up to which a confusion matrix is drawn.
const MATRIX_LIMIT: usize = 20;
/// The width of an example, in pixels of the page.
const EXAMPLE: usize = 96;

impl RunPage<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// A sample with more pixels than a picture holds.
    pub fn html(&self) -> Result<String, Error> {
        let title = escape(&self.title);
        let style = include_str!("run_page.css");
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\
             <title>spikegrad: {title}</title><style>\n{style}</style></head><body>\n<h1>{title}</h1>\n"
        );
        self.figures(&mut page);
        page += "<h2>Curves</h2>\n";
        page += &curves(self);
        self.examples(&mut page)?;
        self.confusion(&mut page);
        self.rates(&mut page);
        self.table(&mut page);
        self.next_steps(&mut page);
        self.origin(&mut page);
        page += "</body></html>\n";
        Ok(page)
    }

    /// The figures that matter, as one paragraph.
    fn figures(&self, page: &mut String) {
        let best = self.metrics.iter().reduce(|a, b| if b.test_accuracy > a.test_accuracy { b } else { a });
        let (Some(last), Some(best)) = (self.metrics.last(), best) else { return };
        let seconds: f64 = self.metrics.iter().map(|m| m.seconds).sum();
        let scored = self.scored_on;
        let _ = writeln!(
            page,
            "<p>After {} of {} epochs: {scored} accuracy <b>{:.2} %</b>; {scored} loss {:.4}, training loss {:.4}. \
             Training took {:.1} s, {:.0} images/s.</p>\n<p class=\"quiet\">The best epoch was {} with {:.2} %. It \
             was chosen on the same {} {scored} images that give the figure, so it flatters the net a little; images \
             that nobody chose on would say how much.</p>",
            last.epoch,
            self.epochs,
            100.0 * last.test_accuracy,
            last.test_loss,
            last.train_loss,
            seconds,
            last.images_per_second,
            best.epoch,
            100.0 * best.test_accuracy,
            self.test.len()
        );
    }

    /// The name of a class.
    fn class(&self, label: usize) -> String {
        escape(&self.test.class_names().get(label).cloned().unwrap_or_else(|| label.to_string()))
    }

    /// The first scoring images, with what they are and what the net took them for.
    fn examples(&self, page: &mut String) -> Result<(), Error> {
        let Some(Scored { answers, .. }) = self.scored else { return Ok(()) };
        let scored = self.scored_on;
        let _ = writeln!(
            page,
            "<h2>The first {scored} images</h2>\n<p class=\"quiet\">What each is, and what the net took it for after \
             the last epoch.</p>\n<div class=\"samples\">"
        );
        for (i, &answer) in answers.iter().enumerate() {
            let label = usize::from(self.test.labels()[i]);
            let verdict = if answer == label { "right" } else { "wrong" };
            let _ = writeln!(
                page,
                "<figure class=\"{verdict}\">{}<figcaption>{}<br><b>{}</b></figcaption></figure>",
                thumbnails::picture(self.test, i, EXAMPLE)?,
                self.class(label),
                self.class(answer)
            );
        }
        *page += "</div>\n";
        Ok(())
    }

    /// The confusion matrix, a row for each true class.
    fn confusion(&self, page: &mut String) {
        let Some(Scored { confusion, .. }) = self.scored else { return };
        if confusion.len() > MATRIX_LIMIT {
            return;
        }
        *page += "<h2>Which class is taken for which</h2>\n<p class=\"quiet\">Rows are what images are, columns what \
                  the net took them for, after the last epoch.</p>\n<div class=\"scroll\">\
                  <table class=\"matrix\">\n<tr><th></th>";
        (0..confusion.len()).for_each(|k| *page += &format!("<th class=\"n\">{}</th>", self.class(k)));
        *page += "<th class=\"n\">right</th></tr>\n";
        for (label, counts) in confusion.iter().enumerate() {
            let total: u64 = counts.iter().sum();
            let share = |count: u64| 100.0 * count as f64 / total.max(1) as f64;
            let _ = write!(page, "<tr><th>{}</th>", self.class(label));
            for (answer, &count) in counts.iter().enumerate() {
                let tint = if answer == label { "right" } else { "wrong" };
                let style = format!("--tint:var(--{tint});--share:{:.0}%", 0.8 * share(count));
                let _ = write!(page, "<td class=\"n\" style=\"{style}\">{count}</td>");
            }
            let right = if total > 0 { format!("{:.1} %", share(counts[label])) } else { "-".into() };
            let _ = writeln!(page, "<td class=\"n\">{right}</td></tr>");
        }
        *page += "</table></div>\n";
    }

    /// The firing rate of each layer, as bars.
    fn rates(&self, page: &mut String) {
        let Some(last) = self.metrics.last() else { return };
        let mean = 100.0 * last.mean_rate;
        let _ = writeln!(
            page,
            "<h2>Firing rates</h2>\n<p>In the last training batch; mean {mean:.1} %.</p>\n<table>"
        );
        for (layer, rate) in last.rates {
            let percent = 100.0 * rate;
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{percent:.1} %</td>\
                 <td><span class=\"bar\" style=\"width:{:.2}rem\"></span></td></tr>",
                escape(layer),
                20.0 * rate.clamp(0.0, 1.0)
            );
        }
        *page += "</table>\n";
    }

    /// One row per epoch.
    fn table(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "<h2>Epochs</h2>\n<div class=\"scroll\"><table>\n<tr><th class=\"n\">epoch</th>\
             <th class=\"n\">training loss</th><th class=\"n\">training accuracy</th>\
             <th class=\"n\">{} accuracy</th><th class=\"n\">learning rate</th><th class=\"n\">seconds</th></tr>",
            self.scored_on
        );
        for m in &self.metrics {
            let _ = writeln!(
                page,
                "<tr><td class=\"n\">{}</td><td class=\"n\">{:.4}</td><td class=\"n\">{:.2} %</td>\
                 <td class=\"n\">{:.2} %</td><td class=\"n\">{:.2e}</td><td class=\"n\">{:.1}</td></tr>",
                m.epoch,
                m.train_loss,
                100.0 * m.train_accuracy,
                100.0 * m.test_accuracy,
                m.lr,
                m.seconds
            );
        }
        *page += "</table></div>\n";
    }

    /// Commands that go on from here.
    fn next_steps(&self, page: &mut String) {
        let folder = escape(&shell_path(self.folder));
        let mut steps = vec![
            ("eval", format!("{folder} --best"), "scores the best epoch's weights anew"),
            ("doctor", folder.clone(), "tells which neurons are silent and where gradients vanish"),
            ("trace", folder.clone(), "shows neurons and their gradients, step by step"),
            ("energy", folder.clone(), "counts operations and what they would cost"),
        ];
        if self.metrics.len() < self.epochs {
            steps.insert(0, ("train", format!("--resume {folder}"), "goes on with this run"));
        }
        if self.test.images().is_some() {
            steps.push(("robustness", folder, "scores it under noise"));
        }
        *page += "<h2>What next</h2>\n<table>\n";
        for (command, rest, what) in steps {
            let _ =
                writeln!(page, "<tr><td><code>spikegrad {command} {rest}</code></td><td>{what}</td></tr>");
        }
        *page += "</table>\n";
    }

    /// Where the figures come from: program, machine, command, settings.
    fn origin(&self, page: &mut String) {
        let Provenance { version, level, threads, machine, command } = self.provenance;
        let _ = writeln!(
            page,
            "<h2>Where this comes from</h2>\n<table>\n<tr><td>program</td><td>spikegrad {version}, {level} kernels, \
             {threads} threads</td></tr>\n<tr><td>machine</td><td>{}</td></tr>",
            escape(machine)
        );
        if !command.is_empty() {
            let command = escape(command);
            let _ = writeln!(page, "<tr><td>last command</td><td><code>{command}</code></td></tr>");
        }
        *page += "</table>\n<h2>Settings</h2>\n<table>\n";
        for (key, value) in &self.settings {
            let _ = writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", escape(key), escape(value));
        }
        *page += "</table>\n";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikegrad::data::shapes;
    use std::sync::Arc;

    /// The page of two epochs of three, with answers to the first two of ten images.
    fn page(scored_on: &str) -> String {
        let rates = [("spike1".to_string(), 0.125)].into();
        let metrics = |epoch: usize, accuracy: f64| Epoch {
            epoch,
            train_loss: 2.0 / epoch as f64,
            train_accuracy: 0.25,
            test_accuracy: accuracy,
            test_loss: 3.0,
            lr: 0.5,
            images_per_second: 40.0 * epoch as f64,
            seconds: 10.0 * epoch as f64,
            mean_rate: 0.125,
            rates: &rates,
        };
        let scored = Scored { confusion: &[vec![3, 1], vec![0, 4]], answers: &[0, 0] };
        let provenance = Provenance {
            version: "1.2.3",
            level: Level::BASELINE,
            threads: 5,
            machine: "a machine".into(),
            command: "spikegrad train".into(),
        };
        let page = RunPage {
            title: "mlp on <shapes>".into(),
            epochs: 3,
            scored_on,
            settings: vec![("net".into(), "a<b".into())],
            metrics: vec![metrics(1, 0.5), metrics(2, 0.5)],
            scored: Some(scored),
            test: &Arc::new(shapes::generate(1, 10, 0).test).into(),
            provenance: &provenance,
            folder: Path::new("a run"),
        };
        page.html().unwrap()
    }

    #[test]
    fn figures_are_of_the_last_epoch_and_times_of_all() {
        let page = page("test");
        for told in [
            "After 2 of 3 epochs: test accuracy <b>50.00 %</b>; test loss 3.0000, training loss 1.0000.",
            "Training took 30.0 s, 80 images/s.",
            // Of equals the first is the best.
            "The best epoch was 1 with 50.00 %",
            "the same 10 test images",
            "<h1>mlp on &lt;shapes&gt;</h1>",
            "<tr><td>net</td><td>a&lt;b</td></tr>",
            "<td>last command</td><td><code>spikegrad train</code></td>",
            "spikegrad 1.2.3, baseline kernels, 5 threads",
            "<td>spike1</td><td class=\"n\">12.5 %</td><td><span class=\"bar\" style=\"width:2.50rem\">",
            "<td class=\"n\" style=\"--tint:var(--right);--share:60%\">3</td>",
            "<td class=\"n\" style=\"--tint:var(--wrong);--share:20%\">1</td><td class=\"n\">75.0 %</td>",
            "<td class=\"n\">1</td><td class=\"n\">2.0000</td><td class=\"n\">25.00 %</td><td class=\"n\">50.00 %</td>\
             <td class=\"n\">5.00e-1</td><td class=\"n\">10.0</td>",
            // A run that has not ended can go on.
            "<code>spikegrad train --resume &#39;a run&#39;</code>",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
        assert_eq!(page.matches("<figure class=\"right\">").count(), 1);
        assert_eq!(page.matches("<figure class=\"wrong\">").count(), 1);
        assert!(self::page("held-out").contains("After 2 of 3 epochs: held-out accuracy"));
    }
}
