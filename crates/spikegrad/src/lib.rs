//! spikegrad: spikegrad.
