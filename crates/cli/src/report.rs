//! What a run looks like: `curves.svg` and `report.html`, both self-contained.

use crate::escape::html as escape;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::plot::{Chart, Line, document};
use crate::settings::Settings;
use std::fmt::Write;

/// Everything on the page of a run.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The resolved settings.
    pub settings: &'a Settings,
    /// One entry per epoch, at least one.
    pub metrics: &'a [Metrics],
}

/// Draws loss and accuracy over epochs, side by side.
pub fn curves(report: &Report<'_>) -> String {
    let (metrics, scored) = (report.metrics, report.settings.scored_on());
    let points = |value: fn(&Metrics) -> f64| -> Vec<(f64, f64)> {
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

/// The page's style sheet: readable in light and dark.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;\
color:#1f2328;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}\
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;border-bottom:1px solid #d8dee4}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}\
.bar{background:#2f6fb5;height:.7rem;display:inline-block}";

impl Report<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// None in practice: the serialiser's, if the settings could not become text.
    pub fn html(&self) -> Result<String, Failure> {
        let title = format!(
            "{} on {}",
            self.settings.flags.net.as_deref().unwrap_or("net"),
            self.settings.flags.data.as_deref().unwrap_or("data")
        );
        let title = escape(&title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>spikegrad: {title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        );
        self.figures(&mut page);
        page += "<h2>Curves</h2>\n";
        page += &curves(self);
        self.rates(&mut page);
        self.table(&mut page);
        page += "<h2>Settings</h2>\n<table>\n";
        for line in self.settings.flags.to_toml()?.lines() {
            if let Some((key, value)) = line.split_once(" = ") {
                let (key, value) = (escape(key), escape(value.trim_matches('"')));
                let _ = writeln!(page, "<tr><td>{key}</td><td>{value}</td></tr>");
            }
        }
        page += "</table>\n</body></html>\n";
        Ok(page)
    }

    /// The figures that matter, as one paragraph.
    fn figures(&self, page: &mut String) {
        let best = self.metrics.iter().reduce(|a, b| if b.test_accuracy > a.test_accuracy { b } else { a });
        let (Some(last), Some(best)) = (self.metrics.last(), best) else { return };
        let seconds: f64 = self.metrics.iter().map(|m| m.seconds).sum();
        let _ = writeln!(
            page,
            "<p>After {} of {} epochs: test accuracy <b>{:.2} %</b>, best {:.2} % (epoch {}); \
             test loss {:.4}, training loss {:.4}. Training took {:.1} s, {:.0} images/s.</p>",
            last.epoch,
            self.settings.epochs(),
            100.0 * last.test_accuracy,
            100.0 * best.test_accuracy,
            best.epoch,
            last.test_loss,
            last.train_loss,
            seconds,
            last.images_per_second
        );
    }

    /// The firing rate of each layer, as bars.
    fn rates(&self, page: &mut String) {
        let Some(last) = self.metrics.last() else { return };
        let mean = 100.0 * last.mean_rate;
        let _ = writeln!(
            page,
            "<h2>Firing rates</h2>\n<p>In the last training batch; mean {mean:.1} %.</p>\n<table>"
        );
        for (layer, rate) in &last.rates {
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
        *page += "<h2>Epochs</h2>\n<table>\n<tr><th class=\"n\">epoch</th><th class=\"n\">training loss</th>\
                  <th class=\"n\">training accuracy</th><th class=\"n\">test accuracy</th>\
                  <th class=\"n\">learning rate</th><th class=\"n\">seconds</th></tr>\n";
        for m in self.metrics {
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
        *page += "</table>\n";
    }
}
