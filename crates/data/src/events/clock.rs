//! Counters of time that run over.

/// Puts the times of a counter of a few bits together again.
///
/// A time more than half the counter's range below the last one means that the counter ran over; one more than half
/// above, after such a turn, is a late event of the turn before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    bits: u32,
    turns: u64,
    last: u64,
}

impl Clock {
    /// A counter of `bits` bits.
    pub fn new(bits: u32) -> Self {
        Self { bits, turns: 0, last: 0 }
    }

    /// The whole time of a reading.
    pub fn time(&mut self, reading: u64) -> u64 {
        let half = 1u64 << (self.bits - 1);
        if self.last > reading + half {
            self.turns += 1;
        } else if self.turns > 0 && reading > self.last + half {
            self.turns -= 1;
        }
        self.last = reading;
        self.turns << self.bits | reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_events_belong_to_the_turn_before() {
        let mut clock = Clock::new(8);
        let times = [250, 2, 254, 3, 128, 255, 0].map(|t| clock.time(t));
        assert_eq!(times, [250, 258, 254, 259, 384, 511, 512]);
    }

    #[test]
    fn steps_of_half_the_range_are_no_turns() {
        let mut clock = Clock::new(8);
        assert_eq!([200, 72, 200].map(|t| clock.time(t)), [200, 72, 200]);
        assert_eq!([199, 71, 70].map(|t| clock.time(t)), [199, 71, 70]);
        assert_eq!([200, 71].map(|t| clock.time(t)), [200, 327]);
    }
}
