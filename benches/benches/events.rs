//! Decoding recordings from memory, and making frames of them, on one thread.
//!
//! Roof: a copy of as many bytes as decoding reads and writes.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spikegrad_benches::{group, memory_roof};
use spikegrad_data::events::{
    Event, Events, FrameConfig, Resample, Sensor, Slicing, Values, aedat2, dat, decode, evt2, five_byte,
};
use spikegrad_tensor::rng::Rng;
use std::hint::black_box;
use std::path::Path;

/// Events of a recording.
const EVENTS: usize = 1_000_000;
/// A sensor that every format can hold.
const SENSOR: Sensor = Sensor { width: 128, height: 128 };

/// Events at random pixels, four a microsecond at most, so that EVT2's words of time are as rare as in practice.
fn events() -> Events {
    let (mut rng, mut t) = (Rng::new(1), 0);
    let list = (0..EVENTS)
        .map(|_| {
            t += rng.below(3) as u64;
            Event { t, x: rng.below(128) as u16, y: rng.below(128) as u16, on: rng.uniform() < 0.5 }
        })
        .collect();
    Events::new(SENSOR, list)
}

fn decoding(criterion: &mut Criterion) {
    let mut group = group(criterion, "events");
    let events = events();
    let files = [
        ("five_byte", five_byte::encode(&events)),
        ("aedat2", aedat2::encode(&events)),
        ("evt2", evt2::encode(&events)),
        ("dat", dat::encode(&events)),
    ];
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, bytes) in files {
        let bytes = bytes.expect("events that every format holds");
        group.bench_function(BenchmarkId::new("decode", name), |bencher| {
            bencher.iter(|| decode(Path::new(name), black_box(&bytes)).expect("a sound recording"));
        });
    }
    let roof = (5 + size_of::<Event>()) * EVENTS;
    memory_roof(&mut group, roof);
}

fn framing(criterion: &mut Criterion) {
    let mut group = group(criterion, "frames");
    let events = events();
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (side, resample) in [(128, Resample::Nearest), (48, Resample::Nearest), (48, Resample::Area)] {
        let size = Sensor { width: side, height: side };
        let config =
            FrameConfig { steps: 10, slicing: Slicing::Count, values: Values::Counts, size, resample };
        let mut frames = vec![0.0; config.len()];
        group.bench_function(BenchmarkId::new("counts", format!("128to{side}/{resample}")), |bencher| {
            bencher.iter(|| config.frames(black_box(&events), &mut frames));
        });
    }
}

criterion_group!(benches, decoding, framing);
criterion_main!(benches);
