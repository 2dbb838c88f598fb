//! The examples run, and reach what they claim: each ends with an error where it does not.

#[path = "../examples/custom_net.rs"]
mod custom_net;
#[path = "../examples/custom_surrogate.rs"]
mod custom_surrogate;
#[path = "../examples/embed_trainer.rs"]
mod embed_trainer;
#[path = "../examples/load_pytorch_weights.rs"]
mod load_pytorch_weights;

#[test]
fn embed_trainer_learns_bars() {
    embed_trainer::main().unwrap();
}

#[test]
fn custom_surrogate_learns_clouds() {
    custom_surrogate::main().unwrap();
}

#[test]
fn custom_net_learns_figures() {
    custom_net::main().unwrap();
}

#[test]
fn load_pytorch_weights_predicts_the_same() {
    load_pytorch_weights::main().unwrap();
}
