//! Charts and pages: every function here takes figures and gives text or bytes back. Nothing is read or written.
//!
//! | module | gives |
//! |---|---|
//! | [`plot`], [`dot_plot`], [`log_dots`], [`log_chart`] | charts as SVG |
//! | [`figures`] | the book's drawings as SVG |
//! | [`run_page`], [`doctor_page`], [`trace_page`] | self-contained HTML pages of a run, an examination, a trace |
//! | [`render`] | a recording of events as PNG, GIF or HTML |
//! | [`thumbnails`] | a sample as an element of a page |
//! | [`csv`](mod@csv) | tables as CSV |
//! | [`table`](mod@table) | tables for a terminal and in Markdown |
//! | [`escape`] | foreign text made safe where it goes |
//!
//! ```
//! use spikegrad_report::plot::{Chart, Line, document};
//!
//! let loss = Line { name: "training", points: vec![(1.0, 2.3), (2.0, 1.1)], ..Line::default() };
//! let chart = Chart { title: "Loss", x: "epoch", y: "loss", lines: vec![loss], ..Chart::default() };
//! assert!(document(&[chart]).starts_with("<svg"));
//! ```
#![forbid(unsafe_code)]

pub mod csv;
pub mod doctor_page;
pub mod dot_plot;
mod error;
pub mod escape;
pub mod figures;
pub mod log_chart;
pub mod log_dots;
pub mod plot;
pub mod render;
pub mod run_page;
pub mod table;
pub mod thumbnails;
pub mod trace_page;

pub use error::Error;
