//! Groups of dots on a logarithmic scale as SVG, a group for each name: such a scale has no zero from which a bar could
//! be measured, so places are compared, not lengths.

use crate::escape::html;
use crate::plot::COLOURS;
use std::fmt::Write;

/// Width of the plotting area.
const PLOT: f64 = 640.0;
/// Height of a row of dots, and room between groups.
const ROW_HEIGHT: [f64; 2] = [9.0, 10.0];
/// Room above and below the rows.
const ROOM: [f64; 2] = [78.0, 54.0];
/// Width of a letter of a name.
const LETTER: f64 = 7.4;

/// One name and its values, one for each series.
#[derive(Clone, Debug)]
pub struct Group {
    /// Beside the dots.
    pub name: String,
    /// Positive numbers; others have no dot.
    pub values: Vec<f64>,
}

/// The chart.
#[derive(Clone, Debug)]
pub struct LogDots<'a> {
    /// Above it.
    pub title: &'a str,
    /// Below the axis, with the unit.
    pub axis: &'a str,
    /// Names of the series, for the legend.
    pub series: &'a [&'a str],
    /// From top to bottom.
    pub groups: Vec<Group>,
}

impl LogDots<'_> {
    /// Draws the chart.
    pub fn document(&self) -> String {
        let letters = self.groups.iter().map(|group| group.name.chars().count()).max().unwrap_or(0);
        let left = LETTER * letters as f64 + 24.0;
        let step = ROW_HEIGHT[0] * self.series.len() as f64 + ROW_HEIGHT[1];
        let floor = ROOM[0] + step * self.groups.len() as f64;
        let (width, height) = (left + PLOT + 40.0, floor + ROOM[1]);
        let (low, high) = self.decades();
        let at = |value: f64| left + (value.log10() - low) / (high - low) * PLOT;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\" \
             role=\"img\">\n<rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n\
             <text x=\"{left:.1}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{}</text>\n",
            html(self.title)
        );
        self.legend(&mut svg, left);
        for decade in low as i32..=high as i32 {
            let (x, label) = (at(10f64.powi(decade)), label(decade));
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {:.1}V{floor:.1}\" stroke=\"#e3e7eb\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                ROOM[0] - 8.0,
                floor + 18.0
            );
        }
        let (middle, below) = (left + PLOT / 2.0, floor + 40.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{}</text>",
            html(self.axis)
        );
        for (i, group) in self.groups.iter().enumerate() {
            let top = ROOM[0] + step * i as f64;
            let y = top + (step - ROW_HEIGHT[1]) / 2.0 + 4.5;
            let (x, name) = (left - 12.0, html(&group.name));
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>");
            for (k, &value) in group.values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
                let (x, y) = (at(value), top + ROW_HEIGHT[0] * (k as f64 + 0.5));
                let colour = COLOURS[k % COLOURS.len()];
                let _ = writeln!(
                    svg,
                    "<path d=\"M{left:.1} {y:.1}H{x:.1}\" stroke=\"#d8dee4\" stroke-dasharray=\"1 3\"/>\
                     <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"
                );
            }
        }
        svg + "</svg>\n"
    }

    fn legend(&self, svg: &mut String, left: f64) {
        let mut x = left;
        for (k, name) in self.series.iter().enumerate() {
            let colour = COLOURS[k % COLOURS.len()];
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"49\" r=\"4\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"53.5\">{}</text>",
                x + 7.0,
                x + 20.0,
                html(name)
            );
            x += 42.0 + LETTER * name.chars().count() as f64;
        }
    }

    /// Powers of ten around all values.
    fn decades(&self) -> (f64, f64) {
        let values = self.groups.iter().flat_map(|group| &group.values).copied();
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        if low > high { (0.0, 1.0) } else { ((low - 0.05).floor(), high.ceil().max(low.floor() + 1.0)) }
    }
}

/// A power of ten in digits.
fn label(decade: i32) -> String {
    match decade {
        0.. => format!("{}", 10f64.powi(decade)),
        _ => format!("{:.*}", decade.unsigned_abs() as usize, 10f64.powi(decade)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_lie_at_the_logarithm() {
        let groups = vec![Group { name: "<a>".into(), values: vec![0.1, 10.0, 0.0] }];
        let svg = LogDots { title: "t", axis: "x", series: &["p", "q", "r"], groups }.document();
        // From 0.01, below the smallest, to 10: one decade and three of three, right of three letters of 7.4 and 24.
        let left = 3.0 * 7.4 + 24.0;
        for share in [1.0 / 3.0, 1.0] {
            assert!(svg.contains(&format!("cx=\"{:.1}\"", left + 640.0 * share)), "{svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 3 + 2, "the legend, and a dot for each positive value");
        assert!(svg.contains("&lt;a&gt;"), "{svg}");
    }
}
