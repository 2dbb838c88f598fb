//! Dots with intervals as SVG: a row for each name, a panel for each quantity.

use crate::escape::html;
use crate::plot::{Axis, COLOURS};
use std::fmt::Write;

/// Width of a panel's plotting area.
const PANEL: f64 = 380.0;
/// Room between panels, and at the right edge.
const GAP: f64 = 64.0;
/// Height of a row.
const ROW: f64 = 34.0;
/// Room above the rows and below them.
const ROOM: [f64; 2] = [58.0, 56.0];
/// Width of a letter of a label, and room around labels.
const LETTER: f64 = 7.4;

/// A row of a panel.
#[derive(Clone, Debug, Default)]
pub struct Dots {
    /// Single measurements, faint.
    pub single: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// An interval round it.
    pub interval: Option<(f64, f64)>,
}

/// A quantity.
#[derive(Clone, Debug, Default)]
pub struct Panel<'a> {
    /// Above the panel.
    pub title: &'a str,
    /// Below the axis, with the unit.
    pub axis: &'a str,
    /// One for each name; none where nothing was measured.
    pub rows: Vec<Option<Dots>>,
    /// Whether to mark 0.
    pub zero: bool,
}

/// Draws the panels side by side, rows under their names.
pub fn draw(names: &[String], panels: &[Panel]) -> String {
    let letters = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let left = LETTER * letters as f64 + 24.0;
    let width = left + panels.len() as f64 * (PANEL + GAP);
    let height = ROOM[0] + ROW * names.len() as f64 + ROOM[1];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\" role=\"img\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n"
    );
    for (i, name) in names.iter().enumerate() {
        let y = ROOM[0] + ROW * (i as f64 + 0.5) + 4.5;
        let (x, name) = (left - 12.0, html(name));
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>");
    }
    for (i, panel) in panels.iter().enumerate() {
        panel.draw(&mut svg, left + i as f64 * (PANEL + GAP), names.len());
    }
    svg + "</svg>\n"
}

impl Panel<'_> {
    fn draw(&self, svg: &mut String, left: f64, rows: usize) {
        let dots = self.rows.iter().flatten();
        let values = dots.flat_map(|row| {
            let ends = row.interval.map(|(low, high)| [low, high]);
            row.single.iter().copied().chain([row.mean]).chain(ends.into_iter().flatten())
        });
        let axis = Axis::covering(values.chain(self.zero.then_some(0.0)), 0.0);
        let at = |value: f64| left + axis.share(value) * PANEL;
        let floor = ROOM[0] + ROW * rows as f64;
        let (title, label) = (html(self.title), html(self.axis));
        let _ = writeln!(
            svg,
            "<text x=\"{left:.1}\" y=\"30\" font-size=\"16\" font-weight=\"600\">{title}</text>"
        );
        for tick in axis.ticks() {
            let (x, text) = (at(tick), axis.label(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {top}V{floor:.1}\" stroke=\"#e3e7eb\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                floor + 18.0,
                top = ROOM[0] - 10.0
            );
        }
        let middle = left + PANEL / 2.0;
        let below = floor + 40.0;
        let _ =
            writeln!(svg, "<text x=\"{middle:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{label}</text>");
        if self.zero {
            let x = at(0.0);
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {}V{floor:.1}\" stroke=\"#57606a\" stroke-dasharray=\"4 3\"/>",
                ROOM[0] - 10.0
            );
        }
        for (i, row) in self.rows.iter().enumerate() {
            let y = ROOM[0] + ROW * (i as f64 + 0.5);
            if let Some(dots) = row {
                dots.draw(svg, at, y, COLOURS[0]);
            }
        }
    }
}

impl Dots {
    fn draw(&self, svg: &mut String, at: impl Fn(f64) -> f64, y: f64, colour: &str) {
        for &value in self.single.iter().filter(|value| value.is_finite()) {
            let x = at(value);
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\" opacity=\"0.35\"/>"
            );
        }
        if let Some((low, high)) = self.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
            let (from, to) = (at(low), at(high));
            let _ = writeln!(
                svg,
                "<path d=\"M{from:.1} {y:.1}H{to:.1}M{from:.1} {top:.1}v10M{to:.1} {top:.1}v10\" stroke=\"{colour}\" \
                 stroke-width=\"2\" fill=\"none\"/>",
                top = y - 5.0
            );
        }
        let x = at(self.mean);
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_lie_where_the_axis_says() {
        let dots = Dots { single: vec![10.0, 40.0], mean: 20.0, interval: Some((0.0, 50.0)) };
        let panel = Panel { title: "t", axis: "points", rows: vec![None, Some(dots)], zero: true };
        let svg = draw(&["ab".into(), "c".into()], &[panel]);
        // From 0 to 50 over 380, right of two letters of 7.4 and 24; the second row's middle is at 58 + 1.5·34.
        let (at, y) = (|value: f64| 2.0 * 7.4 + 24.0 + 380.0 * value / 50.0, 58.0 + 1.5 * 34.0);
        for value in [10.0, 20.0, 40.0] {
            assert!(
                svg.contains(&format!("<circle cx=\"{:.1}\" cy=\"{y:.1}\"", at(value))),
                "{value}: {svg}"
            );
        }
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(&format!("M{:.1} {y:.1}H{:.1}", at(0.0), at(50.0))), "{svg}");
        assert!(
            svg.contains(&format!("M{:.1} 48V", at(0.0))) && svg.contains("stroke-dasharray=\"4 3\""),
            "{svg}"
        );
        assert!(
            svg.contains(&format!(
                "<text x=\"{:.1}\" y=\"144.0\" text-anchor=\"middle\">20</text>",
                at(20.0)
            )),
            "{svg}"
        );
    }
}
