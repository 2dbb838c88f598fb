//! Weights and complete states in files.

use crate::{BatchError, Error, Position, TrainConfig, Trainer};
use spikegrad_bptt::LifConfig;
use spikegrad_models::names::{canonical, shared_prefix};
use spikegrad_models::ops::Kinds;
use spikegrad_models::safetensors::{File, FileError, View, write};
use spikegrad_models::{Net, NetConfig};
use spikegrad_tensor::Level;
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the state's layout.
const FORMAT: &str = "spikegrad-1";
/// The name of the net's text form in the metadata.
const NET: &str = "net.toml";
/// The name of the classes' names in the metadata, one a line.
const CLASSES: &str = "class_names";
/// The tensor of the weights' mean.
const MEAN: &str = "mean.weights";
/// The prefix of the caller's strings in the metadata.
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

/// Reads from a file that a trainer wrote which net its weights are for, and the names of its classes.
///
/// # Errors
/// The file cannot be read, does not say what net it is for (files from elsewhere do not), or names ops that are not in
/// `kinds`.
pub fn net_of(path: impl AsRef<Path>, kinds: &Kinds) -> Result<(NetConfig, Vec<String>), Error> {
    net_of_file(&File::read(path)?, kinds)
}

pub(crate) fn net_of_file(file: &File, kinds: &Kinds) -> Result<(NetConfig, Vec<String>), Error> {
    let Some(text) = file.metadata.get(NET) else {
        return Err(file.error("does not say what net its weights are for").into());
    };
    let net =
        NetConfig::from_text_with(text, kinds).map_err(|error| file.error(format!("{NET}: {error}")))?;
    Ok((net, class_names(file)))
}

/// The names of the classes that a file tells.
fn class_names(file: &File) -> Vec<String> {
    let names = file.metadata.get(CLASSES).filter(|names| !names.is_empty());
    names.map(|names| names.split('\n').map(str::to_string).collect()).unwrap_or_default()
}

impl Trainer {
    /// Opens a file of weights or a state that a trainer wrote: its net, with the paper's recipe for a batch of `batch`
    /// images. [`Trainer::open_with`] takes another recipe, and ops of one's own.
    ///
    /// ```
    /// use spikegrad::prelude::*;
    ///
    /// let net = NetConfig::new(NetKind::Mlp, 1, 2, 2, 2).scale(0.1);
    /// let mut trainer = Trainer::new(TrainConfig::new(net).batch(1), Level::detect()?)?;
    /// # let folder = std::env::temp_dir().join(format!("spikegrad-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("weights.safetensors");
    /// trainer.save_weights(&path)?;
    /// let mut opened = Trainer::open(&path, 1, Level::detect()?)?;
    /// assert_eq!(opened.predict(&[0.5; 4])?, trainer.predict(&[0.5; 4])?);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`net_of`] and [`Trainer::load_weights`].
    pub fn open(path: impl AsRef<Path>, batch: usize, level: Level) -> Result<Self, Error> {
        Self::open_with(path, &Kinds::default(), level, |config| TrainConfig { batch, ..config })
    }

    /// As [`Trainer::open`]; `recipe` changes the configuration that the file and the paper's recipe give.
    ///
    /// # Errors
    /// As [`Trainer::open`].
    pub fn open_with(
        path: impl AsRef<Path>,
        kinds: &Kinds,
        level: Level,
        recipe: impl FnOnce(TrainConfig) -> TrainConfig,
    ) -> Result<Self, Error> {
        let file = File::read(path)?;
        let (net, class_names) = net_of_file(&file, kinds)?;
        let config = recipe(TrainConfig { class_names, ..TrainConfig::new(net) });
        let mut trainer = Self::new(config, level)?;
        let (net, config) = (&mut trainer.net, &trainer.config);
        load(net, Some((&config.net, &config.class_names)), &file, file.metadata.contains_key("step"))?;
        trainer.begin_with_weights();
        Ok(trainer)
    }

    /// Writes the mean of the weights ([`TrainConfig::weight_mean`]) instead of the weights, with the running estimates
    /// as they are.
    ///
    /// # Errors
    /// As [`Trainer::save_weights`]; also a trainer that keeps no mean.
    pub fn save_mean_weights(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let Some(mean) = &self.mean_weights else {
            return Err(BatchError::NoWeightMean.into());
        };
        save(path.as_ref(), &self.metadata(&BTreeMap::new()), &self.views(mean))
    }

    /// Writes a state with the place in the run, for [`Trainer::load_state_at`].
    ///
    /// # Errors
    /// As [`Trainer::save_state`].
    pub fn save_state_at(&self, path: impl AsRef<Path>, position: Position) -> Result<(), Error> {
        let Position { epoch, batch } = position;
        let extra = BTreeMap::from([("position".to_string(), format!("{epoch} {batch}"))]);
        self.save_state(path, &extra)
    }

    /// Reads what [`Trainer::save_state_at`] wrote and returns the place in the run.
    ///
    /// # Errors
    /// As [`Trainer::load_state`]; also a state that does not say its place.
    pub fn load_state_at(&mut self, path: impl AsRef<Path>) -> Result<Position, Error> {
        let file = File::read(&path)?;
        let told = extra_of(&file).get("position").cloned().unwrap_or_default();
        let mut numbers = told.split(' ').map(str::parse);
        let (Some(Ok(epoch)), Some(Ok(batch)), None) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(file
                .error(format!("its position is {told:?}, expected an epoch and a batch"))
                .into());
        };
        self.load_state_of(file)?;
        Ok(Position { epoch, batch })
    }

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
        let mean = self.mean_weights.as_deref();
        let mean_length = [mean.map_or(0, <[f32]>::len)];
        views.extend(mean.map(|data| View { name: MEAN, shape: &mean_length, data }));
        save(path.as_ref(), &metadata, &views)
    }

    /// Reads weights and running estimates, under PyTorch's or the authors' names.
    ///
    /// # Errors
    /// A missing or surplus name, a wrong shape, a number that is not finite, a variance below 0, aliases that
    /// disagree, or a file that says it was trained for other time steps, another decay, threshold, reset (hard or
    /// soft) or normalisation; files of other programs say nothing and are accepted. The trainer is then unchanged.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let file = File::read(path)?;
        load(&mut self.net, Some((&self.config.net, &self.config.class_names)), &file, false)?;
        self.begin_with_weights();
        Ok(())
    }

    /// Reads weights as [`Trainer::load_weights`] does, whatever they were trained for: for who wants to know what they do
    /// with other time steps or another neuron.
    ///
    /// # Errors
    /// As [`Trainer::load_weights`], but for what the file says of its neuron.
    pub fn load_weights_of_any_neuron(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        load(&mut self.net, None, &File::read(path)?, false)?;
        self.begin_with_weights();
        Ok(())
    }

    /// Reads a state written by [`Trainer::save_state`] and returns the caller's strings.
    ///
    /// # Errors
    /// As [`Trainer::load_weights`]; also a state of another layout or optimiser.
    pub fn load_state(&mut self, path: impl AsRef<Path>) -> Result<BTreeMap<String, String>, Error> {
        self.load_state_of(File::read(path)?)
    }

    fn load_state_of(&mut self, file: File) -> Result<BTreeMap<String, String>, Error> {
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
        let has_mean = file.entry(MEAN).is_ok();
        if has_mean != self.mean_weights.is_some() {
            let (has, wants) = if has_mean { ("a", "none") } else { ("no", "one") };
            return Err(file
                .error(format!("has {has} mean of the weights, the trainer keeps {wants}"))
                .into());
        }
        let mean = if has_mean { Some(valid(&file, MEAN)?) } else { None };
        if let (Some(have), Some(read)) = (&self.mean_weights, &mean)
            && have.len() != read.len()
        {
            let (have, read) = (have.len(), read.len());
            return Err(file
                .error(format!("mean of the weights has {read} numbers, expected {have}"))
                .into());
        }
        let step = file.meta("step")?;
        load(&mut self.net, Some((&self.config.net, &self.config.class_names)), &file, true)?;
        self.step = step;
        self.mean_weights = mean;
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
        metadata.insert(NET.into(), net.to_text());
        if !self.config.class_names.is_empty() {
            metadata.insert(CLASSES.into(), self.config.class_names.join("\n"));
        }
        metadata.extend(extra.iter().map(|(key, value)| (format!("{EXTRA}{key}"), value.clone())));
        metadata
    }

    fn weight_views(&self) -> Vec<View<'_>> {
        self.views(&self.net.params().weights)
    }

    /// Names, shapes and numbers of weights and of the running estimates.
    fn views<'a>(&'a self, weights: &'a [f32]) -> Vec<View<'a>> {
        let params = self.net.params();
        let lists = [(&params.entries, weights), (&params.buffer_entries, &params.buffers[..])];
        let views = lists.into_iter().flat_map(|(entries, data)| {
            entries.iter().map(move |e| View { name: &e.name, shape: &e.shape, data: &data[e.range.clone()] })
        });
        views.collect()
    }
}

/// The neuron that the weights of a net are for: names and values in a file's metadata. The ReLU twin has no
/// neuron to speak of.
fn neuron(net: &NetConfig) -> Vec<(&'static str, String)> {
    if net.twin {
        return vec![("norm", net.norm.to_string())];
    }
    let lif = &net.lif;
    let told = vec![
        ("decay", lif.decay.to_string()),
        ("threshold", lif.threshold.to_string()),
        ("reset", lif.reset.to_string()),
        ("norm", net.norm.to_string()),
    ];
    let unusual = neuron_kind(lif).into_iter().zip(neuron_kind(&LifConfig::default()));
    let unusual = unusual.filter(|(own, usual)| own != usual).map(|(own, _)| own);
    told.into_iter().chain(unusual).collect()
}

/// What a file tells of the neuron where it differs from the authors'.
fn neuron_kind(lif: &LifConfig) -> Vec<(&'static str, String)> {
    vec![
        ("kind", lif.kind.name().to_string()),
        ("input_scale", lif.input_scale.to_string()),
        ("reset_value", lif.reset_value.to_string()),
        ("firing", lif.firing.to_string()),
    ]
}

/// Checks that a file of ours was trained for what the net is, and for classes of the same names.
fn check_origin(
    (net, classes): (&NetConfig, &[String]),
    has_norm: bool,
    file: &File,
) -> Result<(), FileError> {
    let is_ours = file.metadata.get("format").is_some_and(|format| format.starts_with("spikegrad-"));
    let is_spiking = file.metadata.contains_key("decay");
    if !is_ours {
        return Ok(());
    }
    let told = class_names(file);
    if let Some((own, told)) = classes.iter().zip(&told).find(|(own, told)| own != told) {
        return Err(file.error(format!("its class {told:?} is the net's class {own:?}")));
    }
    let mut own = neuron(net);
    if is_spiking && !net.twin {
        // A file that is silent about these was written for the authors' neuron.
        let usual = neuron_kind(&LifConfig::default());
        for ((key, own), (_, usual)) in neuron_kind(&net.lif).into_iter().zip(usual) {
            let told = file.metadata.get(key).unwrap_or(&usual);
            if *told != own {
                return Err(file
                    .error(format!("its weights were trained with {key} {told}, the net has {key} {own}")));
            }
        }
    }
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
    load(net, Some((config, &[])), &File::read(path)?, false)
}

/// Reads a file into a net; where a configuration is given, the file must have been trained for it.
fn load(
    net: &mut Net,
    config: Option<(&NetConfig, &[String])>,
    file: &File,
    with_moments: bool,
) -> Result<(), Error> {
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
        let ignored = name.ends_with("num_batches_tracked")
            || with_moments && (name.starts_with("moment.") || name == MEAN);
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
mod tests;
