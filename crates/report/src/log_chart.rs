//! A scatter plot with logarithmic axes as SVG: roofs, labelled points, a legend and a key of the labels.

use crate::escape::html;
use crate::plot::COLOURS;
use std::f64::consts::TAU;
use std::fmt::Write;

/// Edges of the plotting area: left, right, top.
const PLOT: [f64; 3] = [70.0, 760.0, 96.0];
/// Least height of the plotting area.
const LEAST: f64 = 460.0;
/// Room under the plotting area.
const BELOW: f64 = 56.0;
/// Width of the whole drawing: the key stands right of the plot.
const WIDTH: f64 = 1180.0;
/// Height of a line of the key.
const LINE: f64 = 17.0;
/// Radius of a dot.
const DOT: f64 = 3.5;

/// A labelled dot.
#[derive(Clone, Debug)]
pub struct Point {
    /// Where, both positive.
    pub x: f64,
    /// Where.
    pub y: f64,
    /// Which colour.
    pub group: usize,
    /// A short word, explained in the key.
    pub label: String,
}

/// A roof: y = slope·x up to `top`, or y = `top` where there is no slope.
#[derive(Clone, Debug)]
pub struct Roof {
    /// For the legend.
    pub name: String,
    /// y / x.
    pub slope: Option<f64>,
    /// Where it ends.
    pub top: f64,
    /// Dashed rather than drawn through.
    pub dashed: bool,
}

/// Numbered lines beside the plot.
#[derive(Clone, Debug)]
pub struct Legend {
    /// Above them.
    pub title: &'static str,
    /// Line i explains label i + 1.
    pub lines: Vec<String>,
}

/// The plot.
#[derive(Clone, Debug)]
pub struct LogChart {
    /// Above it.
    pub title: &'static str,
    /// Under the title.
    pub note: &'static str,
    /// Label of the x axis.
    pub x: &'static str,
    /// Label of the y axis.
    pub y: &'static str,
    /// The dots; those that are not positive and finite are left out.
    pub points: Vec<Point>,
    /// Names of the colours.
    pub groups: Vec<String>,
    /// The roofs.
    pub roofs: Vec<Roof>,
    /// The key.
    pub key: Legend,
}

/// A logarithmic axis from pixel to pixel.
struct Axis {
    low: f64,
    high: f64,
    pixels: (f64, f64),
}

impl Axis {
    /// Covers positive values with some room, ending at 1, 2 or 5 times a power of ten.
    fn covering(values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0f64);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let ticks = ticks(low / 20.0, high * 20.0);
        let low = ticks.iter().rev().find(|tick| **tick <= low / 1.2).copied().unwrap_or(low);
        let high = ticks.iter().find(|tick| **tick >= high * 1.2).copied().unwrap_or(high);
        Self { low, high, pixels }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }
}

/// 1, 2 and 5 times the powers of ten from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let all = decades.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(power)));
    all.filter(|tick| (low * 0.999..=high * 1.001).contains(tick)).collect()
}

/// A rectangle: left, top, right, bottom.
type Box4 = [f64; 4];

fn overlap(a: Box4, b: Box4) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

impl LogChart {
    /// Draws it as a whole document.
    pub fn document(&self) -> String {
        let height = (PLOT[2] + LEAST + BELOW).max(PLOT[2] + LINE * (self.key.lines.len() + 2) as f64);
        let floor = height - BELOW;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\" role=\"img\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"{}\" y=\"26\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
             <text x=\"{}\" y=\"46\" fill=\"#57606a\">{}</text>\n",
            PLOT[0],
            html(self.title),
            PLOT[0],
            html(self.note)
        );
        let shown = |p: &&Point| p.x > 0.0 && p.y > 0.0 && p.x.is_finite() && p.y.is_finite();
        let points: Vec<&Point> = self.points.iter().filter(shown).collect();
        let x = Axis::covering(points.iter().map(|p| p.x), (PLOT[0], PLOT[1]));
        let tops = self.roofs.iter().map(|roof| roof.top).filter(|top| *top > 0.0);
        let y = Axis::covering(points.iter().map(|p| p.y).chain(tops), (floor, PLOT[2]));
        self.draw_axes(&mut svg, &x, &y);
        self.draw_roofs(&mut svg, &x, &y);
        draw_points(&mut svg, &points, &x, &y);
        self.draw_legends(&mut svg);
        svg + "</svg>\n"
    }

    fn draw_axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let (left, right) = x.pixels;
        let (floor, top) = y.pixels;
        for tick in ticks(y.low, y.high) {
            let at = y.at(tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#e3e7eb\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
                left - 8.0,
                at + 4.5
            );
        }
        for tick in ticks(x.low, x.high) {
            let at = x.at(tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {floor}V{top}\" stroke=\"#f0f2f4\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                floor + 20.0
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {top}V{floor}H{right}\" fill=\"none\" stroke=\"#57606a\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (left + right) / 2.0,
            floor + 44.0,
            html(self.x),
            (top + floor) / 2.0,
            html(self.y)
        );
    }

    /// Draws each roof where it lies in the plot.
    fn draw_roofs(&self, svg: &mut String, x: &Axis, y: &Axis) {
        for roof in self.roofs.iter().filter(|roof| roof.top > 0.0) {
            let (from, to) = match roof.slope {
                Some(slope) => ((y.low / slope).max(x.low), (roof.top / slope).min(x.high)),
                None => (x.low, x.high),
            };
            let height = |x: f64| roof.slope.map_or(roof.top, |slope| slope * x);
            if from < to {
                let _ = writeln!(
                    svg,
                    "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#1f2328\" stroke-width=\"1.5\"{}/>",
                    x.at(from),
                    y.at(height(from)),
                    x.at(to),
                    y.at(height(to)),
                    dash(roof.dashed)
                );
            }
        }
    }

    /// The colours and roofs above the plot, the key right of it.
    fn draw_legends(&self, svg: &mut String) {
        let mut at = PLOT[0];
        for (name, colour) in self.groups.iter().zip(COLOURS.iter().cycle()) {
            let _ = writeln!(
                svg,
                "<circle cx=\"{}\" cy=\"64\" r=\"{DOT}\" fill=\"{colour}\"/><text x=\"{}\" y=\"68.5\">{}</text>",
                at + DOT,
                at + 12.0,
                html(name)
            );
            at += 30.0 + 7.3 * name.chars().count() as f64;
        }
        let mut at = PLOT[0];
        for roof in &self.roofs {
            let _ = writeln!(
                svg,
                "<path d=\"M{at} 83h22\" stroke=\"#1f2328\" stroke-width=\"1.5\"{}/>\
                 <text x=\"{}\" y=\"87.5\">{}</text>",
                dash(roof.dashed),
                at + 28.0,
                html(&roof.name)
            );
            at += 50.0 + 7.3 * roof.name.chars().count() as f64;
        }
        let left = PLOT[1] + 26.0;
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"{}\" font-weight=\"600\">{}</text>",
            PLOT[2],
            html(self.key.title)
        );
        for (i, line) in self.key.lines.iter().enumerate() {
            let y = PLOT[2] + LINE * (i + 1) as f64 + 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" font-size=\"12\" text-anchor=\"end\" font-weight=\"600\">{}</text>\
                 <text x=\"{}\" y=\"{y}\" font-size=\"12\">{}</text>",
                left + 16.0,
                i + 1,
                left + 24.0,
                html(line)
            );
        }
    }
}

/// The attribute of a dashed stroke.
fn dash(dashed: bool) -> &'static str {
    if dashed { " stroke-dasharray=\"6 4\"" } else { "" }
}

/// Draws the dots, and each label at the nearest free place round its dot.
fn draw_points(svg: &mut String, points: &[&Point], x: &Axis, y: &Axis) {
    let dots: Vec<(f64, f64)> = points.iter().map(|p| (x.at(p.x), y.at(p.y))).collect();
    let mut taken: Vec<Box4> =
        dots.iter().map(|(x, y)| [x - DOT - 1.0, y - DOT - 1.0, x + DOT + 1.0, y + DOT + 1.0]).collect();
    let colour = |group: usize| COLOURS[group % COLOURS.len()];
    for (point, &(px, py)) in points.iter().zip(&dots) {
        let (width, height) = (6.8 * point.label.chars().count() as f64, 10.0);
        let places = (0..12).flat_map(|ring| (0..16).map(move |turn| (11.0 + 5.0 * f64::from(ring), turn)));
        let place = places
            .map(|(radius, turn)| {
                let angle = TAU * f64::from(turn) / 16.0;
                (radius, px + radius * angle.cos(), py - radius * angle.sin())
            })
            .find(|(_, cx, cy)| {
                let label = [cx - width / 2.0, cy - height / 2.0, cx + width / 2.0, cy + height / 2.0];
                let inside = label[0] > x.pixels.0 && label[1] > y.pixels.1 && label[3] < y.pixels.0;
                inside && !taken.iter().any(|other| overlap(label, *other))
            });
        let (radius, cx, cy) = place.unwrap_or((11.0, px + 11.0, py));
        taken.push([cx - width / 2.0, cy - height / 2.0, cx + width / 2.0, cy + height / 2.0]);
        if radius > 16.0 {
            let _ = writeln!(svg, "<path d=\"M{px:.1} {py:.1}L{cx:.1} {cy:.1}\" stroke=\"#c3c9d0\"/>");
        }
        let _ = writeln!(
            svg,
            "<text x=\"{cx:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\" fill=\"{}\" \
             stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            cy + 4.0,
            colour(point.group),
            point.label
        );
    }
    for (point, (px, py)) in points.iter().zip(&dots) {
        let _ = writeln!(
            svg,
            "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"{DOT}\" fill=\"{}\"/>",
            colour(point.group)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_and_are_logarithmic() {
        let axis = Axis::covering([0.3, 70.0].into_iter(), (0.0, 100.0));
        assert!(
            (axis.low - 0.2).abs() < 1e-12 && (axis.high - 100.0).abs() < 1e-9,
            "{} {}",
            axis.low,
            axis.high
        );
        let (a, b, c) = (axis.at(1.0), axis.at(2.0), axis.at(4.0));
        assert!((b - a - (c - b)).abs() < 1e-9);
        assert_eq!(ticks(1.0, 20.0), [1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!(Axis::covering(std::iter::empty(), (0.0, 1.0)).high > 1.0);
    }

    #[test]
    fn labels_of_equal_points_do_not_overlap() {
        let same = Point { x: 1.0, y: 1.0, group: 0, label: "12".into() };
        let key = Legend { title: "k", lines: vec!["a".into()] };
        let nan = Point { x: f64::NAN, ..same.clone() };
        let points = vec![same.clone(), same.clone(), same, nan];
        let (groups, roofs) = (vec!["g".into()], Vec::new());
        let svg = LogChart { title: "t", note: "n", x: "x", y: "y", points, groups, roofs, key }.document();
        assert!(!svg.contains("NaN"));
        let places: Vec<&str> = svg.lines().filter(|line| line.contains("paint-order")).collect();
        assert_eq!(places.len(), 3);
        assert!(places[0] != places[1] && places[1] != places[2] && places[0] != places[2]);
    }
}
