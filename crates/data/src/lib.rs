//! spikegrad: data.
