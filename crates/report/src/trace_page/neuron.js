// The trainer's neuron, in the trainer's arithmetic: every operation is rounded to 32 bits, in the same order.
// Given the input currents x and the gradients e = ∂L/∂o from above, both over time, it computes all the rest.
const neuron = (() => {
  const f = Math.fround;

  // h(d), d = u − V_th.
  const surrogates = {
    rectangle: (d, w) => (Math.abs(d) < w ? 1 : 0),
    triangle: (d, w) => f(Math.max(f(w - Math.abs(d)), 0) * f(1 / f(w * w))),
    arctan: (d, p) => {
      const x = f(d * f(f(Math.PI / 2) * p));
      return f(f(p * 0.5) / f(1 + f(x * x)));
    },
    sigmoid: (d, p) => {
      const tail = f(Math.exp(-Math.abs(f(p * d))));
      return f(f(p * tail) / f(f(1 + tail) * f(1 + tail)));
    },
    gaussian: (d, p) => {
      const x = f(p * d);
      return f(f(p / f(Math.sqrt(f(Math.PI)))) * f(Math.exp(-f(x * x))));
    },
    "fast-sigmoid": (d, p) => {
      const x = f(1 + f(p * Math.abs(d)));
      return f(1 / f(x * x));
    },
    dspike: (d, p) => {
      if (Math.abs(d) > 0.5) return 0;
      const c = f(Math.cosh(f(p * d)));
      return f(f(p / f(2 * f(Math.tanh(f(p / 2))))) / f(c * c));
    },
  };

  function run(lif, x, e) {
    const [decay, threshold, delta] = [lif.decay, lif.threshold, lif.delta].map(f);
    const parameter = f(lif.parameter);
    const hard = lif.reset.startsWith("hard");
    const attached = !lif.reset.endsWith("detached");
    const steps = x.length;
    const out = { x, e };
    for (const name of ["u", "o", "m", "a", "G", "h", "factor", "du"]) out[name] = new Array(steps).fill(0);

    let m = 0;
    for (let t = 0; t < steps; t++) {
      const u = f(f(decay * m) + f(x[t]));
      const o = u > threshold ? 1 : 0;
      m = hard ? f((1 - o) * u) : f(u - f(threshold * o));
      out.u[t] = u;
      out.o[t] = o;
      out.m[t] = m;
    }

    let a = 0;
    for (let t = steps - 1; t >= 0; t--) {
      const u = out.u[t];
      const o = out.o[t];
      const G = attached ? f(f(e[t]) - (hard ? f(a * u) : f(threshold * a))) : f(e[t]);
      const h = surrogates[lif.surrogate](f(u - threshold), parameter);
      const factor = Math.max(f(1 + f(f(delta * Math.sign(G)) * f(u - o))), 0);
      const du = f(f(f(G * h) * factor) + (hard ? f(a * (1 - o)) : a));
      out.a[t] = a;
      out.G[t] = G;
      out.h[t] = h;
      out.factor[t] = factor;
      out.du[t] = du;
      a = f(decay * du);
    }
    return out;
  }

  // The largest difference from the trainer's numbers: in units of the last place of the largest of a quantity.
  function distance(mine, theirs) {
    let worst = 0;
    for (const name of ["u", "o", "m", "a", "G", "h", "factor", "du"]) {
      const peak = Math.max(...theirs[name].map(Math.abs), 1e-30);
      for (let t = 0; t < mine.u.length; t++) {
        worst = Math.max(worst, Math.abs(mine[name][t] - f(theirs[name][t])) / (peak * 2 ** -23));
      }
    }
    return worst;
  }

  return { run, distance, surrogates };
})();
