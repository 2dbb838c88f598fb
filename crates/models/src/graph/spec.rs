//! A net spelled out: named ops and what each reads.

use super::{Builder, Setting, Settings, ValueId};
use crate::ops;
use spikegrad_bptt::ConfigError;
use std::fmt;
use std::sync::Arc;

/// An op of a graph before it is planned: its settings, without sizes or buffers.
///
/// An op of one's own implements this and [`super::Op`]; nets that it stands in are planned, trained, checked and saved
/// as any other.
pub trait OpSpec: fmt::Debug + Send + Sync {
    /// The kind, as files spell it.
    fn kind(&self) -> &str;

    /// The settings, as files spell them, without kind, name and inputs.
    fn settings(&self) -> Settings {
        Settings::default()
    }

    /// Plans the op on its inputs: adds its parameters, its output and, with [`Builder::push`], the op itself.
    ///
    /// # Errors
    /// A setting that makes no sense, or inputs that do not fit.
    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError>;
}

/// The result of planning an op.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// A value that the op writes.
    Value(ValueId),
    /// A current that the neurons which read it compute themselves.
    #[doc(hidden)]
    Current(ops::Fused),
}

/// The number of a node of a graph; node 0 is the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub(super) usize);

/// A node while it is planned.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its name, with which the names of its parameters begin.
    pub name: &'a str,
    /// The nodes that it reads.
    pub inputs: &'a [NodeId],
}

impl Node<'_> {
    /// Returns the input of an op that has one.
    ///
    /// # Errors
    /// The node has none or several.
    pub fn only_input(&self) -> Result<NodeId, ConfigError> {
        match self.inputs {
            [input] => Ok(*input),
            inputs => Err(self.error(format!("reads {} inputs, must read 1", inputs.len()))),
        }
    }

    /// Makes an error that names the node.
    pub fn error(&self, what: impl fmt::Display) -> ConfigError {
        ConfigError::new(format!("layer {:?}: {what}", self.name))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    op: Arc<dyn OpSpec>,
    inputs: Vec<NodeId>,
}

/// A net as a graph of ops, in the order in which they run; the last op's output is the logits.
///
/// ```
/// use spikegrad_models::ops::{Conv, Linear, MaxPool, Neurons};
/// use spikegrad_models::{Graph, Init, Net, NetConfig};
/// use spikegrad_tensor::Level;
///
/// let mut graph = Graph::new();
/// let image = graph.input();
/// let current = graph.add("conv1", Conv::new(16, 3).norm("bn1"), [image]);
/// let spikes = graph.add("spike1", Neurons::default(), [current]);
/// let pooled = graph.add("pool1", MaxPool::square(2), [spikes]);
/// // Two readers of one value, added in front of neurons.
/// let left = graph.add("left", Conv::new(16, 3).norm("left_bn"), [pooled]);
/// let right = graph.add("right", Conv::new(16, 1).bias().without_norm(), [pooled]);
/// let both = graph.add("spike2", Neurons::default(), [left, right]);
/// graph.add("fc", Linear::new(10), [both]);
///
/// let config = NetConfig::of_graph(graph, 1, 8, 8, 10);
/// let net = Net::plan(&config, 4, Level::BASELINE, false)?;
/// assert!(net.params().get("right.bias").is_some());
/// // The text form says the same.
/// let text = config.to_text();
/// assert_eq!(NetConfig::from_text(&text)?, config);
/// # Ok::<(), spikegrad_bptt::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    entries: Vec<Entry>,
}

impl Graph {
    /// Makes a graph without ops.
    pub fn new() -> Self {
        Self::default()
    }

    /// The input.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Adds an op that reads the outputs of `inputs`, and returns its node.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        op: impl OpSpec + 'static,
        inputs: impl IntoIterator<Item = NodeId>,
    ) -> NodeId {
        self.add_shared(name.into(), Arc::new(op), inputs.into_iter().collect())
    }

    fn add_shared(&mut self, name: String, op: Arc<dyn OpSpec>, inputs: Vec<NodeId>) -> NodeId {
        self.entries.push(Entry { name, op, inputs });
        NodeId(self.entries.len())
    }

    /// Counts the ops.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no op.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The nodes in order, with their ops.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (Node<'_>, &dyn OpSpec)> {
        self.entries.iter().map(|entry| (Node { name: &entry.name, inputs: &entry.inputs }, &*entry.op))
    }

    /// Whether a node of another graph has slipped in.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut names = std::collections::BTreeSet::from(["input"]);
        for (k, (node, _)) in self.nodes().enumerate() {
            if node.name.is_empty() || !names.insert(node.name) {
                return Err(node.error("every layer needs a name of its own, other than \"input\""));
            }
            if let Some(later) = node.inputs.iter().find(|input| input.0 > k) {
                return Err(
                    node.error(format!("reads layer number {}, which does not stand before it", later.0))
                );
            }
        }
        Ok(())
    }

    fn name(&self, node: NodeId) -> &str {
        node.0.checked_sub(1).and_then(|k| self.entries.get(k)).map_or("input", |entry| &entry.name)
    }

    /// The settings of every op.
    pub(crate) fn to_settings(&self) -> Vec<Setting> {
        let entry = |entry: &Entry| {
            let mut settings = Settings::from([
                ("op", Setting::text(entry.op.kind())),
                ("name", Setting::text(&entry.name)),
                ("inputs", Setting::texts(entry.inputs.iter().map(|&input| self.name(input)))),
            ]);
            settings.0.extend(entry.op.settings().0);
            Setting::Table(settings)
        };
        self.entries.iter().map(entry).collect()
    }

    /// Reads the settings of every op; a layer without `inputs` reads the one before it.
    pub(crate) fn from_settings(layers: Vec<Setting>, kinds: &ops::Kinds) -> Result<Self, ConfigError> {
        let mut graph = Self::new();
        for (k, layer) in (1..).zip(layers) {
            let mut settings = layer.parse_table("layer")?;
            let named = |error: ConfigError| error.within(format_args!("layer {k}"));
            let (kind, name) =
                (settings.need::<String>("op").map_err(named)?, settings.need("name").map_err(named)?);
            let inputs = match settings.take("inputs") {
                Some(inputs) => inputs.parse_texts("inputs").map_err(named)?,
                None => vec![graph.name(NodeId(graph.len())).to_string()],
            };
            let find = |input: &String| {
                let found = (0..=graph.len()).map(NodeId).find(|&node| graph.name(node) == input);
                found.ok_or_else(|| {
                    named(ConfigError::new(format!("no layer {input:?} stands before {name:?}")))
                })
            };
            let inputs = inputs.iter().map(find).collect::<Result<_, _>>()?;
            let op = kinds.read(&kind, &mut settings).map_err(named)?;
            settings.finish().map_err(named)?;
            graph.add_shared(name, op, inputs);
        }
        Ok(graph)
    }
}

/// Graphs are equal if their text forms are.
impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        self.to_settings() == other.to_settings()
    }
}
