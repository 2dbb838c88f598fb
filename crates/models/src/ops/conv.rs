//! The settings of a convolution and how it is planned; `conv_norm` runs it.

use super::conv_norm::{ConvNorm, NormRanges};
use super::current::Current;
use crate::config::MOST_SIDE;
use crate::config::check_most;
use crate::graph::{Builder, Node, OpSpec, Output, Setting, Settings};
use crate::params::Role;
use spikegrad_bptt::ConfigError;
use spikegrad_tensor::conv::ConvConfig;
use std::f32::consts::FRAC_1_SQRT_2;

/// The largest side of a kernel.
pub(crate) const MOST_KERNEL: usize = 255;

/// A convolution with square kernels, or a one-dimensional one, then batch norm unless it is taken off: an input current of
/// neurons.
///
/// | parameter | shape |
/// |---|---|
/// | `NAME.weight` | channels × channels of the image ÷ groups × kernel × kernel; × kernel where it is one-dimensional |
/// | `NAME.bias` | channels, where there is one |
/// | `NORM.weight`, `NORM.bias` | channels, where there is a norm |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    config: ConvConfig,
    bias: bool,
    norm: Option<String>,
    is_residual: bool,
}

impl Conv {
    /// The kind, as files spell it.
    pub const KIND: &'static str = "conv";

    /// A convolution of stride 1 whose border is padded by half of the kernel, with a batch norm named `NAME_bn`.
    pub fn new(channels: usize, kernel: usize) -> Self {
        let padding = kernel / 2;
        let config = ConvConfig { out_channels: channels, kernel, padding, ..ConvConfig::default() };
        Self { config, bias: false, norm: Some(String::new()), is_residual: false }
    }

    /// A one-dimensional convolution, PyTorch's `Conv1d`, for images of one row; each row of a higher image is convolved by
    /// itself. All else is as [`Conv::new`] has it.
    pub fn one_dimensional(channels: usize, kernel: usize) -> Self {
        let conv = Self::new(channels, kernel);
        Self { config: ConvConfig { is_1d: true, ..conv.config }, ..conv }
    }

    /// Sets the groups of channels, which must divide those read and those written: an output channel reads the input
    /// channels of its group. As many groups as channels make a depthwise convolution.
    pub fn groups(mut self, groups: usize) -> Self {
        self.config.groups = groups;
        self
    }

    /// Sets the distance of neighbouring outputs.
    pub fn stride(mut self, stride: usize) -> Self {
        self.config.stride = stride;
        self
    }

    /// Sets the zeros around the image.
    pub fn padding(mut self, padding: usize) -> Self {
        self.config.padding = padding;
        self
    }

    /// Adds a bias.
    pub fn bias(mut self) -> Self {
        self.bias = true;
        self
    }

    /// Names the batch norm.
    pub fn norm(mut self, name: impl Into<String>) -> Self {
        self.norm = Some(name.into());
        self
    }

    /// Takes the batch norm off.
    pub fn without_norm(mut self) -> Self {
        self.norm = None;
        self
    }

    /// Says that the current is one of two that are added: threshold-dependent batch norm scales it by 1/√2.
    pub fn residual(mut self) -> Self {
        self.is_residual = true;
        self
    }

    pub(super) fn read(settings: &mut Settings) -> Result<Self, ConfigError> {
        let mut conv = Self::new(settings.need("channels")?, settings.need("kernel")?);
        conv.config.stride = settings.take_as("stride")?.unwrap_or(1);
        conv.config.padding = settings.take_as("padding")?.unwrap_or(conv.config.padding);
        conv.config.groups = settings.take_as("groups")?.unwrap_or(1);
        conv.config.is_1d = match settings.take_as("dimensions")? {
            Some(1) => true,
            None | Some(2) => false,
            Some(other) => return Err(ConfigError::out_of_range("dimensions", other, "1 or 2")),
        };
        conv.bias = settings.take_as("bias")?.unwrap_or(false);
        conv.is_residual = settings.take_as("residual")?.unwrap_or(false);
        if let Some(norm) = settings.take_as::<String>("norm")? {
            conv.norm = Some(norm).filter(|norm| norm != "none");
        }
        Ok(conv)
    }

    fn check(&self, node: Node<'_>) -> Result<(), ConfigError> {
        let ConvConfig { out_channels, kernel, stride, padding, groups, .. } = self.config;
        for (what, value, least, most) in [
            ("channels", out_channels, 1, MOST_SIDE),
            ("kernel", kernel, 1, MOST_KERNEL),
            ("stride", stride, 1, MOST_SIDE),
            ("padding", padding, 0, MOST_KERNEL),
            ("groups", groups, 1, MOST_SIDE),
        ] {
            if value < least {
                return Err(node.error(format!("{what} is {value}, must be at least {least}")));
            }
            check_most(&format!("layer {:?}: {what}", node.name), value, most)?;
        }
        Ok(())
    }
}

impl OpSpec for Conv {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn settings(&self) -> Settings {
        let ConvConfig { out_channels, kernel, stride, padding, groups, is_1d } = self.config;
        let mut settings = Settings::from([
            ("channels", Setting::number(out_channels)),
            ("kernel", Setting::number(kernel)),
        ]);
        if stride != 1 {
            settings.push("stride", Setting::number(stride));
        }
        if padding != kernel / 2 {
            settings.push("padding", Setting::number(padding));
        }
        if groups != 1 {
            settings.push("groups", Setting::number(groups));
        }
        if is_1d {
            settings.push("dimensions", Setting::number(1));
        }
        if self.bias {
            settings.push("bias", Setting::Bool(true));
        }
        match self.norm.as_deref() {
            Some("") => {}
            norm => settings.push("norm", Setting::text(norm.unwrap_or("none"))),
        }
        if self.is_residual {
            settings.push("residual", Setting::Bool(true));
        }
        settings
    }

    fn plan(&self, node: Node<'_>, builder: &mut Builder<'_>) -> Result<Output, ConfigError> {
        self.check(node)?;
        let from = builder.value(node.only_input()?)?;
        let name = node.name;
        let ConvConfig { out_channels: co, kernel: k, groups, is_1d, .. } = self.config;
        let ci = builder.dims(from).c;
        if !(ci.is_multiple_of(groups) && co.is_multiple_of(groups)) {
            let why = format!("groups is {groups}, must divide the {ci} channels read and the {co} written");
            return Err(node.error(why));
        }
        let conv = builder.conv(name, from, self.config)?;
        let kernel = if is_1d { vec![k] } else { vec![k, k] };
        let shape = [vec![co, ci / groups], kernel].concat();
        let weight = builder.parameter(format!("{name}.weight"), shape, Role::Weight)?;
        let bias = match self.bias {
            true => Some(builder.parameter(format!("{name}.bias"), vec![co], Role::Bias)?),
            false => None,
        };
        let norm = match &self.norm {
            None => None,
            Some(norm) => {
                let norm = if norm.is_empty() { format!("{name}_bn") } else { norm.clone() };
                let alpha = if self.is_residual { FRAC_1_SQRT_2 } else { 1.0 };
                Some(NormRanges::planned(&norm, co, alpha, builder)?)
            }
        };
        let time = (builder.steps(), builder.batch());
        let conv = ConvNorm::planned(from, conv, weight, (bias, norm), time);
        Ok(Output::fused(Current::Conv(Box::new(conv))))
    }
}
