//! What a C program can do wrong: a status and a line, nothing lost, nothing aborted.

use spikegrad::models::safetensors::{File, View, write};
use spikegrad_capi::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Bytes held.
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), SeqCst);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(data, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SIDE: usize = 16;

fn config() -> SpikegradConfig {
    let mut config = MaybeUninit::uninit();
    // SAFETY: there is room for a configuration, which is written where the status is Ok.
    unsafe {
        let net = SpikegradNet::Mlp as i32;
        let status = spikegrad_config_default(net, 1, SIDE, SIDE, 2, config.as_mut_ptr());
        assert_eq!(status, SpikegradStatus::Ok);
        SpikegradConfig { batch: 2, ..config.assume_init() }
    }
}

fn last() -> String {
    // SAFETY: a C string of this thread, copied at once.
    unsafe { CStr::from_ptr(spikegrad_last_error()) }.to_str().unwrap().to_string()
}

fn new(config: &SpikegradConfig) -> (SpikegradStatus, *mut SpikegradTrainer) {
    let mut trainer = null_mut();
    // SAFETY: a configuration and room for a pointer.
    let status = unsafe { spikegrad_trainer_new(config, &mut trainer) };
    (status, trainer)
}

/// Results that nobody takes are not made.
fn outputs_that_are_null() {
    let (_, trainer) = new(&config());
    let (mut predictor, path) = (
        null_mut(),
        CString::new(std::env::temp_dir().join(format!("capi-{}", std::process::id())).to_str().unwrap())
            .unwrap(),
    );
    // SAFETY: handles of this library, or null where that is allowed.
    unsafe {
        assert_eq!(spikegrad_trainer_save(trainer, path.as_ptr()), SpikegradStatus::Ok);
        assert_eq!(spikegrad_predictor_of(trainer, &mut predictor), SpikegradStatus::Ok);
        let mut before = 0;
        for round in 0..4 {
            assert_eq!(spikegrad_trainer_new(&config(), null_mut()), SpikegradStatus::BadArgument);
            assert_eq!(last(), "trainer is null");
            assert_eq!(spikegrad_predictor_of(trainer, null_mut()), SpikegradStatus::BadArgument);
            assert_eq!(
                spikegrad_predictor_load(&config(), path.as_ptr(), null_mut()),
                SpikegradStatus::BadArgument
            );
            assert_eq!(spikegrad_stream_new(predictor, null_mut()), SpikegradStatus::BadArgument);
            assert_eq!(last(), "stream is null");
            assert_eq!(spikegrad_config_default(2, 1, 8, 8, 2, null_mut()), SpikegradStatus::BadArgument);
            let held = HELD.load(SeqCst);
            assert!(round < 2 || held <= before + 1024, "{before} bytes held, then {held}");
            before = held;
        }
        spikegrad_predictor_free(predictor);
        spikegrad_trainer_free(trainer);
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }
}

/// A struct that says its size can grow.
fn structs_of_other_sizes() {
    let good = config();
    assert_eq!(good.struct_size, size_of::<SpikegradConfig>());
    for struct_size in [0, 8, good.struct_size - 1, usize::MAX] {
        assert_eq!(new(&SpikegradConfig { struct_size, ..good }).0, SpikegradStatus::BadArgument);
        assert!(
            last().contains(&format!("struct_size {struct_size}, expected {}", good.struct_size)),
            "{}",
            last()
        );
    }
    #[repr(C)]
    struct Later {
        config: SpikegradConfig,
        more: [u64; 2],
    }
    let config = SpikegradConfig { struct_size: size_of::<Later>(), ..good };
    for (more, want) in [([0, 0], SpikegradStatus::Ok), ([0, 7], SpikegradStatus::BadArgument)] {
        let later = Later { config, more };
        let mut trainer = null_mut();
        // SAFETY: as many bytes as the size says, and room for a pointer.
        unsafe {
            assert_eq!(spikegrad_trainer_new((&raw const later).cast(), &mut trainer), want);
            spikegrad_trainer_free(trainer);
        }
    }
    assert!(last().contains("does not know"), "{}", last());
}

/// Sizes that overflow, sizes for which there is no memory, numbers that are none.
fn numbers_that_make_no_sense() {
    let good = config();
    let huge = 1usize << 32;
    let cases: [(SpikegradConfig, &str); 16] = [
        (SpikegradConfig { height: huge, width: huge, ..good }, "image height is 4294967296"),
        (SpikegradConfig { channels: usize::MAX, ..good }, "image channels"),
        (SpikegradConfig { classes: usize::MAX, ..good }, "classes"),
        (SpikegradConfig { timesteps: usize::MAX, ..good }, "timesteps"),
        (SpikegradConfig { batch: usize::MAX, ..good }, "batch"),
        (SpikegradConfig { batch: 0, ..good }, "batch is 0"),
        (SpikegradConfig { epochs: 0, ..good }, "epochs is 0"),
        (SpikegradConfig { batch: 900_000_000, timesteps: 40, ..good }, "memory"),
        (SpikegradConfig { scale: f64::NAN, ..good }, "width NaN"),
        (SpikegradConfig { scale: 1e300, ..good }, "width"),
        (SpikegradConfig { decay: f32::NAN, ..good }, "decay is NaN"),
        (SpikegradConfig { threshold: f32::NAN, ..good }, "threshold is NaN"),
        (SpikegradConfig { delta: f32::NAN, ..good }, "delta is NaN"),
        (SpikegradConfig { beta: f32::NAN, ..good }, "beta is NaN"),
        (SpikegradConfig { lr: f32::NAN, ..good }, "learning rate is NaN"),
        (SpikegradConfig { net: 99, ..good }, "net is 99"),
    ];
    for (config, want) in cases {
        let (status, trainer) = new(&config);
        assert!(trainer.is_null() && status == SpikegradStatus::BadConfig, "{want}: {status:?}");
        assert!(last().contains(want), "{}, expected {want}", last());
    }
}

/// Arrays of numbers that are none, of endless length, not aligned.
fn arrays_that_make_no_sense() {
    let (_, trainer) = new(&config());
    let (mut images, labels) = ([0.5f32; 2 * SIDE * SIDE], [0u32, 1]);
    let step = |images: *const f32, len: usize, progress: f64| {
        // SAFETY: a trainer; arrays that are there, or that the call must refuse.
        unsafe { spikegrad_trainer_step(trainer, images, len, labels.as_ptr(), 2, progress, null_mut()) }
    };
    let len = images.len();
    assert_eq!(step(images.as_ptr(), len, 0.0), SpikegradStatus::Ok);
    for progress in [f64::NAN, -3.0, f64::INFINITY] {
        assert_eq!(step(images.as_ptr(), len, progress), SpikegradStatus::BadBatch);
        assert!(last().contains(&format!("progress is {progress}")), "{}", last());
    }
    for len in [usize::MAX, usize::MAX / 4, usize::MAX / 4 + 1] {
        assert_eq!(step(images.as_ptr(), len, 0.0), SpikegradStatus::BadArgument);
    }
    assert_eq!(
        step(images.as_ptr().cast::<u8>().wrapping_add(1).cast(), len - 1, 0.0),
        SpikegradStatus::BadArgument
    );
    assert_eq!(last(), "images is not aligned");
    assert_eq!(step(null(), len, 0.0), SpikegradStatus::BadArgument);
    images[3] = f32::NAN;
    assert_eq!(step(images.as_ptr(), len, 0.0), SpikegradStatus::BadBatch);
    let mut logits = [0.0f32; 4];
    // SAFETY: handles of this library and arrays of the lengths given.
    unsafe {
        let status = spikegrad_trainer_predict(trainer, images.as_ptr(), len, logits.as_mut_ptr(), 4);
        assert_eq!((status, last().starts_with("input 3 is NaN")), (SpikegradStatus::BadBatch, true));
        let (mut predictor, mut stream) = (null_mut(), null_mut());
        assert_eq!(spikegrad_predictor_of(trainer, &mut predictor), SpikegradStatus::Ok);
        assert_eq!(spikegrad_stream_new(predictor, &mut stream), SpikegradStatus::Ok);
        let mut frame = |images: &[f32]| {
            spikegrad_predictor_step(predictor, stream, images.as_ptr(), SIDE * SIDE, logits.as_mut_ptr(), 2)
        };
        assert_eq!(frame(&images), SpikegradStatus::BadBatch);
        assert_eq!(frame(&images[SIDE * SIDE..]), SpikegradStatus::Ok);
        spikegrad_stream_free(stream);
        spikegrad_predictor_free(predictor);
        spikegrad_trainer_free(trainer);
    }
}

/// The paper's recipe, and that what is set reaches the trainer.
fn defaults_and_settings() {
    let c = config();
    assert_eq!((c.scale, c.timesteps, c.decay, c.threshold, c.delta), (1.0, 2, 0.5, 0.5, 1e-4));
    assert_eq!((c.beta, c.epochs, c.lr, c.seed), (1e-4, 150, 1e-3, 2022));
    let (images, labels) = ([0.5f32; 2 * SIDE * SIDE], [0u32, 1]);
    let first = |config: SpikegradConfig| {
        let (_, trainer) = new(&config);
        let mut report = SpikegradReport::default();
        // SAFETY: a trainer, arrays of the lengths given, room for a report.
        unsafe {
            let images = (images.as_ptr(), images.len());
            let status =
                spikegrad_trainer_step(trainer, images.0, images.1, labels.as_ptr(), 2, 15.0, &mut report);
            assert_eq!(status, SpikegradStatus::Ok);
            spikegrad_trainer_free(trainer);
        }
        report
    };
    let (plain, other) = (first(c), first(SpikegradConfig { lr: 0.25, epochs: 30, ..c }));
    // A tenth and a half of the cosine.
    assert!((f64::from(plain.lr) - 1e-3 * 0.5 * (1.0 + (0.1 * std::f64::consts::PI).cos())).abs() < 1e-9);
    assert!((other.lr - 0.125).abs() < 1e-6 && other.loss == plain.loss);
    assert!(first(SpikegradConfig { beta: 0.5, ..c }).loss > plain.loss + 1.0);
    assert!(first(SpikegradConfig { seed: 3, ..c }).loss != plain.loss);
}

/// Weights so large that the logits overflow: a status of its own.
fn logits_that_are_not_finite() {
    let path = std::env::temp_dir().join(format!("capi-large-{}.safetensors", std::process::id()));
    let text = CString::new(path.to_str().unwrap()).unwrap();
    let (_, trainer) = new(&config());
    // SAFETY: a trainer, and paths that end with zero.
    unsafe {
        assert_eq!(spikegrad_trainer_save(trainer, text.as_ptr()), SpikegradStatus::Ok);
        let file = File::read(&path).unwrap();
        let value = |name: &str| if name.starts_with("fc3") { f32::MAX } else { 1.0 };
        let data: Vec<_> =
            file.tensors.iter().map(|t| vec![value(&t.name); file.f32(&t.name).unwrap().len()]).collect();
        let views: Vec<_> = file
            .tensors
            .iter()
            .zip(&data)
            .map(|(t, data)| View { name: &t.name, shape: &t.shape, data })
            .collect();
        write(&path, &file.metadata, &views).unwrap();
        assert_eq!(spikegrad_trainer_load(trainer, text.as_ptr()), SpikegradStatus::Ok, "{}", last());
        let (images, mut logits) = ([0.5f32; 2 * SIDE * SIDE], [0.0f32; 4]);
        let status =
            spikegrad_trainer_predict(trainer, images.as_ptr(), images.len(), logits.as_mut_ptr(), 4);
        assert_eq!((status, logits), (SpikegradStatus::NotFinite, [0.0; 4]));
        spikegrad_trainer_free(trainer);
    }
    std::fs::remove_file(path).unwrap();
}

/// One test, so that no other allocates meanwhile.
#[test]
fn mistakes_are_a_status_and_a_line() {
    outputs_that_are_null();
    structs_of_other_sizes();
    numbers_that_make_no_sense();
    arrays_that_make_no_sense();
    weights_of_another_net();
    defaults_and_settings();
    logits_that_are_not_finite();
    // SAFETY: a static C string.
    let version = unsafe { CStr::from_ptr(spikegrad_version()) };
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
}

/// A file of another neuron, or with a variance below zero, is refused through C as well.
fn weights_of_another_net() {
    let path = std::env::temp_dir().join(format!("capi-other-{}.safetensors", std::process::id()));
    let text = CString::new(path.to_str().unwrap()).unwrap();
    let good = config();
    let (_, saved) = new(&good);
    for (config, want) in [
        (SpikegradConfig { timesteps: 5, ..good }, "trained with timesteps 2, the net has timesteps 5"),
        (SpikegradConfig { decay: 0.75, ..good }, "decay 0.5, the net has decay 0.75"),
        (SpikegradConfig { threshold: 1.5, ..good }, "threshold 0.5, the net has threshold 1.5"),
    ] {
        let (_, trainer) = new(&config);
        let mut predictor = null_mut();
        // SAFETY: handles of this library, a path that ends with zero, room for a pointer.
        unsafe {
            assert_eq!(spikegrad_trainer_save(saved, text.as_ptr()), SpikegradStatus::Ok);
            assert_eq!(spikegrad_trainer_load(trainer, text.as_ptr()), SpikegradStatus::BadFile);
            assert!(last().contains(want), "{}", last());
            assert_eq!(
                spikegrad_predictor_load(&config, text.as_ptr(), &mut predictor),
                SpikegradStatus::BadFile
            );
            assert!(predictor.is_null() && last().contains(want), "{}", last());
            spikegrad_trainer_free(trainer);
        }
    }
    // SAFETY: made here, not used again.
    unsafe { spikegrad_trainer_free(saved) };
    std::fs::remove_file(path).unwrap();
}
