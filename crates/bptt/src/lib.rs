//! spikegrad: bptt.
