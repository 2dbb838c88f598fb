//! The nets that have names: one file a net, and a row here.

mod eventnet;
mod layers;
mod lenet;
mod mlp;
mod resnet19;
mod vggsnn;

use crate::config::names;
use crate::{Graph, NetConfig};
use spikegrad_bptt::ConfigError;

pub use layers::LayerSpec;
pub(crate) use layers::graph as list_graph;

/// Makes the registry from a row for each net: its variant, name, least image side, function and what it is.
macro_rules! nets {
    ($($variant:ident $name:literal $least:literal $graph:path, $about:literal;)*) => {
        /// A net that has a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum NetKind {
            $(#[doc = $about] $variant),*
        }

        names!(NetKind, "net": $($variant $name),*);

        impl NetKind {
            /// Every net, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Says what the net is, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about),* }
            }

            /// The least rows and columns of its images.
            pub(crate) fn least_side(self) -> usize {
                match self { $(Self::$variant => $least),* }
            }

            /// Spells the net out.
            ///
            /// # Errors
            /// The factor on its widths leaves nothing.
            pub fn graph(self, config: &NetConfig) -> Result<Graph, ConfigError> {
                match self { $(Self::$variant => $graph(config)),* }
            }
        }
    };
}

nets! {
    ResNet19 "resnet19" 8 resnet19::resnet19, "The paper's net.";
    LeNet "lenet" 8 lenet::lenet, "Two 5×5 convolutions, each pooled by 2, and three linear layers.";
    Mlp "mlp" 1 mlp::mlp, "Three linear layers.";
    VggSnn "vggsnn" 16 vggsnn::vggsnn,
        "Eight 3×3 convolutions with biases, the image halved behind every second by average pooling, one linear layer.";
    VggSnnStride "vggsnn-stride" 16 vggsnn::vggsnn_stride,
        "VGGSNN, halved by convolutions of stride 2: every activation is spikes.";
    EventNet "eventnet" 8 eventnet::eventnet,
        "Three 3×3 convolutions, each pooled by 2, and one linear layer: a small net for small event cameras.";
}
