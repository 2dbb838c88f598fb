//! ResNet-19, VGGSNN, LeNet, MLP, a small event net and nets of one's own as lists of layers.

mod custom;
mod gradients;
mod size;

use self::gradients::{needs_gradient, share_gradients};
use self::size::{check_work, sized};
use crate::layers::{ConvNorm, Current, Layer, LinearCurrent, UnitLayer, Value};
use crate::memory::{Keeping, make_room};
use crate::{Input, NetConfig, NetKind, Norm, Params};
use spikegrad_bptt::lif::MAX_SOURCES;
use spikegrad_bptt::{ConfigError, Fire};
use spikegrad_tensor::conv::{Conv, ConvConfig};
use spikegrad_tensor::norm::Statistics;
use spikegrad_tensor::pool::AvgPool;
use spikegrad_tensor::{Dims, HalfTensor, Level, Needs, ShapeError, Spikes, Tensor};
use std::f32::consts::FRAC_1_SQRT_2;

pub use custom::LayerSpec;

/// A list of layers with its buffers, all of them planned and none allocated.
pub(crate) struct Built {
    pub layers: Vec<Layer>,
    pub params: Params,
    pub values: Vec<Value>,
    pub value_dims: Vec<Dims>,
    pub gradients: Vec<Tensor>,
    pub gradient_of: Vec<Option<usize>>,
    pub lent: Vec<Tensor>,
    pub needs: Needs,
}

struct Builder<'a> {
    config: &'a NetConfig,
    batch: usize,
    level: Level,
    layers: Vec<Layer>,
    params: Params,
    values: Vec<Value>,
    dims: Vec<Dims>,
}

fn shape(error: ShapeError) -> ConfigError {
    ConfigError(error.to_string())
}

pub(crate) fn build(
    config: &NetConfig,
    batch: usize,
    level: Level,
    input_gradient: bool,
) -> Result<Built, ConfigError> {
    let (layers, params) = (Vec::new(), Params::default());
    let mut b = Builder { config, batch, level, layers, params, values: Vec::new(), dims: Vec::new() };
    b.input()?;
    match config.kind {
        _ if !config.layers.is_empty() => b.custom()?,
        NetKind::ResNet19 => b.resnet19()?,
        NetKind::LeNet => b.lenet()?,
        NetKind::Mlp => b.mlp()?,
        NetKind::VggSnn | NetKind::VggSnnStride => b.vggsnn()?,
        NetKind::EventNet => b.eventnet()?,
    }
    let lent = make_room(&mut b.layers, config.memory);
    let needs = needs(&b.layers, &b.values, input_gradient);
    let (gradients, gradient_of) = share_gradients(&b.layers, &b.dims, input_gradient);
    let Builder { layers, params, values, dims, .. } = b;
    Ok(Built { layers, params, values, value_dims: dims, gradients, gradient_of, lent, needs })
}

impl Builder<'_> {
    /// The images: value 0.
    fn input(&mut self) -> Result<(), ConfigError> {
        let NetConfig { channels, height, width, .. } = *self.config;
        let dims = Dims::new(self.images(self.config.frames())?, channels, height, width);
        match self.config.input {
            Input::Still | Input::Frames => self.dense(dims)?,
            Input::Spikes => self.spikes(dims)?,
        };
        Ok(())
    }

    /// Images of so many steps.
    fn images(&self, steps: usize) -> Result<usize, ConfigError> {
        let (batch, most) = (self.batch, usize::MAX);
        let images = steps.checked_mul(batch);
        images.ok_or_else(|| ConfigError(format!("{steps} steps of {batch} images are more than {most}")))
    }

    fn value(&mut self, value: Value, dims: Dims) -> usize {
        self.values.push(value);
        self.dims.push(dims);
        self.values.len() - 1
    }

    fn dense(&mut self, dims: Dims) -> Result<usize, ConfigError> {
        Ok(self.value(Value::Dense(Tensor::planned(sized(dims)?)), dims))
    }

    fn spikes(&mut self, dims: Dims) -> Result<usize, ConfigError> {
        Ok(self.value(Value::Spikes(Spikes::planned(sized(dims)?)), dims))
    }

    /// A 3×3 (or other) convolution without bias, and its batch norm.
    fn conv(
        &mut self,
        (conv_name, norm_name): (&str, &str),
        from: usize,
        conv: ConvConfig,
        in_residual: bool,
    ) -> Result<Current, ConfigError> {
        self.conv_norm((conv_name, norm_name), from, conv, in_residual, false)
    }

    /// A convolution, with a bias or without, and its batch norm.
    fn conv_norm(
        &mut self,
        (conv_name, norm_name): (&str, &str),
        from: usize,
        conv: ConvConfig,
        in_residual: bool,
        biased: bool,
    ) -> Result<Current, ConfigError> {
        let mut conv = Conv::plan(self.dims[from], conv, self.level).map_err(shape)?;
        if let Some(form) = self.config.kernels.input_gradient {
            conv.set_input_gradient(form);
        }
        // A still image is one step.
        if conv.input().n == self.config.steps() * self.batch {
            conv = conv.with_steps(self.config.steps(), self.config.kernels.delta);
        }
        let (ConvConfig { out_channels: co, kernel: k, .. }, ci) = (conv.config(), conv.input().c);
        let out = sized(conv.output())?;
        check_work(conv_name, conv.input().c, out, k * k)?;
        let tdbn = self.config.norm == Norm::TdBn;
        let alpha = if in_residual { FRAC_1_SQRT_2 } else { 1.0 };
        Ok(Current::Conv(Box::new(ConvNorm {
            from,
            weight: self.params.add(format!("{conv_name}.weight"), vec![co, ci, k, k])?,
            bias: match biased {
                true => Some(self.params.add(format!("{conv_name}.bias"), vec![co])?),
                false => None,
            },
            gamma: self.params.add_ones(format!("{norm_name}.weight"), vec![co])?,
            beta: self.params.add(format!("{norm_name}.bias"), vec![co])?,
            mean: self.params.add_buffer(format!("{norm_name}.running_mean"), co, false)?,
            var: self.params.add_buffer(format!("{norm_name}.running_var"), co, true)?,
            gain: if tdbn { alpha * self.config.lif.threshold } else { 1.0 },
            conv,
            y: Tensor::default(),
            keeping: Keeping::default(),
            half: HalfTensor::default(),
            statistics: Statistics::default(),
            scale: Vec::new(),
            shift: Vec::new(),
            coefficients: Vec::new(),
        })))
    }

    fn linear_current(
        &mut self,
        name: &str,
        from: usize,
        outputs: usize,
    ) -> Result<LinearCurrent, ConfigError> {
        let d = self.dims[from];
        let out = sized(Dims { c: outputs, ..d })?;
        check_work(name, d.c, out, 1)?;
        Ok(LinearCurrent {
            from,
            weight: self.params.add(format!("{name}.weight"), vec![outputs, d.c])?,
            bias: self.params.add(format!("{name}.bias"), vec![outputs])?,
            y: Tensor::planned(out),
            unpacked: self.unpacked(from)?,
        })
    }

    /// Neurons on the sum of currents.
    fn unit(&mut self, name: &str, currents: Vec<Current>) -> Result<usize, ConfigError> {
        assert!((1..=MAX_SOURCES).contains(&currents.len()), "a unit adds up one or two currents");
        let y = current_dims(&currents[0], &self.dims);
        let dims = Dims { n: self.images(self.config.steps())?, ..y };
        let out = match self.config.fire() {
            Fire::Spike => self.spikes(dims)?,
            Fire::Smooth | Fire::Relu => self.dense(dims)?,
        };
        let (sums, totals) = (Vec::new(), <[Vec<f64>; 3]>::default());
        let (name, batch) = (name.to_string(), self.batch);
        self.layers.push(Layer::Unit(UnitLayer { name, currents, out, dims, batch, sums, totals }));
        Ok(out)
    }

    fn linear_unit(
        &mut self,
        name: &str,
        spike: &str,
        from: usize,
        outputs: usize,
    ) -> Result<usize, ConfigError> {
        let linear = self.linear_current(name, from, outputs)?;
        self.unit(spike, vec![Current::Linear(linear)])
    }

    fn pool(&mut self, from: usize, kernel: (usize, usize)) -> Result<usize, ConfigError> {
        let pool = AvgPool::plan(self.dims[from], kernel).map_err(shape)?;
        let to = self.dense(pool.output())?;
        let unpacked = self.unpacked(from)?;
        self.layers.push(Layer::Pool { pool, from, to, unpacked });
        Ok(to)
    }

    fn flatten(&mut self, from: usize) -> Result<usize, ConfigError> {
        let d = self.dims[from];
        let to = self.dense(Dims::new(d.n, d.c * d.pixels(), 1, 1))?;
        let unpacked = self.unpacked(from)?;
        self.layers.push(Layer::Flatten { from, to, unpacked });
        Ok(to)
    }

    /// Room for a value written out as floats, if it is spikes.
    fn unpacked(&self, from: usize) -> Result<Tensor, ConfigError> {
        match self.values[from] {
            Value::Spikes(_) => Ok(Tensor::planned(sized(self.dims[from])?)),
            _ => Ok(Tensor::default()),
        }
    }

    fn output(&mut self, name: &str, from: usize) -> Result<(), ConfigError> {
        let linear = self.linear_current(name, from, self.config.classes)?;
        self.layers.push(Layer::Output(linear));
        Ok(())
    }

    fn resnet19(&mut self) -> Result<(), ConfigError> {
        let stem = ConvConfig { out_channels: self.config.scaled(64)?, kernel: 3, stride: 1, padding: 1 };
        let stem = self.conv(("conv1", "bn1"), 0, stem, false)?;
        let mut x = self.unit("spike", vec![stem])?;
        let stages = [(3, 128, 1), (3, 256, 2), (2, 512, 2)];
        for (stage, (blocks, base, stride)) in stages.into_iter().enumerate() {
            for block in 0..blocks {
                let (stride, co) = (if block == 0 { stride } else { 1 }, self.config.scaled(base)?);
                let name = format!("layer{}.{block}", stage + 1);
                x = self.residual(&name, x, (co, stride), block == 0)?;
            }
        }
        let d = self.dims[x];
        let pooled = self.pool(x, (d.h, d.w))?;
        let hidden = self.linear_unit("fc1", "spike_fc", pooled, self.config.scaled(256)?)?;
        self.output("fc2", hidden)?;
        Ok(())
    }

    fn lenet(&mut self) -> Result<(), ConfigError> {
        let conv = |out_channels| ConvConfig { out_channels, kernel: 5, stride: 1, padding: 2 };
        let first = self.conv(("conv1", "bn1"), 0, conv(self.config.scaled(32)?), false)?;
        let x = self.unit("spike1", vec![first])?;
        let x = self.pool(x, (2, 2))?;
        let second = self.conv(("conv2", "bn2"), x, conv(self.config.scaled(64)?), false)?;
        let x = self.unit("spike2", vec![second])?;
        let x = self.pool(x, (2, 2))?;
        let x = self.flatten(x)?;
        let x = self.linear_unit("fc1", "spike3", x, self.config.scaled(128)?)?;
        let x = self.linear_unit("fc2", "spike4", x, self.config.scaled(64)?)?;
        self.output("fc3", x)?;
        Ok(())
    }

    /// Deng et al. 2022: the image is halved behind every second convolution.
    fn vggsnn(&mut self) -> Result<(), ConfigError> {
        let pooled = self.config.kind == NetKind::VggSnn;
        let mut x = 0;
        for (k, base) in [64, 128, 256, 256, 512, 512, 512, 512].into_iter().enumerate() {
            let halves = k % 2 == 1;
            let stride = if halves && !pooled { 2 } else { 1 };
            let conv = ConvConfig { out_channels: self.config.scaled(base)?, kernel: 3, stride, padding: 1 };
            let layer = k + 1;
            let names = (&format!("conv{layer}")[..], &format!("bn{layer}")[..]);
            let current = self.conv_norm(names, x, conv, false, true)?;
            x = self.unit(&format!("spike{layer}"), vec![current])?;
            if halves && pooled {
                x = self.pool(x, (2, 2))?;
            }
        }
        let x = self.flatten(x)?;
        self.output("fc1", x)?;
        Ok(())
    }

    fn eventnet(&mut self) -> Result<(), ConfigError> {
        let mut x = 0;
        for (k, base) in [32, 64, 128].into_iter().enumerate() {
            let conv =
                ConvConfig { out_channels: self.config.scaled(base)?, kernel: 3, stride: 1, padding: 1 };
            let layer = k + 1;
            let current = self.conv((&format!("conv{layer}"), &format!("bn{layer}")), x, conv, false)?;
            x = self.unit(&format!("spike{layer}"), vec![current])?;
            x = self.pool(x, (2, 2))?;
        }
        let x = self.flatten(x)?;
        self.output("fc1", x)?;
        Ok(())
    }

    fn mlp(&mut self) -> Result<(), ConfigError> {
        let hidden = self.config.scaled(256)?;
        let x = self.flatten(0)?;
        let x = self.linear_unit("fc1", "spike1", x, hidden)?;
        let x = self.linear_unit("fc2", "spike2", x, hidden)?;
        self.output("fc3", x)?;
        Ok(())
    }
}

/// What the layers take of the workers' buffers.
fn needs(layers: &[Layer], values: &[Value], input_gradient: bool) -> Needs {
    let wants = needs_gradient(layers, values.len(), input_gradient);
    let mut needs = Needs::default();
    for layer in layers {
        let Layer::Unit(unit) = layer else { continue };
        for current in &unit.currents {
            if let Current::Conv(conv) = current {
                let spikes = matches!(values[conv.from], Value::Spikes(_));
                let planes = Needs { planes: conv.conv.output().planes(), ..Needs::default() };
                needs = needs.most(conv.conv.needs(spikes, wants[conv.from])).most(planes);
            }
        }
    }
    needs
}

fn current_dims(current: &Current, values: &[Dims]) -> Dims {
    match current {
        Current::Conv(conv) => conv.conv.output(),
        Current::Linear(linear) => linear.y.dims(),
        Current::Identity(from) => values[*from],
    }
}
