//! Runs one layer of neurons on currents from standard input and prints its outputs and gradients, for other programs to
//! compare with: `benches/peers/zoo_neurons.py` does.
//!
//! ```text
//! cargo run --release -p spikegrad --example neuron_steps -- net.toml < numbers
//! ```
//!
//! `net.toml` is a net's text form whose only layer is neurons. The numbers are the currents x\[t\] of every step, then ∂L/∂o\[t\].
//! A line each comes out: o\[t\], ∂L/∂x\[t\], then the name and the gradient of every learned number.

use spikegrad::models::Net;
use spikegrad::prelude::*;
use std::error::Error;
use std::io::Read;

fn line(numbers: &[f32]) -> String {
    numbers.iter().map(|x| format!("{x:e}")).collect::<Vec<_>>().join(" ")
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: neuron_steps net.toml < numbers")?;
    let config = NetConfig::from_text(&std::fs::read_to_string(path)?)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f32>, _>>()?;
    let mut net = Net::plan(&config, 1, Level::detect()?, true)?;
    net.params_mut().initialise(Init::Uniform, 0);
    let len = net.images_len();
    if numbers.len() != 2 * len {
        return Err(format!("{} numbers, must be {len} currents and as many gradients", numbers.len()).into());
    }
    net.forward(&numbers[..len], true);
    println!("{}", line(&net.logits()));
    net.backward_from(&numbers[len..]);
    println!("{}", line(&net.input_gradient().ok_or("the net was planned without its input's gradient")?));
    for entry in &net.params().entries {
        println!("{} {}", entry.name, line(&net.params().grads[entry.range.clone()]));
    }
    Ok(())
}
