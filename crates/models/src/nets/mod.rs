//! The nets that have names: one file a net, and a row here.

mod eventnet;
mod layers;
mod lenet;
mod mlp;
mod ms_resnet;
mod plifnet;
mod resnet;
mod resnet19;
mod rsnn;
mod sew_resnet;
mod vgg;
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
    Rsnn "rsnn" 1 rsnn::rsnn,
        "Two layers of recurrent neurons and leaky integrators as read-out, for spike trains.";
    ResNet18 "resnet18" 8 resnet::resnet18,
        "Spiking ResNet-18: a 3×3 stem, four stages of two residual blocks, neurons behind each addition.";
    ResNet20 "resnet20" 8 resnet::resnet20,
        "Spiking ResNet-20: a 3×3 stem of 16 channels, three stages of three residual blocks.";
    ResNet34 "resnet34" 8 resnet::resnet34,
        "Spiking ResNet-34: a 3×3 stem, stages of 3, 4, 6 and 3 residual blocks.";
    SewResNet18 "sew-resnet18" 8 sew_resnet::add18,
        "SEW-ResNet-18: neurons fire before the two branches of a block are added.";
    SewResNet18And "sew-resnet18-and" 8 sew_resnet::and18,
        "SEW-ResNet-18 whose blocks put out what both branches fire.";
    SewResNet18Iand "sew-resnet18-iand" 8 sew_resnet::iand18,
        "SEW-ResNet-18 whose blocks put out what the shortcut fires while the other branch is silent.";
    SewResNet34 "sew-resnet34" 8 sew_resnet::add34,
        "SEW-ResNet-34: neurons fire before the two branches of a block are added.";
    SewResNet34And "sew-resnet34-and" 8 sew_resnet::and34,
        "SEW-ResNet-34 whose blocks put out what both branches fire.";
    SewResNet34Iand "sew-resnet34-iand" 8 sew_resnet::iand34,
        "SEW-ResNet-34 whose blocks put out what the shortcut fires while the other branch is silent.";
    ResNet18ImageNet "resnet18-imagenet" 32 resnet::resnet18_imagenet,
        "ResNet-18 for large images: a 7×7 stem of stride 2 and max pooling.";
    ResNet34ImageNet "resnet34-imagenet" 32 resnet::resnet34_imagenet,
        "ResNet-34 for large images: a 7×7 stem of stride 2 and max pooling.";
    SewResNet18ImageNet "sew-resnet18-imagenet" 32 sew_resnet::add18_imagenet,
        "SEW-ResNet-18 for large images: a 7×7 stem of stride 2 and max pooling.";
    SewResNet34ImageNet "sew-resnet34-imagenet" 32 sew_resnet::add34_imagenet,
        "SEW-ResNet-34 for large images: a 7×7 stem of stride 2 and max pooling.";
    MsResNet18 "ms-resnet18" 8 ms_resnet::ms_resnet18,
        "MS-ResNet-18: shortcuts carry membrane potentials, blocks begin with their neurons.";
    Vgg9 "vgg9" 8 vgg::vgg9,
        "Seven 3×3 convolutions in three stages, each max-pooled by 2, and two linear layers.";
    Vgg11 "vgg11" 32 vgg::vgg11,
        "Eight 3×3 convolutions in five stages, each max-pooled by 2, and one linear layer.";
    Vgg16 "vgg16" 32 vgg::vgg16,
        "Thirteen 3×3 convolutions in five stages, each max-pooled by 2, and one linear layer.";
    PlifNetNmnist "plifnet-nmnist" 8 plifnet::nmnist,
        "PLIF-Net for N-MNIST: two 3×3 convolutions, two linear layers with dropout, ten neurons vote for each class.";
    PlifNetCifar10Dvs "plifnet-cifar10dvs" 16 plifnet::cifar10dvs,
        "PLIF-Net for CIFAR10-DVS: four 3×3 convolutions, two linear layers with dropout, ten neurons vote for each class.";
    PlifNetGesture "plifnet-gesture" 32 plifnet::gesture,
        "PLIF-Net for DVS128 Gesture: five 3×3 convolutions, two linear layers with dropout, ten neurons vote for each class.";
}
