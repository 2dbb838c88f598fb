//! The augmentations' properties, and AutoAugment's operations against figures worked out by hand.

use proptest::prelude::*;
use spikegrad_data::Augment;
use spikegrad_data::augment::{Choice, Size, apply, crop, cutout, flip};
use spikegrad_data::autoaugment::{self, Kind, Op, POLICY, PolicyDraw};
use spikegrad_data::rng::Rng;

const RGB: Size = Size { channels: 3, height: 8, width: 9 };

fn sizes() -> impl Strategy<Value = Size> {
    (1usize..5, 1usize..20, 1usize..20).prop_map(|(channels, height, width)| Size { channels, height, width })
}

fn bytes(size: Size, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    (0..size.len()).map(|_| rng.u64() as u8).collect()
}

/// Values that are never zero.
fn floats(size: Size, seed: u64) -> Vec<f32> {
    bytes(size, seed).iter().map(|&b| f32::from(b) + 1.0).collect()
}

fn applied(op: Op, size: Size, image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    op.apply(size, &mut image);
    image
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipping_twice_changes_nothing(size in sizes(), seed in any::<u64>()) {
        let image = floats(size, seed);
        let mut twice = image.clone();
        flip(size, &mut twice);
        for (k, &value) in twice.iter().enumerate() {
            let (row, x) = (k / size.width, k % size.width);
            prop_assert_eq!(value, image[row * size.width + size.width - 1 - x]);
        }
        flip(size, &mut twice);
        prop_assert_eq!(twice, image);
    }

    #[test]
    fn crop_moves_and_pads_with_zero(
        size in sizes(), seed in any::<u64>(), down in -6isize..7, right in -6isize..7,
    ) {
        let image = floats(size, seed);
        let mut out = vec![f32::NAN; size.len()];
        crop(&image, size, down, right, &mut out);
        for (k, &value) in out.iter().enumerate() {
            let (c, y, x) = (k / size.plane(), k / size.width % size.height, k % size.width);
            let (y, x) = (y as isize + down, x as isize + right);
            let inside = (0..size.height as isize).contains(&y) && (0..size.width as isize).contains(&x);
            let want = if inside { image[(c * size.height + y as usize) * size.width + x as usize] } else { 0.0 };
            prop_assert_eq!(value, want);
        }
        crop(&image, size, 0, 0, &mut out);
        prop_assert_eq!(out, image);
    }

    #[test]
    fn cutout_zeroes_a_clipped_square(
        size in sizes(), seed in any::<u64>(), at in any::<[prop::sample::Index; 2]>(), side in 0usize..12,
    ) {
        let centre = (at[0].index(size.height), at[1].index(size.width));
        let image = floats(size, seed);
        let mut out = image.clone();
        cutout(size, centre, side, &mut out);
        let within = |p: usize, c: usize| {
            let low = c as isize - (side / 2) as isize;
            (low..low + side as isize).contains(&(p as isize))
        };
        for (k, (&value, &before)) in out.iter().zip(&image).enumerate() {
            let (y, x) = (k / size.width % size.height, k % size.width);
            let want = if within(y, centre.0) && within(x, centre.1) { 0.0 } else { before };
            prop_assert_eq!(value, want);
        }
    }

    #[test]
    fn choices_stay_in_range_and_nothing_on_changes_nothing(size in sizes(), seed in any::<u64>()) {
        let choice = Choice::draw(size, &mut Rng::new(seed));
        prop_assert_eq!(&choice, &Choice::draw(size, &mut Rng::new(seed)));
        prop_assert!(choice.down.unsigned_abs() <= size.padding() && choice.right.unsigned_abs() <= size.padding());
        prop_assert!(choice.centre.0 < size.height && choice.centre.1 < size.width);
        let image = floats(size, seed);
        let mut out = image.clone();
        apply(Augment::NONE, &choice, size, &mut out, &mut vec![f32::NAN]);
        prop_assert_eq!(out, image);
    }

    #[test]
    fn any_policy_takes_any_image(size in sizes(), seed in any::<u64>()) {
        let draw = PolicyDraw::draw(&mut Rng::new(seed));
        let image = bytes(size, seed);
        let (mut one, mut two) = (image.clone(), image.clone());
        autoaugment::apply(&draw, size, &mut one);
        autoaugment::apply(&draw, size, &mut two);
        prop_assert_eq!(one, two);
        for (kind, _, magnitude) in POLICY.into_iter().flatten() {
            for negative in [false, true] {
                applied(kind.at(magnitude, negative), size, &image);
            }
        }
    }

    #[test]
    fn identity_magnitudes_leave_the_image(size in sizes(), seed in any::<u64>()) {
        let image = bytes(size, seed);
        let geometry = [Op::ShearX(0.0), Op::ShearY(0.0), Op::TranslateX(0.0), Op::TranslateY(0.0), Op::Rotate(0.0)];
        let colour = [Op::Contrast(1.0), Op::Color(1.0), Op::Brightness(1.0), Op::Sharpness(1.0)];
        let bits = [Op::Posterize(8), Op::Solarize(256)];
        for op in geometry.into_iter().chain(colour).chain(bits) {
            prop_assert_eq!(&applied(op, size, &image), &image, "{:?}", op);
        }
        prop_assert_eq!(applied(Op::Invert, size, &applied(Op::Invert, size, &image)), image);
    }
}

#[test]
fn magnitude_zero_is_the_identity_where_there_is_one() {
    let image = bytes(RGB, 1);
    let kinds = [
        Kind::ShearX,
        Kind::ShearY,
        Kind::TranslateX,
        Kind::TranslateY,
        Kind::Rotate,
        Kind::Solarize,
        Kind::Posterize,
        Kind::Contrast,
        Kind::Color,
        Kind::Brightness,
        Kind::Sharpness,
    ];
    for kind in kinds {
        assert_eq!(applied(kind.at(0, true), RGB, &image), image, "{kind:?}");
        assert_ne!(applied(kind.at(9, true), RGB, &image), image, "{kind:?}");
    }
}

#[test]
fn magnitudes_have_their_units() {
    assert_eq!(Kind::Posterize.at(7, false), Op::Posterize(5));
    assert_eq!(Kind::Solarize.at(9, false), Op::Solarize(0));
    assert_eq!(Kind::Rotate.at(3, true), Op::Rotate(-10.0));
    assert_eq!(Kind::Brightness.at(9, false), Op::Brightness(1.9));
    assert_eq!(Kind::AutoContrast.at(5, true), Op::AutoContrast);
}

#[test]
fn geometry_by_hand() {
    let size = Size { channels: 1, height: 3, width: 3 };
    let image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    assert_eq!(applied(Op::TranslateX(0.34), size, &image), [2, 3, 128, 5, 6, 128, 8, 9, 128]);
    assert_eq!(applied(Op::TranslateY(-0.34), size, &image), [128, 128, 128, 1, 2, 3, 4, 5, 6]);
    assert_eq!(applied(Op::ShearX(1.0), size, &[1, 2, 3, 1, 2, 3, 1, 2, 3]), {
        // row y starts at x + y + 1/2: rounded down from the pixel's centre
        [2, 3, 128, 3, 128, 128, 128, 128, 128]
    });
    let quarter = applied(Op::Rotate(90.0), size, &image);
    assert!(quarter == [7, 4, 1, 8, 5, 2, 9, 6, 3] || quarter == [3, 6, 9, 2, 5, 8, 1, 4, 7], "{quarter:?}");
    assert_eq!(applied(Op::Rotate(-90.0), size, &quarter), image);
}

#[test]
fn colour_by_hand() {
    let line = |n: usize| Size { channels: 1, height: 1, width: n };
    assert_eq!(applied(Op::AutoContrast, line(3), &[100, 110, 150]), [0, 51, 255]);
    assert_eq!(applied(Op::AutoContrast, line(2), &[7, 7]), [7, 7]);
    assert_eq!(applied(Op::Posterize(2), line(3), &[0x3f, 0x7f, 0xff]), [0, 0x40, 0xc0]);
    assert_eq!(applied(Op::Posterize(0), line(1), &[0xff]), [0]);
    assert_eq!(applied(Op::Brightness(0.5), line(3), &[0, 100, 255]), [0, 50, 127]);
    assert_eq!(applied(Op::Brightness(1.9), line(2), &[100, 200]), [190, 255]);
    assert_eq!(applied(Op::Contrast(0.0), line(2), &[100, 201]), [151, 151]);
    assert_eq!(applied(Op::Contrast(2.0), line(2), &[100, 200]), [50, 250]);
    // pure red, green and blue have the lightness 76, 150 and 29
    let three = Size { channels: 3, height: 1, width: 3 };
    let image = [255, 0, 0, 0, 255, 0, 0, 0, 255];
    assert_eq!(applied(Op::Color(0.0), three, &image), [76, 150, 29, 76, 150, 29, 76, 150, 29]);
    // one bright pixel among black: 5·130/13 in the middle, the border stays
    let nine = Size { channels: 1, height: 3, width: 3 };
    let image = [0, 0, 0, 0, 130, 0, 0, 0, 0];
    assert_eq!(applied(Op::Sharpness(0.0), nine, &image), [0, 0, 0, 0, 50, 0, 0, 0, 0]);
}

#[test]
fn equalize_flattens_the_histogram() {
    // 1,024 pixels in four equal levels: step (1024 − 256)/255 = 3, map (1 + 256·k)/3 cut to 255
    let size = Size { channels: 1, height: 32, width: 32 };
    let image: Vec<u8> = (0..1024).map(|i| 100 + (i % 4) as u8).collect();
    let out = applied(Op::Equalize, size, &image);
    assert_eq!(out[..4], [0, 85, 171, 255]);
    assert_eq!(applied(Op::Equalize, size, &[9; 1024]), [9; 1024]);
}

#[test]
fn names_come_back() {
    for name in ["none", "crop", "crop,flip", "crop,flip,cutout,autoaugment", "autoaugment"] {
        assert_eq!(name.parse::<Augment>().unwrap().to_string(), name);
    }
    assert_eq!(" flip , crop ".parse::<Augment>().unwrap().to_string(), "crop,flip");
    for name in ["", "crop,", "flop", "crop,none"] {
        let message = name.parse::<Augment>().unwrap_err().to_string();
        assert!(message.contains("crop,flip,cutout,autoaugment"), "{message}");
    }
}

/// The table of the paper, sub-policy by sub-policy: operation, chance in tenths, magnitude (- where it has none).
const TABLE: &str = "Invert 1 -, Contrast 2 6; Rotate 7 2, TranslateX 3 9; Sharpness 8 1, Sharpness 9 3; ShearY 5 8, \
    TranslateY 7 9; AutoContrast 5 -, Equalize 9 -; ShearY 2 7, Posterize 3 7; Color 4 3, Brightness 6 7; Sharpness 3 9, \
    Brightness 7 9; Equalize 6 -, Equalize 5 -; Contrast 6 7, Sharpness 6 5; Color 7 7, TranslateX 5 8; Equalize 3 -, \
    AutoContrast 4 -; TranslateY 4 3, Sharpness 2 6; Brightness 9 6, Color 2 8; Solarize 5 2, Invert 0 -; Equalize 2 -, \
    AutoContrast 6 -; Equalize 2 -, Equalize 6 -; Color 9 9, Equalize 6 -; AutoContrast 8 -, Solarize 2 8; Brightness 1 3, \
    Color 7 0; Solarize 4 5, AutoContrast 9 -; TranslateY 9 9, TranslateY 7 9; AutoContrast 9 -, Solarize 8 3; \
    Equalize 8 -, Invert 1 -; TranslateY 7 9, AutoContrast 9 -";

#[test]
fn the_policy_is_the_published_one() {
    let policies: Vec<&str> = TABLE.split("; ").collect();
    assert_eq!(policies.len(), POLICY.len());
    for (text, steps) in policies.iter().zip(POLICY) {
        for (text, (kind, tenths, magnitude)) in text.split(", ").zip(steps) {
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!((words[0], words[1]), (&*format!("{kind:?}"), &*tenths.to_string()), "{text}");
            assert!(words[2] == "-" || words[2] == magnitude.to_string(), "{text}: {magnitude}");
        }
    }
}

/// Chances and signs as drawn, against the table's.
#[test]
fn policies_are_drawn_with_their_chances() {
    const DRAWS: usize = 100_000;
    let mut rng = Rng::new(9);
    let (mut colors, mut solarized, mut up, mut down) = (0usize, 0usize, 0usize, 0usize);
    for _ in 0..DRAWS {
        for op in PolicyDraw::draw(&mut rng).steps.into_iter().flatten() {
            match op {
                Op::Color(_) => colors += 1,
                Op::Solarize(_) => solarized += 1,
                Op::TranslateY(part) if part > 0.0 => up += 1,
                Op::TranslateY(_) => down += 1,
                _ => {}
            }
        }
    }
    // Tenths of the table's rows, each row one in 25: colour 4+7+2+9+7, solarize 5+2+4+8, moves down or up 7+4+9+7+7.
    for (what, count, tenths) in
        [("color", colors, 29), ("solarize", solarized, 19), ("translate", up + down, 34)]
    {
        let want = DRAWS * tenths / 250;
        // The standard deviation is below √want.
        assert!(count.abs_diff(want) < 5 * want.isqrt(), "{what}: {count}, expected {want}");
    }
    assert!(up.abs_diff(down) < 5 * (up + down).isqrt(), "{up} up, {down} down");
}

/// CIFAR's customary sizes: a border of 4, a hole of 16; half of the images are mirrored, and only those.
#[test]
fn choices_have_the_customary_ranges() {
    let size = Size { channels: 1, height: 32, width: 32 };
    assert_eq!((size.padding(), size.hole()), (4, 16));
    let choices: Vec<Choice> = (0..4000).map(|k| Choice::draw(size, &mut Rng::keyed(&[3, k]))).collect();
    for shift in -4..=4 {
        // One in nine: 444, s.d. 20.
        assert!(choices.iter().filter(|c| c.down == shift).count().abs_diff(444) < 100, "down {shift}");
        assert!(choices.iter().filter(|c| c.right == shift).count().abs_diff(444) < 100, "right {shift}");
    }
    let mirrored = choices.iter().filter(|c| c.mirror).count();
    assert!(mirrored.abs_diff(2000) < 160, "{mirrored} mirrored");
    let augment = Augment { flip: true, ..Augment::NONE };
    let image = floats(size, 1);
    for choice in &choices[..50] {
        let mut varied = image.clone();
        apply(augment, choice, size, &mut varied, &mut Vec::new());
        assert_eq!(varied != image, choice.mirror);
        let reversed = varied.chunks(32).zip(image.chunks(32)).all(|(a, b)| a.iter().eq(b.iter().rev()));
        assert_eq!(reversed, choice.mirror);
    }
}
