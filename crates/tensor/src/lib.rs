//! spikegrad: tensor.
