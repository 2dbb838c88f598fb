//! Line charts as SVG, written by hand: axes with ticks and labels, a legend, nothing else.

use crate::escape::html;
use std::fmt::Write;

/// Width of one chart, in SVG units.
const WIDTH: f64 = 480.0;
/// Height of one chart.
const HEIGHT: f64 = 340.0;
/// Space around the plotting area: left, right, top, bottom.
const MARGIN: [f64; 4] = [64.0, 18.0, 62.0, 50.0];
/// Line colours, told apart by colour-blind readers too.
pub const COLOURS: [&str; 7] = ["#2f6fb5", "#d1662a", "#2a8c5f", "#8b4fb0", "#b0413e", "#6b6b6b", "#a8801a"];
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 18.0;
/// Points up to which each is marked with a dot.
const DOTS: usize = 40;

/// A named line.
#[derive(Clone, Debug, Default)]
pub struct Line<'a> {
    /// For the legend.
    pub name: &'a str,
    /// (x, y), x ascending; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// (x, low, high): an interval round the point at x.
    pub intervals: Vec<(f64, f64, f64)>,
    /// Dashed and without dots: a bound rather than a measurement.
    pub dashed: bool,
}

/// A chart.
#[derive(Clone, Debug, Default)]
pub struct Chart<'a> {
    /// Above the chart.
    pub title: &'a str,
    /// Label of the x axis.
    pub x: &'a str,
    /// Label of the y axis.
    pub y: &'a str,
    /// The lines.
    pub lines: Vec<Line<'a>>,
    /// Whether the y axis begins at 0.
    pub from_zero: bool,
    /// Least distance of the ticks of the x axis: 1 for epochs.
    pub least_x: f64,
}

/// The range of an axis and its ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Covers the values with a step of 1, 2 or 5 times a power of ten, at least `least`.
    pub fn covering(values: impl Iterator<Item = f64>, least: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| v.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low < 1e-9 * high.abs().max(1e-3) {
            let room = (0.1 * high.abs()).max(0.5);
            (low, high) = (low - room, high + room);
        }
        let rough = (high - low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough).unwrap_or(10.0);
        let step = (factor * power).max(least);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    /// The ticks, from low to high.
    pub fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count).map(|i| self.low + i as f64 * self.step).collect()
    }

    /// A tick's label, with as many digits as the step needs.
    pub fn label(&self, tick: f64) -> String {
        let digits = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        let text = format!("{tick:.digits$}");
        if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".into() } else { text }
    }

    /// Where a value lies, from 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Draws charts side by side in one SVG document.
pub fn document(charts: &[Chart]) -> String {
    grid(charts, charts.len().max(1))
}

/// Draws charts in rows of `columns` in one SVG document.
pub fn grid(charts: &[Chart], columns: usize) -> String {
    let rows = charts.iter().map(|chart| chart.legend().1).max().unwrap_or(1);
    let legend = LEGEND_ROW * (rows - 1) as f64;
    let width = WIDTH * columns as f64;
    let height = (HEIGHT + legend) * charts.len().div_ceil(columns).max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\" role=\"img\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (i, chart) in charts.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<g transform=\"translate({} {})\">",
            WIDTH * (i % columns) as f64,
            (HEIGHT + legend) * (i / columns) as f64
        );
        chart.draw(&mut svg, legend);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

impl Chart<'_> {
    /// Where each line's entry of the legend stands, as (x, row), and how many rows there are.
    fn legend(&self) -> (Vec<(f64, usize)>, usize) {
        let (mut x, mut row) = (MARGIN[0], 0);
        let place = |line: &Line| {
            let width = 50.0 + 8.0 * line.name.chars().count() as f64;
            if x > MARGIN[0] && x + width > WIDTH {
                (x, row) = (MARGIN[0], row + 1);
            }
            x += width;
            (x - width, row)
        };
        let places: Vec<_> = self.lines.iter().map(place).collect();
        let rows = places.last().map_or(1, |(_, row)| row + 1);
        (places, rows)
    }

    /// Draws the chart at the origin, with so much more room for the legend.
    fn draw(&self, svg: &mut String, legend: f64) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::covering(points().map(|p| p.0), self.least_x);
        let ends = self.lines.iter().flat_map(|line| &line.intervals).flat_map(|&(_, low, high)| [low, high]);
        let y = Axis::covering(points().map(|p| p.1).chain(ends).chain(self.from_zero.then_some(0.0)), 0.0);
        let [left, right, top, bottom] = MARGIN;
        let (top, height) = (top + legend, HEIGHT + legend);
        let at_x = |value: f64| left + x.share(value) * (WIDTH - left - right);
        let at_y = |value: f64| height - bottom - y.share(value) * (height - top - bottom);
        let middle = (left + WIDTH - right) / 2.0;
        let title = html(self.title);
        let _ =
            writeln!(svg, "<text x=\"{left}\" y=\"24\" font-size=\"16\" font-weight=\"600\">{title}</text>");
        for tick in y.ticks() {
            let (at, label) = (at_y(tick), y.label(tick));
            let end = WIDTH - right;
            let _ = writeln!(svg, "<path d=\"M{left} {at:.1}H{end}\" stroke=\"#e3e7eb\"/>");
            let (tx, ty) = (left - 8.0, at + 4.5);
            let _ = writeln!(svg, "<text x=\"{tx}\" y=\"{ty:.1}\" text-anchor=\"end\">{label}</text>");
        }
        let floor = height - bottom;
        for tick in x.ticks() {
            let (at, label) = (at_x(tick), x.label(tick));
            let (end, ty) = (floor + 5.0, floor + 20.0);
            let _ = writeln!(svg, "<path d=\"M{at:.1} {floor}V{end}\" stroke=\"#57606a\"/>");
            let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{ty}\" text-anchor=\"middle\">{label}</text>");
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {top}V{floor}H{}\" fill=\"none\" stroke=\"#57606a\"/>\n\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            WIDTH - right,
            height - 10.0,
            html(self.x),
            (top + floor) / 2.0,
            html(self.y)
        );
        self.draw_lines(svg, at_x, at_y);
    }

    /// Draws the lines and the legend.
    fn draw_lines(&self, svg: &mut String, at_x: impl Fn(f64) -> f64, at_y: impl Fn(f64) -> f64) {
        let (places, _) = self.legend();
        for ((line, colour), (x, row)) in self.lines.iter().zip(COLOURS.iter().cycle()).zip(places) {
            let y = 42.0 + LEGEND_ROW * row as f64;
            let points = line.points.iter().filter(|p| p.0.is_finite() && p.1.is_finite());
            let points: Vec<(f64, f64)> = points.map(|&(x, y)| (at_x(x), at_y(y))).collect();
            let dash = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
                path.join(" ")
            );
            for &(x, low, high) in &line.intervals {
                let (x, low, high) = (at_x(x), at_y(low), at_y(high));
                let _ = writeln!(
                    svg,
                    "<path d=\"M{:.1} {low:.1}h8M{x:.1} {low:.1}V{high:.1}M{:.1} {high:.1}h8\" stroke=\"{colour}\" \
                     fill=\"none\"/>",
                    x - 4.0,
                    x - 4.0
                );
            }
            for (x, y) in points.iter().filter(|_| points.len() <= DOTS && !line.dashed) {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
            let _ = writeln!(
                svg,
                "<path d=\"M{x} {y}h22\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                x + 28.0,
                y + 4.5,
                html(line.name)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        let axis = Axis::covering([0.13, 2.31].into_iter(), 0.0);
        assert_eq!((axis.low, axis.high, axis.step), (0.0, 2.5, 0.5));
        assert_eq!(axis.label(0.0), "0");
        let one = Axis::covering([1.0].into_iter(), 1.0);
        assert!(one.low < 1.0 && one.high > 1.0);
        assert!(Axis::covering(std::iter::empty(), 0.0).high > 0.0);
    }

    #[test]
    fn points_lie_where_the_axes_say() {
        let line = Line {
            name: "a",
            points: vec![(0.0, 0.0), (5.0, 20.0), (10.0, 100.0)],
            intervals: vec![(5.0, 10.0, 30.0)],
            dashed: false,
        };
        let chart = Chart { title: "t", x: "epoch", y: "share", lines: vec![line], ..Chart::default() };
        let svg = document(&[chart]);
        // 480 × 340, less 64 and 18 to the sides, 62 above and 50 below: 398 × 228, y upward.
        let at = |x: f64, y: f64| (64.0 + 398.0 * x / 10.0, 290.0 - 228.0 * y / 100.0);
        for (x, y) in [(0.0, 0.0), (5.0, 20.0), (10.0, 100.0)] {
            let (x, y) = at(x, y);
            assert!(svg.contains(&format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\"")), "{svg}");
        }
        let ((x, low), (_, high)) = (at(5.0, 10.0), at(5.0, 30.0));
        assert!(svg.contains(&format!("M{x:.1} {low:.1}V{high:.1}")), "{svg}");
        // Ticks at 0, 2, … 10 and 0, 20, … 100, each label below or beside its place.
        let (x, y) = at(4.0, 60.0);
        assert!(
            svg.contains(&format!("<text x=\"{x:.1}\" y=\"310\" text-anchor=\"middle\">4</text>")),
            "{svg}"
        );
        let y = y + 4.5;
        assert!(svg.contains(&format!("<text x=\"56\" y=\"{y:.1}\" text-anchor=\"end\">60</text>")), "{svg}");
        // The six ticks of each axis, from its beginning on.
        assert!(svg.contains("<text x=\"56\" y=\"294.5\" text-anchor=\"end\">0</text>"), "{svg}");
        assert_eq!((svg.matches("text-anchor=\"end\"").count(), svg.matches("y=\"310\"").count()), (6, 6));
        assert!(svg.contains("text-anchor=\"middle\">epoch</text>"));
        assert!(svg.contains("rotate(-90)\" text-anchor=\"middle\">share</text>"));
    }

    #[test]
    fn ticks_of_whole_things_are_whole_and_labels_have_the_digits_they_need() {
        let epochs = Axis::covering([1.0, 3.0].into_iter(), 1.0);
        assert_eq!(epochs.ticks(), [1.0, 2.0, 3.0]);
        let fine = Axis::covering([0.0, 0.1].into_iter(), 0.0);
        assert_eq!(fine.ticks().len(), 6);
        assert_eq!(fine.label(0.04), "0.04");
        assert_eq!(Axis::covering([0.0, 400.0].into_iter(), 0.0).label(100.0), "100");
    }

    #[test]
    fn numbers_that_are_not_finite_are_left_out() {
        let lines = vec![Line { name: "a", points: vec![(1.0, f64::NAN), (2.0, 3.0)], ..Line::default() }];
        let svg = document(&[Chart { title: "t", x: "x", y: "y", lines, ..Chart::default() }]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
