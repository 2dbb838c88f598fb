//! A small reverse-mode autodiff: each operation computes its value and leaves behind a closure that maps the
//! gradient at its output to gradients at its inputs; the backward walks the list from its end.
//!
//! Because an operation stands on the tape after all its inputs and before all its consumers, the gradient it
//! sees is the sum over *all* consumers. That is what the surrogate gradient scaling asks for: the spike op
//! receives the total gradient G, the reset path included, without anyone deriving it. A spiking layer is
//! composed of elementary ops ([`Tape::neurons`]), so that the recurrences of [`crate::neurons`] can be checked against it.

use crate::check::magnitudes as magnitudes_of;
use std::rc::Rc;

mod layers;
mod neurons;

pub use neurons::LifVars;

/// A value on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// A function from the gradient at an operation's output to the gradients at its inputs.
type Backward = Box<dyn Fn(&[f64]) -> Vec<(Var, Vec<f64>)>>;

/// One computed value.
struct Node {
    shape: Vec<usize>,
    value: Rc<Vec<f64>>,
    backward: Backward,
    /// Whether it repeats one number for many neurons.
    is_spread: bool,
}

/// The list of everything computed so far.
#[derive(Default)]
pub struct Tape {
    nodes: Vec<Node>,
}

/// Result of [`Tape::backward`].
pub struct Grads {
    values: Vec<Option<Vec<f64>>>,
    magnitudes: Vec<Option<Vec<f64>>>,
    lengths: Vec<usize>,
}

impl Grads {
    /// Gradient at `var`, zeros where nothing depends on it.
    pub fn of(&self, var: Var) -> Vec<f64> {
        self.values[var.0].clone().unwrap_or_else(|| vec![0.0; self.lengths[var.0]])
    }

    /// Sum of the absolute terms of the gradient at a number that [`Tape::spread`] gave to many neurons: the measure of
    /// what rounding makes of a sum that may cancel.
    pub fn magnitude_of(&self, var: Var) -> Vec<f64> {
        self.magnitudes[var.0].clone().unwrap_or_else(|| vec![0.0; self.lengths[var.0]])
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Tape {
        Tape::default()
    }

    /// Puts a value on the tape together with its backward.
    fn push(
        &mut self,
        shape: Vec<usize>,
        value: Vec<f64>,
        backward: impl Fn(&[f64]) -> Vec<(Var, Vec<f64>)> + 'static,
    ) -> Var {
        assert_eq!(shape.iter().product::<usize>(), value.len(), "size of shape {shape:?}");
        self.nodes.push(Node {
            shape,
            value: Rc::new(value),
            backward: Box::new(backward),
            is_spread: false,
        });
        Var(self.nodes.len() - 1)
    }

    /// Returns a shared handle to a value, for closures.
    fn rc(&self, var: Var) -> Rc<Vec<f64>> {
        Rc::clone(&self.nodes[var.0].value)
    }

    /// The value of `var`.
    pub fn value(&self, var: Var) -> &[f64] {
        &self.nodes[var.0].value
    }

    /// The shape of `var`.
    pub fn shape(&self, var: Var) -> &[usize] {
        &self.nodes[var.0].shape
    }

    /// An input: a parameter, an image, a constant.
    pub fn leaf(&mut self, shape: &[usize], value: Vec<f64>) -> Var {
        self.push(shape.to_vec(), value, |_| Vec::new())
    }

    /// Computes the gradients of the scalar `loss` with respect to everything on the tape.
    ///
    /// # Panics
    /// The loss is not one number.
    pub fn backward(&self, loss: Var) -> Grads {
        assert_eq!(self.value(loss).len(), 1, "the loss is one number");
        self.backward_from(loss, vec![1.0])
    }

    /// Computes the gradients of `Σ seed·var`.
    pub fn backward_from(&self, var: Var, seed: Vec<f64>) -> Grads {
        let mut values: Vec<Option<Vec<f64>>> = vec![None; self.nodes.len()];
        let mut magnitudes = values.clone();
        values[var.0] = Some(seed);
        let add = |place: &mut Option<Vec<f64>>, grad: Vec<f64>| match place {
            Some(sum) => sum.iter_mut().zip(grad).for_each(|(sum, g)| *sum += g),
            empty => *empty = Some(grad),
        };
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let Some(g) = values[i].clone() else { continue };
            // Terms are those that meet in a spread number; on the way from it to its parameter they scale with it.
            let terms = if node.is_spread { Some(magnitudes_of(&g)) } else { magnitudes[i].clone() };
            for (input, magnitude) in terms.iter().flat_map(|terms| (node.backward)(terms)) {
                add(&mut magnitudes[input.0], magnitudes_of(&magnitude));
            }
            (node.backward)(&g).into_iter().for_each(|(input, grad)| add(&mut values[input.0], grad));
        }
        Grads { values, magnitudes, lengths: self.nodes.iter().map(|n| n.value.len()).collect() }
    }

    /// `a + b`.
    ///
    /// # Panics
    /// The shapes differ.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        assert_eq!(self.shape(a), self.shape(b), "shapes of a sum");
        let value = self.value(a).iter().zip(self.value(b)).map(|(a, b)| a + b).collect();
        self.push(self.shape(a).to_vec(), value, move |g| vec![(a, g.to_vec()), (b, g.to_vec())])
    }

    /// `a · b`, element by element.
    ///
    /// # Panics
    /// The shapes differ.
    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        assert_eq!(self.shape(a), self.shape(b), "shapes of a product");
        let (va, vb) = (self.rc(a), self.rc(b));
        let product = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let value = product(&va, &vb);
        self.push(self.shape(a).to_vec(), value, move |g| vec![(a, product(g, &vb)), (b, product(g, &va))])
    }

    /// `factor · a + offset`, with two plain numbers.
    pub fn affine(&mut self, a: Var, factor: f64, offset: f64) -> Var {
        let value = self.value(a).iter().map(|a| factor * a + offset).collect();
        let backward = move |g: &[f64]| vec![(a, g.iter().map(|g| factor * g).collect())];
        self.push(self.shape(a).to_vec(), value, backward)
    }

    /// `factor · a`, with a plain number.
    pub fn scale(&mut self, a: Var, factor: f64) -> Var {
        self.affine(a, factor, 0.0)
    }

    /// Copies the value; the gradient does not pass through the copy.
    pub fn detach(&mut self, a: Var) -> Var {
        self.push(self.shape(a).to_vec(), self.value(a).to_vec(), |_| Vec::new())
    }

    /// `max(0, a)`.
    pub fn relu(&mut self, a: Var) -> Var {
        let va = self.rc(a);
        let value = va.iter().map(|a| a.max(0.0)).collect();
        self.push(self.shape(a).to_vec(), value, move |g| {
            vec![(a, g.iter().zip(va.iter()).map(|(g, &a)| if a > 0.0 { *g } else { 0.0 }).collect())]
        })
    }

    /// The same values in another shape.
    pub fn reshape(&mut self, a: Var, shape: &[usize]) -> Var {
        self.push(shape.to_vec(), self.value(a).to_vec(), move |g| vec![(a, g.to_vec())])
    }

    /// Part `t` of `steps` equal parts along the outermost axis.
    ///
    /// # Panics
    /// The outermost axis does not divide into the steps.
    pub fn step(&mut self, a: Var, t: usize, steps: usize) -> Var {
        let mut shape = self.shape(a).to_vec();
        assert_eq!(shape[0] % steps, 0, "steps divide the outermost axis");
        shape[0] /= steps;
        let (total, len) = (self.value(a).len(), self.value(a).len() / steps);
        let value = self.value(a)[t * len..][..len].to_vec();
        self.push(shape, value, move |g| {
            let mut grad = vec![0.0; total];
            grad[t * len..][..len].copy_from_slice(g);
            vec![(a, grad)]
        })
    }

    /// Joins equal parts along the outermost axis.
    pub fn stack(&mut self, parts: &[Var]) -> Var {
        let mut shape = self.shape(parts[0]).to_vec();
        shape[0] *= parts.len();
        let value: Vec<f64> = parts.iter().flat_map(|&p| self.value(p).to_vec()).collect();
        let parts = parts.to_vec();
        self.push(shape, value, move |g| {
            let len = g.len() / parts.len();
            parts.iter().zip(g.chunks(len)).map(|(&p, g)| (p, g.to_vec())).collect()
        })
    }
}
