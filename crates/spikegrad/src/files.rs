//! Weights and complete states in files.

use crate::{Error, Trainer};
use spikegrad_models::names::{canonical, shared_prefix};
use spikegrad_models::safetensors::{File, FileError, View, write};
use spikegrad_models::{Net, NetConfig};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the state's layout.
const FORMAT: &str = "spikegrad-1";
/// What the metadata's names of the caller's strings begin with.
const EXTRA: &str = "extra.";

/// Reads the caller's strings of a file that [`Trainer::save_weights_with`] or [`Trainer::save_state`] wrote; a file
/// from elsewhere has none.
///
/// # Errors
/// The file cannot be read or is no safetensors file.
pub fn extra(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>, Error> {
    Ok(extra_of(&File::read(path)?))
}

/// As [`extra`], of a file's bytes that came from `path`.
///
/// # Errors
/// The bytes are no safetensors file, or damaged.
pub fn extra_of_bytes(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<BTreeMap<String, String>, Error> {
    Ok(extra_of(&File::parse(path.as_ref(), bytes)?))
}

fn extra_of(file: &File) -> BTreeMap<String, String> {
    let own = |(key, value): (&String, &String)| Some((key.strip_prefix(EXTRA)?.to_string(), value.clone()));
    file.metadata.iter().filter_map(own).collect()
}

impl Trainer {
    /// Writes weights and running estimates under PyTorch's names.
    ///
    /// Beside them the file says what they were trained for: net, time steps, neuron, normalisation.
    ///
    /// # Errors
    /// A number that no load would accept (not finite, or a variance below 0), or a folder that cannot be written; an
    /// existing file of that name is then untouched.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.save_weights_with(path, &BTreeMap::new())
    }

    /// Writes weights and running estimates, with `extra` strings of the caller's: what the file is to say of itself.
    ///
    /// # Errors
    /// As [`Trainer::save_weights`].
    pub fn save_weights_with(
        &self,
        path: impl AsRef<Path>,
        extra: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        save(path.as_ref(), &self.metadata(extra), &self.weight_views())
    }

    /// Writes all that an exact resume needs, with `extra` strings of the caller's.
    ///
    /// # Errors
    /// As [`Trainer::save_weights`].
    pub fn save_state(&self, path: impl AsRef<Path>, extra: &BTreeMap<String, String>) -> Result<(), Error> {
        let mut metadata = self.metadata(extra);
        metadata.insert("step".into(), self.step.to_string());
        let lengths = self.moments.each_ref().map(|moment| [moment.len()]);
        let mut views = self.weight_views();
        for (k, name) in ["moment.first", "moment.second"].into_iter().enumerate() {
            views.push(View { name, shape: &lengths[k], data: &self.moments[k] });
        }
        save(path.as_ref(), &metadata, &views)
    }

    /// Reads weights and running estimates, under PyTorch's or the authors' names.
    ///
    /// # Errors
    /// A missing or surplus name, a wrong shape, a number that is not finite, a variance below 0, aliases that
    /// disagree, or a file that says it was trained for other time steps, another decay, threshold, reset (hard or
    /// soft) or normalisation; files of other programs say nothing and are accepted. The trainer is then unchanged.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        load_weights(&mut self.net, &self.config.net, path.as_ref())?;
        self.measure();
        Ok(())
    }

    /// Reads weights as [`Trainer::load_weights`] does, whatever they were trained for: for who wants to know what they do
    /// with other time steps or another neuron.
    ///
    /// # Errors
    /// As [`Trainer::load_weights`], but for what the file says of its neuron.
    pub fn load_weights_of_any_neuron(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        load(&mut self.net, None, &File::read(path)?, false)?;
        self.measure();
        Ok(())
    }

    /// Reads a state written by [`Trainer::save_state`] and returns the caller's strings.
    ///
    /// # Errors
    /// As [`Trainer::load_weights`]; also a state of another layout or optimiser.
    pub fn load_state(&mut self, path: impl AsRef<Path>) -> Result<BTreeMap<String, String>, Error> {
        let file = File::read(path)?;
        let format: String = file.meta("format")?;
        if format != FORMAT {
            return Err(file.error(format!("format is {format:?}, expected {FORMAT:?}")).into());
        }
        if !file.is_verified {
            return Err(file.error("has no checksum, so it is no state that was written whole").into());
        }
        let moments = [valid(&file, "moment.first")?, valid(&file, "moment.second")?];
        for (have, read) in self.moments.iter().zip(&moments) {
            if have.len() != read.len() {
                let (have, read) = (have.len(), read.len());
                return Err(file
                    .error(format!("optimiser moment has {read} numbers, expected {have}"))
                    .into());
            }
        }
        let step = file.meta("step")?;
        load(&mut self.net, Some(&self.config.net), &file, true)?;
        self.step = step;
        self.moments = moments;
        self.measure();
        Ok(extra_of(&file))
    }

    fn metadata(&self, extra: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let net = &self.config.net;
        let mut metadata = BTreeMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("net".to_string(), net.name()),
            ("width".to_string(), net.scale.to_string()),
            ("timesteps".to_string(), net.timesteps.to_string()),
            ("classes".to_string(), net.classes.to_string()),
            ("image".to_string(), format!("{}x{}x{}", net.channels, net.height, net.width)),
        ]);
        metadata.extend(neuron(net).into_iter().map(|(key, value)| (key.to_string(), value)));
        metadata.insert("surrogate".into(), format!("{:?}", net.lif.surrogate));
        metadata.extend(extra.iter().map(|(key, value)| (format!("{EXTRA}{key}"), value.clone())));
        metadata
    }

    fn weight_views(&self) -> Vec<View<'_>> {
        let params = self.net.params();
        let lists = [(&params.entries, &params.weights), (&params.buffer_entries, &params.buffers)];
        let views = lists.into_iter().flat_map(|(entries, data)| {
            entries.iter().map(move |e| View { name: &e.name, shape: &e.shape, data: &data[e.range.clone()] })
        });
        views.collect()
    }
}

/// What the weights of a net are for, beyond their shapes: names and values in a file's metadata. The ReLU twin has no
/// neuron to speak of.
fn neuron(net: &NetConfig) -> Vec<(&'static str, String)> {
    if net.twin {
        return vec![("norm", net.norm.to_string())];
    }
    let lif = &net.lif;
    vec![
        ("decay", lif.decay.to_string()),
        ("threshold", lif.threshold.to_string()),
        ("reset", lif.reset.to_string()),
        ("norm", net.norm.to_string()),
    ]
}

/// Checks that a file of ours was trained for what the net is.
fn check_origin(net: &NetConfig, has_norm: bool, file: &File) -> Result<(), FileError> {
    let is_ours = file.metadata.get("format").is_some_and(|format| format.starts_with("spikegrad-"));
    let is_spiking = file.metadata.contains_key("decay");
    if !is_ours {
        return Ok(());
    }
    let mut own = neuron(net);
    // A net of one step is stepped as often as one likes.
    if is_spiking && !net.twin && net.timesteps > 1 {
        own.push(("timesteps", net.timesteps.to_string()));
    }
    // Detached or not, a reset is the same in the forward.
    let kind = |key: &str, value: &str| match key {
        "reset" => value.split('-').next().unwrap_or("").to_string(),
        _ => value.to_string(),
    };
    for (key, own) in own {
        let Some(told) = file.metadata.get(key) else { continue };
        if kind(key, told) != kind(key, &own) && (key != "norm" || has_norm) {
            return Err(
                file.error(format!("its weights were trained with {key} {told}, the net has {key} {own}"))
            );
        }
    }
    Ok(())
}

/// Writes tensors, each of which a load will accept.
fn save(path: &Path, metadata: &BTreeMap<String, String>, tensors: &[View<'_>]) -> Result<(), Error> {
    for tensor in tensors {
        check_numbers(tensor.name, tensor.data)
            .map_err(|what| FileError::new(path, format!("not written: {what}")))?;
    }
    Ok(write(path, metadata, tensors)?)
}

/// Reads weights and running estimates into a net of `config`, which is unchanged by a file that does not fit.
pub(crate) fn load_weights(net: &mut Net, config: &NetConfig, path: &Path) -> Result<(), Error> {
    load(net, Some(config), &File::read(path)?, false)
}

/// Reads a file into a net; where a configuration is given, the file must have been trained for it.
fn load(net: &mut Net, config: Option<&NetConfig>, file: &File, with_moments: bool) -> Result<(), Error> {
    if let Some(config) = config {
        check_origin(config, !net.params().buffers.is_empty(), file)?;
    }
    let mut found = tensors(file, with_moments)?;
    let params = net.params();
    let mut weights = params.weights.clone();
    let mut buffers = params.buffers.clone();
    let lists = [(&params.entries, &mut weights), (&params.buffer_entries, &mut buffers)];
    for (entries, into) in lists {
        for entry in entries {
            let Some((name, shape, data)) = found.remove(&entry.name) else {
                return Err(file.error(missing(&entry.name, file)).into());
            };
            if shape != entry.shape {
                let want = &entry.shape;
                let what = format!("tensor {name:?} has shape {shape:?}, the net expects {want:?}");
                return Err(file.error(what).into());
            }
            into[entry.range.clone()].copy_from_slice(&data);
        }
    }
    if let Some((name, ..)) = found.into_values().next() {
        return Err(file.error(format!("tensor {name:?} is none of the net's")).into());
    }
    let params = net.params_mut();
    params.weights = weights;
    params.buffers = buffers;
    Ok(())
}

/// Tensors by the net's names: the file's name, shape and numbers of each.
type Tensors = BTreeMap<String, (String, Vec<usize>, Vec<f32>)>;

fn tensors(file: &File, with_moments: bool) -> Result<Tensors, Error> {
    let mut found = Tensors::new();
    let prefix = shared_prefix(file.tensors.iter().map(|entry| entry.name.as_str())).len();
    for entry in &file.tensors {
        let name = canonical(&entry.name[prefix..]);
        let ignored = name.ends_with("num_batches_tracked") || with_moments && name.starts_with("moment.");
        if ignored {
            continue;
        }
        let data = valid(file, &entry.name)?;
        if let Some((other, _, before)) = found.get(&name)
            && *before != data
        {
            let both = format!("{other:?} and {:?}", entry.name);
            return Err(file.error(format!("{both} both name {name:?} and disagree")).into());
        }
        found.insert(name, (entry.name.clone(), entry.shape.clone(), data));
    }
    Ok(found)
}

/// Says that a tensor is missing, and what all names begin with, if that may be why.
fn missing(name: &str, file: &File) -> String {
    let first = |entry: &str| entry.split_once('.').map(|(first, _)| first.to_string());
    let mut firsts = file.tensors.iter().map(|entry| first(&entry.name));
    match firsts.next().flatten() {
        Some(prefix) if file.tensors.len() > 1 && firsts.all(|other| other.as_ref() == Some(&prefix)) => {
            format!("no tensor {name:?}; all names in the file begin with \"{prefix}.\"")
        }
        _ => format!("no tensor {name:?}"),
    }
}

/// The numbers of a tensor, checked.
fn valid(file: &File, name: &str) -> Result<Vec<f32>, Error> {
    let data = file.f32(name)?;
    check_numbers(name, &data).map_err(|what| file.error(what))?;
    Ok(data)
}

/// Checks what every tensor holds: finite numbers; a variance, or a mean of squares, is not negative.
fn check_numbers(name: &str, data: &[f32]) -> Result<(), String> {
    let is_square = name.ends_with("running_var") || name == "moment.second";
    let is_bad = |x: &f32| !x.is_finite() || is_square && *x < 0.0;
    match data.iter().position(is_bad) {
        Some(at) if data[at].is_finite() => {
            Err(format!("tensor {name:?} holds {} at {at}, must be 0 or more", data[at]))
        }
        Some(at) => Err(format!("tensor {name:?} holds {} at {at}", data[at])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainConfig;
    use proptest::prelude::*;
    use spikegrad_bptt::Optimizer;
    use spikegrad_models::NetKind;
    use spikegrad_tensor::Level;
    use spikegrad_testkit::temporary::Temporary;

    fn trainer(optimizer: Optimizer) -> Trainer {
        let net = NetConfig { scale: 0.03, ..NetConfig::new(NetKind::LeNet, 1, 8, 8, 2) };
        Trainer::new(TrainConfig { batch: 1, optimizer, ..TrainConfig::new(net) }, Level::BASELINE).unwrap()
    }

    /// The bits of all that a state holds.
    fn bits(trainer: &Trainer) -> (Vec<u32>, u64) {
        let params = trainer.net.params();
        let lists = [&params.weights, &params.buffers, &trainer.moments[0], &trainer.moments[1]];
        (lists.into_iter().flatten().map(|x| x.to_bits()).collect(), trainer.step)
    }

    /// Numbers that break things: by special bits and over the whole range.
    fn hostile() -> impl Strategy<Value = f32> {
        prop_oneof![
            any::<u32>().prop_map(f32::from_bits),
            prop::sample::select(vec![
                0.0,
                -0.0,
                1e-45,
                -1e-45,
                f32::MIN_POSITIVE,
                f32::MAX,
                f32::MIN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                -f32::NAN,
                -1.0,
                1e38,
            ]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever is written can be read, to the bit; what could not be read is not written, and the old file stays.
        #[test]
        fn what_is_saved_can_be_loaded(
            numbers in prop::collection::vec((0usize..4, any::<prop::sample::Index>(), hostile()), 0..4),
            step in any::<u64>(),
            extra in prop::collection::btree_map(any::<String>(), any::<String>(), 0..3),
            sgd in any::<bool>(),
            with_state in any::<bool>(),
        ) {
            let optimizer = if sgd { Optimizer::sgd(0.9, false, 0.0) } else { Optimizer::adam(0.0) };
            let mut saved = trainer(optimizer.clone());
            saved.step = step;
            for (list, at, x) in numbers {
                let params = saved.net.params_mut();
                let [first, second] = &mut saved.moments;
                let list = [&mut params.weights, &mut params.buffers, first, second][list].as_mut_slice();
                if !list.is_empty() {
                    list[at.index(list.len())] = x;
                }
            }
            let file = Temporary::new("hostile");
            std::fs::write(&file.0, b"old").unwrap();
            let written = if with_state { saved.save_state(&file.0, &extra) } else { saved.save_weights_with(&file.0, &extra) };
            let mut loaded = trainer(optimizer);
            if written.is_err() {
                prop_assert_eq!(std::fs::read(&file.0).unwrap(), b"old".to_vec());
                // The same numbers, written by somebody else, are refused.
                let mut views = saved.weight_views();
                let lengths = saved.moments.each_ref().map(|moment| [moment.len()]);
                if with_state {
                    views.push(View { name: "moment.first", shape: &lengths[0], data: &saved.moments[0] });
                    views.push(View { name: "moment.second", shape: &lengths[1], data: &saved.moments[1] });
                }
                let metadata = BTreeMap::from([("format".into(), FORMAT.into()), ("step".into(), "1".to_string())]);
                write(&file.0, &metadata, &views).unwrap();
                let before = bits(&loaded);
                let read = if with_state { loaded.load_state(&file.0).map(|_| ()) } else { loaded.load_weights(&file.0) };
                prop_assert!(read.is_err());
                prop_assert!(bits(&loaded) == before);
            } else if with_state {
                prop_assert_eq!(loaded.load_state(&file.0).unwrap(), extra);
                prop_assert!(bits(&loaded) == bits(&saved));
            } else {
                loaded.load_weights(&file.0).unwrap();
                prop_assert_eq!(super::extra(&file.0).unwrap(), extra);
                let params = |trainer: &Trainer| (trainer.net.params().weights.clone(), trainer.net.params().buffers.clone());
                prop_assert!(params(&loaded) == params(&saved));
            }
        }
    }
}
