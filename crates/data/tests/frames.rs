//! Frames: the conventions of Tonic and SpikingJelly on hand-made events, what is conserved, augmentation.

use proptest::prelude::*;
use spikegrad_data::events::augment::{EventChoice, apply_to_events, apply_to_frames, roll};
use spikegrad_data::events::{Event, EventAugment, Events, FrameConfig, Resample, Sensor, Slicing, Values};
use spikegrad_data::rng::Rng;

const SLICINGS: [Slicing; 5] =
    [Slicing::Count, Slicing::Time, Slicing::TonicCount, Slicing::TonicTime, Slicing::Window(1000)];

fn at(times: &[u64]) -> Vec<Event> {
    times.iter().map(|&t| Event { t, ..Event::default() }).collect()
}

fn config(steps: usize, side: usize) -> FrameConfig {
    let size = Sensor { width: side, height: side };
    FrameConfig { steps, slicing: Slicing::Count, values: Values::Counts, size, resample: Resample::Nearest }
}

fn frames(config: &FrameConfig, events: &Events) -> Vec<f32> {
    // The buffer's old numbers must not show.
    let mut frames = vec![f32::NAN; config.len()];
    config.frames(events, &mut frames);
    frames
}

/// Eleven events in three parts: ⌊11/3⌋ = 3 each, d = ⌊(50 − 3)/3⌋ = 15.
#[test]
fn the_conventions_on_one_example() {
    let events = at(&[3, 4, 5, 17, 18, 32, 33, 47, 48, 49, 50]);
    // SpikingJelly: [0, 3), [3, 6), [6, 11); times from 3, 18 and 33, and the last takes 48, 49, 50.
    assert_eq!(Slicing::Count.cut(&events, 3), [0..3, 3..6, 6..11]);
    assert_eq!(Slicing::Time.cut(&events, 3), [0..4, 4..6, 6..11]);
    // Tonic: n_event_bins drops two events, n_time_bins those from 3 + 3·15 = 48 on.
    assert_eq!(Slicing::TonicCount.cut(&events, 3), [0..3, 3..6, 6..9]);
    assert_eq!(Slicing::TonicTime.cut(&events, 3), [0..4, 4..6, 6..8]);
    // Tonic's time_window: from 3, 23 and 43.
    assert_eq!(Slicing::Window(20).cut(&events, 3), [0..5, 5..7, 7..11]);
    assert_eq!(Slicing::Window(10).cut(&events, 3), [0..3, 3..5, 5..6]);
}

#[test]
fn an_end_that_divides_still_loses_tonics_last_event() {
    let events = at(&[0, 5, 10]);
    assert_eq!(Slicing::Time.cut(&events, 2), [0..1, 1..3]);
    assert_eq!(Slicing::TonicTime.cut(&events, 2), [0..1, 1..2]);
}

#[test]
fn few_or_no_events_leave_frames_empty() {
    for slicing in SLICINGS {
        assert_eq!(slicing.cut(&[], 3), [0..0, 0..0, 0..0], "{slicing}");
    }
    assert_eq!(Slicing::Count.cut(&at(&[7, 9]), 3), [0..0, 0..0, 0..2]);
    assert_eq!(Slicing::Time.cut(&at(&[7, 9]), 3), [0..0, 0..0, 0..2]);
    assert_eq!(Slicing::Window(2).cut(&at(&[7, 9]), 3), [0..1, 1..2, 2..2]);
    assert_eq!(Slicing::Window(u64::MAX).cut(&at(&[7, 9]), 3), [0..2, 2..2, 2..2]);
}

#[test]
fn repeated_pixels_count_every_time() {
    let sensor = Sensor { width: 2, height: 2 };
    let event = |x, y, on| Event { t: 0, x, y, on };
    let list = vec![event(1, 0, true), event(1, 0, true), event(0, 1, false), event(1, 0, true)];
    let events = Events::new(sensor, list);
    let counts = frames(&config(1, 2), &events);
    assert_eq!(counts, [0.0, 0.0, 1.0, 0.0, /* ON */ 0.0, 3.0, 0.0, 0.0]);
    let binary = frames(&FrameConfig { values: Values::Binary, ..config(1, 2) }, &events);
    assert_eq!(binary, [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let normalised = frames(&FrameConfig { values: Values::Normalised, ..config(1, 2) }, &events);
    assert_eq!(normalised, [0.0, 0.0, 1.0 / 3.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn three_pixels_become_two_cells() {
    let sensor = Sensor { width: 3, height: 1 };
    let list: Vec<Event> = (0..3).map(|x| Event { t: 0, x, y: 0, on: false }).collect();
    let config = FrameConfig { size: Sensor { width: 2, height: 1 }, ..config(1, 1) };
    let one = |x: usize, resample| {
        frames(&FrameConfig { resample, ..config }, &Events::new(sensor, vec![list[x]]))[..2].to_vec()
    };
    let nearest: Vec<_> = (0..3).map(|x| one(x, Resample::Nearest)).collect();
    assert_eq!(nearest, [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
    let area: Vec<_> = (0..3).map(|x| one(x, Resample::Area)).collect();
    assert_eq!(area, [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]);
    // One pixel on three cells: a third each.
    let wide = FrameConfig { size: Sensor { width: 3, height: 1 }, resample: Resample::Area, ..config };
    let single = Events::new(Sensor { width: 1, height: 1 }, vec![list[0]]);
    assert_eq!(frames(&wide, &single)[..3], [1.0 / 3.0; 3]);
    // Two pixels on three cells: each covers one and a half, two thirds of it in the outer cell.
    let two = |x: u16| Events::new(Sensor { width: 2, height: 1 }, vec![Event { t: 0, x, y: 0, on: false }]);
    let (outer, inner) = (2.0 / 3.0, 1.0 / 3.0);
    assert_eq!(frames(&wide, &two(0))[..3], [outer, inner, 0.0]);
    assert_eq!(frames(&wide, &two(1))[..3], [0.0, inner, outer]);
}

fn events() -> impl Strategy<Value = Events> {
    (1usize..40, 1usize..40).prop_flat_map(|(width, height)| {
        let one = (0u64..5000, 0..width as u16, 0..height as u16, any::<bool>());
        let list = prop::collection::vec(one.prop_map(|(t, x, y, on)| Event { t, x, y, on }), 0..300);
        list.prop_map(move |mut list| {
            list.sort_by_key(|event| event.t);
            Events::new(Sensor { width, height }, list)
        })
    })
}

proptest! {
    #[test]
    fn counts_are_conserved(events in events(), steps in 1usize..12, side in 1usize..50, which in 0usize..5) {
        let slicing = SLICINGS[which];
        let ranges = slicing.cut(&events.list, steps);
        let kept: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        prop_assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        if matches!(slicing, Slicing::Count | Slicing::Time) {
            prop_assert_eq!(kept, events.len());
        }
        let exact = FrameConfig { slicing, ..config(steps, side) };
        let counts = frames(&exact, &events);
        prop_assert_eq!(counts.iter().sum::<f32>(), kept as f32);
        let on = events.list[ranges[0].start..ranges[steps - 1].end].iter().filter(|e| e.on).count();
        let planes = counts.chunks(side * side).skip(1).step_by(2);
        prop_assert_eq!(planes.flatten().sum::<f32>(), on as f32);
        let area = frames(&FrameConfig { resample: Resample::Area, ..exact }, &events);
        // A share is a product of two quotients (1.5 roundings each), and a cell adds at most `kept` of them.
        let bound = (kept + 4) as f64 * kept as f64 * f64::from(f32::EPSILON);
        let sum: f64 = area.iter().map(|&cell| f64::from(cell)).sum();
        prop_assert!((sum - kept as f64).abs() <= bound, "{sum} {kept}");
    }

    #[test]
    fn binary_is_the_lesser_of_count_and_one(events in events(), steps in 1usize..12, side in 1usize..50) {
        let counts = frames(&config(steps, side), &events);
        let binary = frames(&FrameConfig { values: Values::Binary, ..config(steps, side) }, &events);
        prop_assert!(counts.iter().zip(&binary).all(|(count, bit)| *bit == count.min(1.0)));
    }

    #[test]
    fn a_roll_comes_back(height in 1usize..9, width in 1usize..9, down in -12isize..12, right in -12isize..12) {
        let plane: Vec<f32> = (0..height * width).map(|k| k as f32).collect();
        let (mut moved, mut back) = (vec![0.0; plane.len()], vec![0.0; plane.len()]);
        roll(&plane, (height, width), (down, right), &mut moved);
        let to = |at: usize, by: isize, side: usize| (at as isize + by).rem_euclid(side as isize) as usize;
        prop_assert_eq!(moved[to(0, down, height) * width + to(0, right, width)], 0.0);
        roll(&moved, (height, width), (-down, -right), &mut back);
        prop_assert_eq!(back, plane);
    }
}

fn many() -> Events {
    let mut rng = Rng::new(3);
    let list = (0..4000u64).map(|k| Event {
        t: 1000 + 25 * k,
        x: rng.below(34) as u16,
        y: rng.below(34) as u16,
        on: rng.uniform() < 0.5,
    });
    Events::new(Sensor { width: 34, height: 34 }, list.collect())
}

#[test]
fn drop_and_jitter_do_what_they_say() {
    let choice = EventChoice { drop: 0.25, ..EventChoice::draw(&mut Rng::new(1)) };
    let applied = |augment| {
        let mut events = many();
        apply_to_events(augment, &choice, &mut events);
        events
    };
    assert_eq!(applied(EventAugment { flip: true, roll: true, ..EventAugment::NONE }), many());
    let dropped = applied(EventAugment { drop: true, ..EventAugment::NONE });
    // Binomial: s.d. 27, five of them.
    assert!(dropped.len().abs_diff(3000) < 137, "{}", dropped.len());
    assert_eq!(dropped, applied(EventAugment { drop: true, ..EventAugment::NONE }));
    let moved = applied(EventAugment { jitter: true, ..EventAugment::NONE });
    assert_eq!((moved.len(), moved.disorder()), (4000, 0));
    let mut pixels: Vec<_> = moved.list.iter().map(|e| (e.x, e.y, e.on)).collect();
    let mut before: Vec<_> = many().list.iter().map(|e| (e.x, e.y, e.on)).collect();
    assert_ne!(pixels, before, "the order changes");
    pixels.sort_unstable();
    before.sort_unstable();
    assert_eq!(pixels, before, "the pixels do not");
}

/// Jitter has a standard deviation of 1 % of the duration: 1 ms of 100 ms.
#[test]
fn jitter_is_a_hundredth_of_the_duration() {
    let mut list = vec![Event { t: 50_000, ..Event::default() }; 20_000];
    (list[0].t, list[1].t) = (0, 100_000);
    let mut events = Events::new(Sensor { width: 1, height: 1 }, list);
    let augment = EventAugment { jitter: true, ..EventAugment::NONE };
    apply_to_events(augment, &EventChoice::draw(&mut Rng::new(4)), &mut events);
    let moved: Vec<f64> = events.list[10..19_990].iter().map(|e| e.t as f64 - 50_000.0).collect();
    let mean = moved.iter().sum::<f64>() / moved.len() as f64;
    let deviation = (moved.iter().map(|x| x * x).sum::<f64>() / moved.len() as f64).sqrt();
    assert!(mean.abs() < 50.0, "mean {mean}");
    assert!((deviation - 1000.0).abs() < 40.0, "deviation {deviation}");
}

#[test]
fn flip_and_roll_move_all_frames_alike() {
    let config = config(4, 34);
    let plain = frames(&config, &many());
    let (mut scratch, mut both) = (Vec::new(), plain.clone());
    let choice = EventChoice { mirror: true, right: -2, down: 5, ..EventChoice::draw(&mut Rng::new(1)) };
    let augment = EventAugment { flip: true, roll: true, ..EventAugment::NONE };
    apply_to_frames(augment, &choice, (34, 34), &mut both, &mut scratch);
    for (k, &value) in plain.iter().enumerate() {
        let (plane, y, x) = (k / 34 / 34, k / 34 % 34, k % 34);
        let (y, x) = ((y + 5) % 34, (34 - 1 - x + 34 - 2) % 34);
        assert_eq!(both[(plane * 34 + y) * 34 + x], value);
    }
    let still = EventChoice { mirror: false, right: 0, down: 0, ..choice };
    let mut same = plain.clone();
    apply_to_frames(augment, &still, (34, 34), &mut same, &mut scratch);
    assert_eq!(same, plain);
}

#[test]
fn choices_span_their_ranges() {
    let choices: Vec<EventChoice> = (0..2000).map(|k| EventChoice::draw(&mut Rng::keyed(&[7, k]))).collect();
    let span = |of: fn(&EventChoice) -> isize| {
        (choices.iter().map(of).min().unwrap(), choices.iter().map(of).max().unwrap())
    };
    assert_eq!((span(|c| c.right), span(|c| c.down)), ((-5, 5), (-5, 5)));
    assert!(choices.iter().all(|c| (0.0..0.3).contains(&c.drop)));
    assert!(choices.iter().filter(|c| c.mirror).count().abs_diff(1000) < 112, "five s.d.");
}

#[test]
fn names_come_back() {
    for slicing in SLICINGS {
        assert_eq!(slicing.to_string().parse::<Slicing>().unwrap(), slicing);
    }
    for bad in ["", "window:", "window:0", "window:-1", "bins"] {
        assert!(bad.parse::<Slicing>().unwrap_err().to_string().contains("window:MICROSECONDS"));
    }
    for values in [Values::Counts, Values::Binary, Values::Normalised] {
        assert_eq!(values.to_string().parse::<Values>().unwrap(), values);
    }
    assert!("mean".parse::<Resample>().unwrap_err().to_string().contains("nearest or area"));
    assert!("crop".parse::<EventAugment>().unwrap_err().to_string().contains("flip,roll,jitter,drop"));
}
