//! spikegrad: testkit.
