//! Random numbers: xoshiro256++ (Blackman & Vigna 2019), seeded by SplitMix64.
//!
//! [`Rng::keyed`] gives every (seed, epoch, image) its own stream, so that no draw depends on how many draws
//! came before it elsewhere.

/// The golden ratio's odd 64-bit fraction: SplitMix64's step.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Scrambles 64 bits, one to one (SplitMix64's output function).
fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws random numbers from a 256-bit state.
///
/// ```
/// use spikegrad_tensor::rng::Rng;
/// let mut rng = Rng::new(1);
/// assert!(rng.below(6) < 6);
/// assert_eq!(Rng::keyed(&[1, 2]).u64(), Rng::keyed(&[1, 2]).u64());
/// assert_ne!(Rng::keyed(&[1, 2]).u64(), Rng::keyed(&[2, 1]).u64());
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// Seeds the four words of state from one, by SplitMix64.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let word = |k: u64| scramble(seed.wrapping_add(GOLDEN.wrapping_mul(k)));
        Self { state: [word(1), word(2), word(3), word(4)] }
    }

    /// Seeds a stream from several words; another word or another order is another stream.
    #[must_use]
    pub fn keyed(words: &[u64]) -> Self {
        Self::new(
            words
                .iter()
                .fold(0, |h, &word| scramble(h.wrapping_add(GOLDEN) ^ scramble(word.wrapping_add(GOLDEN)))),
        )
    }

    /// Draws 64 uniform bits.
    pub fn u64(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Draws a uniform number in [0, 1), a multiple of 2⁻²⁴.
    pub fn uniform(&mut self) -> f32 {
        (self.u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Draws a uniform number in [0, 1), a multiple of 2⁻⁵³.
    pub fn f64(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws a uniform number in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Draws a uniform integer in 0..n without bias (Lemire 2019); 0 when n is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            return 0;
        }
        let n = n as u64;
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// Draws a standard normal number (Box–Muller, in f64; the last bit may follow the platform's `ln` and `cos`).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.f64()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.f64()).cos()) as f32
    }

    /// Shuffles in place, every order alike (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of xoshiro256++ from the state 1, 2, 3, 4, as its authors' C code prints them.
    #[test]
    fn follows_the_reference() {
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let want = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(want.map(|_| rng.u64()), want);
    }

    /// SplitMix64 from 0 starts with these words.
    #[test]
    fn seeds_by_splitmix64() {
        assert_eq!(Rng::new(0).state[..2], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn below_is_even() {
        let (mut rng, mut counts) = (Rng::new(3), [0u32; 6]);
        (0..60_000).for_each(|_| counts[rng.below(6)] += 1);
        // binomial s.d. is 91; six of them
        assert!(counts.iter().all(|c| c.abs_diff(10_000) < 550), "{counts:?}");
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
    }

    #[test]
    fn normal_has_mean_0_and_variance_1() {
        let mut rng = Rng::new(5);
        let draws: Vec<f64> = (0..100_000).map(|_| f64::from(rng.normal())).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "mean {mean} variance {variance}");
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.uniform())));
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..1000).collect();
        Rng::new(9).shuffle(&mut items);
        assert_ne!(items[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }
}
