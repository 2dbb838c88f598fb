//! What a run is, apart from its numbers: its settings and its data. A run goes on only with the same.

use crate::dataset::Dataset;
use crate::settings::RunConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spikegrad::data::{SampleSet, Source};
use spikegrad::models::durable::crc32;

/// Settings that say where something lies, not what it is: they may change while a run goes on.
const PLACES: [&str; 2] = ["data", "cache"];

/// Says where `found` differs from the settings that a run began with, flag by flag; nothing where it does not.
///
/// # Errors
/// None in practice; the serialiser's words if ever.
pub fn settings_that_differ(found: &RunConfig, began: &RunConfig) -> Result<Vec<String>> {
    let entries = |flags: &RunConfig| -> Result<Map<String, Value>> {
        let text = serde_json::to_string(flags).map_err(Error::input)?;
        serde_json::from_str(&text).map_err(Error::input)
    };
    let (found, began) = (entries(found)?, entries(began)?);
    let names = began.keys().chain(found.keys().filter(|name| !began.contains_key(*name)));
    let say = |value: Option<&Value>| value.map_or("nothing".to_string(), Value::to_string);
    Ok(names
        .filter(|name| !PLACES.contains(&name.as_str()) && found.get(*name) != began.get(*name))
        .map(|name| {
            format!("{name} is {}, the run began with {}", say(found.get(name)), say(began.get(name)))
        })
        .collect())
}

/// The data of a run: enough to tell other data from the same data in another place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataIdentity {
    /// The kind of the data set, as `--data` names it.
    kind: String,
    /// The classes, in the order of their labels.
    classes: Vec<String>,
    train: SetIdentity,
    test: SetIdentity,
}

/// A part of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetIdentity {
    /// Images or recordings.
    samples: usize,
    /// Time steps, channels, rows, columns.
    shape: [usize; 4],
    /// CRC-32 of the labels, two bytes each, low byte first.
    labels: String,
    /// CRC-32 of the pixels, or of the frames' cells.
    contents: String,
}

impl SetIdentity {
    fn of(set: &SampleSet) -> Self {
        let [channels, height, width] = set.shape();
        let (labels, contents) = set.checksums();
        Self {
            samples: set.len(),
            shape: [set.steps(), channels, height, width],
            labels: format!("{labels:08x}"),
            contents: format!("{contents:08x}"),
        }
    }

    /// Says where `self` differs from what a run began with.
    fn differences(&self, began: &Self, part: &str, say: &mut Vec<String>) {
        let mut compare = |what: &str, here: String, began: String| {
            if here != began {
                say.push(format!("{part} {what} {here}, the run began with {began}"));
            }
        };
        let shape = |set: &Self| set.shape.map(|side| side.to_string()).join("×");
        compare("samples:", self.samples.to_string(), began.samples.to_string());
        compare("samples have shape", shape(self), shape(began));
        compare("labels have CRC-32", self.labels.clone(), began.labels.clone());
        compare("contents have CRC-32", self.contents.clone(), began.contents.clone());
    }
}

impl DataIdentity {
    /// The identity of a data set as it was read: held out, limited, framed.
    pub fn of(source: &Source, data: &Dataset) -> Self {
        let name = source.to_string();
        // `synthetic:shapes` is a kind; of `mnist:DIR` the part before the colon is.
        let kind = match name.starts_with("synthetic:") {
            true => name,
            false => name.split(':').next().unwrap_or("").to_string(),
        };
        Self {
            kind,
            classes: data.train.class_names().to_vec(),
            train: SetIdentity::of(&data.train),
            test: SetIdentity::of(&data.test),
        }
    }

    /// CRC-32 of all of it, so that a file of weights can say whose it is.
    ///
    /// # Errors
    /// None in practice; the serialiser's words if ever.
    pub fn checksum(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(Error::input)?;
        Ok(format!("{:08x}", crc32(&[text.as_bytes()])))
    }

    /// Says where this differs from the data that a run began with; nothing where it does not.
    pub fn differences(&self, began: &Self) -> Vec<String> {
        let mut say = Vec::new();
        if self.kind != began.kind {
            say.push(format!("they are {}, the run began with {}", self.kind, began.kind));
        }
        if self.classes != began.classes {
            let names = |classes: &[String]| classes.join(", ");
            say.push(format!(
                "the classes are {}, the run began with {}",
                names(&self.classes),
                names(&began.classes)
            ));
        }
        self.train.differences(&began.train, "training", &mut say);
        self.test.differences(&began.test, "test", &mut say);
        say
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn flags(text: &str) -> RunConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn each_setting_that_differs_is_named() {
        let began =
            flags("net = \"mlp\"\nlr = 0.001\nseed = 3\ndata = \"mnist:a\"\ncache = \"x\"\nclip = 1.0\n");
        let found =
            flags("net = \"mlp\"\nlr = 0.002\nseed = 3\ndata = \"mnist:b\"\ncache = \"y\"\nbatch = 7\n");
        assert_eq!(settings_that_differ(&began, &began).unwrap(), [""; 0]);
        let said = settings_that_differ(&found, &began).unwrap();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("clip is nothing, the run began with 1.0"), "{said:?}");
        assert_eq!(said[1], "lr is 0.002, the run began with 0.001");
        assert_eq!(said[2], "batch is 7, the run began with nothing");
    }

    #[test]
    fn each_part_of_the_data_is_compared() {
        let set = || SetIdentity {
            samples: 10,
            shape: [1, 3, 16, 16],
            labels: "0000000a".into(),
            contents: "0000000b".into(),
        };
        let classes = vec!["ant".into(), "bee".into()];
        let began = DataIdentity { kind: "mnist".into(), classes, train: set(), test: set() };
        let said = |change: fn(&mut DataIdentity)| {
            let mut here = began.clone();
            change(&mut here);
            here.differences(&began).join("; ")
        };
        assert_eq!(said(|_| ()), "");
        assert_eq!(said(|d| d.kind = "cifar10".into()), "they are cifar10, the run began with mnist");
        assert_eq!(said(|d| d.classes.reverse()), "the classes are bee, ant, the run began with ant, bee");
        assert_eq!(said(|d| d.train.samples = 9), "training samples: 9, the run began with 10");
        assert_eq!(
            said(|d| d.test.shape = [2, 3, 16, 8]),
            "test samples have shape 2×3×16×8, the run began with 1×3×16×16"
        );
        assert_eq!(
            said(|d| d.test.labels = "0000000c".into()),
            "test labels have CRC-32 0000000c, the run began with 0000000a"
        );
        assert_eq!(
            said(|d| d.train.contents = "0000000c".into()),
            "training contents have CRC-32 0000000c, the run began with 0000000b"
        );
    }

    #[test]
    fn checksums_are_those_of_labels_and_pixels() {
        let settings = Settings::check(flags("limit = 50\nholdout = 20")).unwrap();
        let data = Dataset::load(&settings).unwrap();
        let identity = DataIdentity::of(&settings.source, &data);
        // CRC-32 as the standard defines it, bit by bit.
        let crc = |bytes: &[u8]| {
            let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            let all = bytes.iter().fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step));
            format!("{:08x}", !all)
        };
        for (identity, set) in [(&identity.train, &data.train), (&identity.test, &data.test)] {
            let labels: Vec<u8> = set.labels().iter().flat_map(|label| label.to_le_bytes()).collect();
            assert_eq!(
                (&identity.labels, &identity.contents),
                (&crc(&labels), &crc(&set.images().unwrap().pixels))
            );
            assert_eq!((identity.samples, identity.shape), (set.len(), [1, 3, 16, 16]));
        }
        assert_eq!(
            (&identity.kind[..], identity.train.samples, identity.test.samples),
            ("synthetic:shapes", 50, 20)
        );
    }

    #[test]
    fn other_data_are_told_from_the_same() {
        let identity = |text: &str| {
            let settings = Settings::check(flags(text)).unwrap();
            DataIdentity::of(&settings.source, &Dataset::load(&settings).unwrap())
        };
        let shapes = identity("limit = 50");
        assert!(shapes.differences(&identity("limit = 50")).is_empty());
        let fewer = shapes.differences(&identity("limit = 49"));
        assert!(fewer[0].contains("training samples: 50, the run began with 49"), "{fewer:?}");
        assert!(fewer.iter().all(|said| said.starts_with("training")), "{fewer:?}");
        let motion = shapes.differences(&identity("data = \"synthetic:motion\"\nlimit = 50"));
        assert!(
            motion[0].contains("synthetic:shapes") && motion[0].contains("synthetic:motion"),
            "{motion:?}"
        );
        let pixel = {
            let mut other = shapes.clone();
            other.test.contents = "00000000".into();
            other.differences(&shapes)
        };
        assert!(pixel.len() == 1 && pixel[0].contains("test contents have CRC-32 00000000"), "{pixel:?}");
    }
}
