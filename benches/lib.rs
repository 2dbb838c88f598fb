//! Criterion benchmarks of the spikegrad kernels; the benches themselves lie in `benches/`.
