//! spikegrad: models.
