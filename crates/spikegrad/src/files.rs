//! Weights and complete states in files.

use crate::{Error, Trainer};
use spikegrad_models::Net;
use spikegrad_models::names::canonical;
use spikegrad_models::safetensors::{File, View, write};
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
    /// # Errors
    /// The folder cannot be written; an existing file of that name is then untouched.
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
        Ok(write(path.as_ref(), &self.metadata(extra), &self.weight_views())?)
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
        Ok(write(path.as_ref(), &metadata, &views)?)
    }

    /// Reads weights and running estimates, under PyTorch's or the authors' names.
    ///
    /// # Errors
    /// A missing or surplus name, a wrong shape, a number that is not finite, aliases that disagree. The trainer
    /// is then unchanged.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        load_weights(&mut self.net, path.as_ref())
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
        let moments = [finite(&file, "moment.first")?, finite(&file, "moment.second")?];
        for (have, read) in self.moments.iter().zip(&moments) {
            if have.len() != read.len() {
                let (have, read) = (have.len(), read.len());
                return Err(file
                    .error(format!("optimiser moment has {read} numbers, expected {have}"))
                    .into());
            }
        }
        let step = file.meta("step")?;
        load(&mut self.net, &file, true)?;
        self.step = step;
        self.moments = moments;
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

/// Reads weights and running estimates into a net, which is unchanged by a file that does not fit.
pub(crate) fn load_weights(net: &mut Net, path: &Path) -> Result<(), Error> {
    load(net, &File::read(path)?, false)
}

fn load(net: &mut Net, file: &File, with_moments: bool) -> Result<(), Error> {
    let mut found: BTreeMap<String, (String, Vec<usize>, Vec<f32>)> = BTreeMap::new();
    for entry in &file.tensors {
        let name = canonical(&entry.name);
        let ignored = name.ends_with("num_batches_tracked") || with_moments && name.starts_with("moment.");
        if ignored {
            continue;
        }
        let data = finite(file, &entry.name)?;
        if let Some((other, _, before)) = found.get(&name)
            && *before != data
        {
            let both = format!("{other:?} and {:?}", entry.name);
            return Err(file.error(format!("{both} both name {name:?} and disagree")).into());
        }
        found.insert(name, (entry.name.clone(), entry.shape.clone(), data));
    }
    let params = net.params();
    let mut weights = params.weights.clone();
    let mut buffers = params.buffers.clone();
    let lists = [(&params.entries, &mut weights), (&params.buffer_entries, &mut buffers)];
    for (entries, into) in lists {
        for entry in entries {
            let Some((name, shape, data)) = found.remove(&entry.name) else {
                return Err(file.error(format!("no tensor {:?}", entry.name)).into());
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

/// The numbers of a tensor, all finite.
fn finite(file: &File, name: &str) -> Result<Vec<f32>, Error> {
    let data = file.f32(name)?;
    match data.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(file.error(format!("tensor {name:?} holds {} at {at}", data[at])).into()),
        None => Ok(data),
    }
}
