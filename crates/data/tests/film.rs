//! The simulated camera and the filmed images.

use spikegrad_data::events::{Camera, Event, FilmConfig, Sensor, aedat2, decode, five_byte};
use spikegrad_data::{ImageSet, shapes};
use std::path::Path;

/// A camera without chance.
fn exact() -> Camera {
    Camera { mismatch: 0.0, noise: 0.0, ..Camera::default() }
}

const ONE: Sensor = Sensor { width: 1, height: 1 };

/// L(t) such that ln(0.05 + L) rises from ln 0.05 by `slope` a millisecond.
fn ramp(slope: f32) -> impl FnMut(u64, &mut [f32]) {
    move |t, out| out[0] = 0.05 * ((slope * t as f32 / 1000.0).exp() - 1.0)
}

#[test]
fn events_come_where_the_line_meets_the_levels() {
    // 0.15 a millisecond and levels 0.2 apart: after 1333, 2666, 4000, … µs.
    let events = exact().film(ONE, 10_000, 1, ramp(0.15)).list;
    let want: Vec<u64> = (1..=7).map(|k| k * 4000 / 3).collect();
    assert_eq!(events.len(), want.len());
    for (event, want) in events.iter().zip(want) {
        // The line is straight between looks, and so is ℓ: only rounding is left, in f32 and to whole µs.
        assert!(event.on && event.t.abs_diff(want) <= 2, "{event:?}, {want}");
    }
}

#[test]
fn darkening_is_off_and_back_again_leaves_nothing() {
    let there_and_back = |t: u64, out: &mut [f32]| out[0] = if t.div_ceil(1000) % 2 == 1 { 0.8 } else { 0.1 };
    let events = exact().film(ONE, 8000, 1, there_and_back);
    let on = events.list.iter().filter(|event| event.on).count();
    assert!(on > 8 && events.len() - on > 8, "{on} of {}", events.len());
    let still = exact().film(Sensor { width: 9, height: 7 }, 50_000, 1, |_, out| out.fill(0.3));
    assert_eq!(still.len(), 0);
}

#[test]
fn a_pixel_is_silent_after_an_event() {
    let jump = |t: u64, out: &mut [f32]| out[0] = if t == 0 { 0.0 } else { 1.0 };
    let times = |refractory| -> Vec<u64> {
        let camera = Camera { refractory, ..exact() };
        camera.film(ONE, 2000, 1, jump).list.iter().map(|event| event.t).collect()
    };
    // ln 21 = 3.04 within a millisecond: fifteen levels, 66 µs apart.
    assert_eq!(times(0).len(), 15);
    assert!(times(150).windows(2).all(|pair| pair[1] - pair[0] >= 150));
    assert_eq!(times(150).len(), 5, "every third");
    assert_eq!(times(10_000).len(), 1);
}

#[test]
fn noise_has_its_rate_and_is_sorted() {
    let sensor = Sensor { width: 50, height: 40 };
    let camera = Camera { noise: 5.0, ..exact() };
    let events = camera.film(sensor, 1_000_000, 1, |_, out| out.fill(0.5));
    // 2000 pixels, 5 Hz, one second; ten are expected at each look, so that only the refractory time takes a few.
    assert!(events.len().abs_diff(10_000) < 30, "{}", events.len());
    assert_eq!(events.disorder(), 0);
    let on = events.list.iter().filter(|event| event.on).count();
    assert!(on.abs_diff(5000) < 250, "binomial s.d. 50, five of them: {on}");
    assert_eq!(events, camera.film(sensor, 1_000_000, 1, |_, out| out.fill(0.5)));
    assert_ne!(events, camera.film(sensor, 1_000_000, 2, |_, out| out.fill(0.5)));
}

#[test]
fn the_way_is_closed_and_every_leg_is_as_long() {
    let film = FilmConfig::default();
    assert_eq!(film.way(0), film.way(4 * film.leg));
    let corners: Vec<_> = (0..4).map(|k| film.way(k * film.leg)).collect();
    assert_eq!(corners, [(0.0, 0.0), (1.0, 1.0), (0.0, 2.0), (-1.0, 1.0)]);
    for t in (0..8 * film.leg).step_by(1000) {
        let (a, b) = (film.way(t), film.way(t + 1000));
        let share = 1000.0 / film.leg as f32;
        assert!(((a.0 - b.0).abs() - share).abs() < 1e-5 && ((a.1 - b.1).abs() - share).abs() < 1e-5, "{t}");
    }
}

#[test]
fn films_come_back_from_the_files_they_are_written_to() {
    let set = shapes::generate(2, 0, 1).train;
    let film = FilmConfig { side: 40, loops: 1, leg: 20_000, ..FilmConfig::default() };
    let events = film.film(&set, 1, 9);
    assert!(events.len() > 500, "{} events", events.len());
    assert!(events.duration() <= 80_000 && events.disorder() == 0);
    events.check().unwrap();
    assert_eq!(events, film.film(&set, 1, 9));
    for bytes in [five_byte::encode(&events).unwrap(), aedat2::encode(&events).unwrap()] {
        assert_eq!(decode(Path::new("a film"), &bytes).unwrap().events.list, events.list);
    }
    // A grey image on grey ground is not seen, whatever way it goes.
    let mut grey = set.clone();
    grey.pixels.fill(128);
    let quiet = FilmConfig { camera: exact(), ..film };
    assert_eq!(quiet.film(&grey, 0, 1).list, [] as [Event; 0]);
}

/// A chequered image of black and pure red, green or blue is as light as one of black and grey: 0.299·255 = 76, 150, 29.
#[test]
fn colours_are_filmed_by_their_luminance() {
    const SIDE: usize = 8;
    let set = |values: &[u8]| {
        let dark = |k: usize| (k / SIDE + k % SIDE).is_multiple_of(2);
        let plane = |&value: &u8| (0..SIDE * SIDE).map(move |k| if dark(k) { 0 } else { value });
        ImageSet {
            channels: values.len(),
            height: SIDE,
            width: SIDE,
            classes: 1,
            labels: vec![0],
            pixels: values.iter().flat_map(plane).collect(),
            class_names: vec![],
        }
    };
    let film = FilmConfig { side: 32, loops: 1, leg: 10_000, reach: 0.1, camera: exact() };
    for (channel, grey) in [(0, 76), (1, 150), (2, 29)] {
        let mut colour = [0; 3];
        colour[channel] = 255;
        let coloured = film.film(&set(&colour), 0, 1).len();
        let plain = film.film(&set(&[grey]), 0, 1).len();
        assert!(plain > 1000, "{channel}: {plain} events");
        assert!(coloured.abs_diff(plain) <= plain / 50, "{channel}: {coloured}, in grey {plain}");
    }
}
