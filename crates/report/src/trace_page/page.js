(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const FULL = ["x", "u", "o", "m", "e", "a", "G", "h", "factor", "du"];
  let lif = { ...data.lif };
  let chosen = 0;
  let here = 0;
  let playing = 0;

  const number = (v) => {
    if (v === 0) return "0";
    const size = Math.abs(v);
    return (size >= 1e-2 && size < 1e4 ? v.toPrecision(4) : v.toExponential(2)).replace("-", "−");
  };
  const short = (v) => {
    const size = Math.abs(v);
    if (v === 0) return "0";
    return (size >= 1e-2 && size < 1e4 ? v.toPrecision(3) : v.toExponential(1)).replace("-", "−");
  };
  const live = (n) => n.steps.du.some((v) => v !== 0);
  const title = (n) => `${n.layer}  c ${n.channel}, y ${n.row}, x ${n.column}${live(n) ? "" : " (no gradient)"}`;

  // SVG, a string at a time.
  const text = (x, y, s, more = "") => `<text x="${x}" y="${y}" ${more}>${s}</text>`;
  const line = (x1, y1, x2, y2, more) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" ${more}/>`;
  const colour = (v) => (v >= 0 ? "var(--plus)" : "var(--minus)");
  const thickness = (v, peak) => (peak > 0 ? 1 + 5 * Math.sqrt(Math.abs(v) / peak) : 1);

  // An arrow along a path whose last point is (x, y), arriving in the direction (dx, dy).
  function arrow(path, x, y, dx, dy, v, peak, label, lx, ly, anchor = "middle") {
    const none = Math.abs(v) <= 1e-7 * peak || v === 0;
    const stroke = none ? "var(--line)" : colour(v);
    const w = none ? 1 : thickness(v, peak);
    const s = 4 + w;
    const head = `${x},${y} ${x - dx * s - dy * s * 0.6},${y - dy * s - dx * s * 0.6} ` +
      `${x - dx * s + dy * s * 0.6},${y - dy * s + dx * s * 0.6}`;
    const dash = none ? 'stroke-dasharray="2 3"' : "";
    return `<path d="${path}" fill="none" stroke="${stroke}" stroke-width="${w}" ${dash}/>` +
      `<polygon points="${head}" fill="${stroke}"/>` +
      (label === "" ? "" : text(lx, ly, label, `text-anchor="${anchor}" font-size="11" class="${none ? "quiet" : ""}"`));
  }

  // Where the surrogate is at least a tenth of its peak, as distances from the threshold.
  function reach() {
    const h = neuron.surrogates[lif.surrogate];
    const p = Math.fround(lif.parameter);
    const least = 0.1 * h(0, p);
    let d = 0;
    while (d < 6 && h(d + 0.01, p) >= least) d += 0.01;
    return d;
  }

  function draw() {
    const own = data.neurons[chosen];
    const now = neuron.run(lif, own.steps.x, own.steps.e);
    const T = now.u.length;
    here = Math.min(here, T - 1);
    const W = Math.max(86, Math.min(150, 800 / T));
    const left = 116;
    const width = left + T * W + 30;
    const X = (t) => left + (t + 0.42) * W;

    const top = 56;
    const high = 190;
    const values = [...now.u, ...now.m, 0, lif.threshold * 1.3];
    let low = Math.min(...values);
    let peak = Math.max(...values);
    const room = 0.08 * (peak - low);
    [low, peak] = [low - room, peak + room];
    const Y = (v) => top + (high * (peak - v)) / (peak - low);
    let s = "";

    s += `<rect class="here" x="${left + here * W}" y="8" width="${W}" height="592" rx="6"/>`;
    const d = reach();
    const [w0, w1] = [Math.max(low, lif.threshold - d), Math.min(peak, lif.threshold + d)];
    s += `<rect x="${left}" y="${Y(w1)}" width="${T * W}" height="${Math.max(0, Y(w0) - Y(w1))}" fill="var(--window)" opacity=".16"/>`;
    s += line(left, Y(0), left + T * W, Y(0), 'stroke="var(--line)"');
    s += line(left, Y(lif.threshold), left + T * W, Y(lif.threshold), 'stroke="var(--spike)" stroke-dasharray="6 4"');
    s += text(left - 8, Y(lif.threshold) + 4, `V_th ${number(lif.threshold)}`, 'text-anchor="end" class="quiet"');
    s += text(left - 8, Y(0) + 4, "0", 'text-anchor="end" class="quiet"');
    s += text(12, top - 26, "membrane", 'class="label"') + text(12, top - 10, "u[t], then m[t]", 'class="quiet"');

    // The forward: decay, charge, fire, reset.
    let before = 0;
    for (let t = 0; t < T; t++) {
      const x = X(t);
      const start = lif.decay * before;
      const from = t === 0 ? left : X(t - 1);
      s += `<path d="M${from},${Y(before)} Q${(from + x) / 2},${Y(start)} ${x},${Y(start)}" fill="none" stroke="var(--membrane)" stroke-width="2"/>`;
      s += line(x, Y(start), x, Y(now.u[t]), 'stroke="var(--membrane)" stroke-width="2"');
      s += `<circle cx="${x}" cy="${Y(now.u[t])}" r="4.5" fill="var(--membrane)"/>`;
      if (now.o[t]) {
        s += line(x, Y(now.u[t]), x, Y(now.m[t]), 'stroke="var(--spike)" stroke-width="2" stroke-dasharray="3 3"');
        s += line(x, 20, x, 42, 'stroke="var(--spike)" stroke-width="4" stroke-linecap="round"');
        s += `<circle cx="${x}" cy="${Y(now.m[t])}" r="3.5" fill="var(--paper)" stroke="var(--spike)" stroke-width="2"/>`;
      }
      s += text(x - 7, Y(now.u[t]) - 4, number(now.u[t]), 'text-anchor="end" font-size="11" class="halo"');
      before = now.m[t];
    }

    // The backward: e down to the spike, through the surrogate to u, along m to the step before.
    const yo = 372;
    const yu = 470;
    const ye = 306;
    const yx = 548;
    const scale = Math.max(...FULL.slice(4, 7).flatMap((k) => now[k].map(Math.abs)), ...now.du.map(Math.abs));
    const rows = [
      [ye - 10, "from above", "e[t] = ∂L/∂o[t]"],
      [yo - 4, "spike", "G[t], in total"],
      [yu - 4, "membrane", "∂L/∂u[t]"],
      [yx + 6, "to the weights", "∂L/∂x[t]"],
    ];
    for (const [y, name, what] of rows) s += text(12, y, name, 'class="label"') + text(12, y + 16, what, 'class="quiet" font-size="10.5"');
    const hard = lif.reset.startsWith("hard");
    const attached = !lif.reset.endsWith("detached");
    const late = playing ? here : 0;
    for (let t = T - 1; t >= 0; t--) {
      const x = X(t);
      const fade = t < late ? 0.12 : 1;
      s += `<g opacity="${fade}">`;
      s += arrow(`M${x},${ye} V${yo - 17}`, x, yo - 15, 0, 1, now.e[t], scale, short(now.e[t]), x, ye - 5);
      const S = Math.fround(Math.fround(now.G[t] * now.h[t]) * now.factor[t]);
      s += arrow(`M${x},${yo + 14} V${yu - 18}`, x, yu - 16, 0, 1, S, scale, short(S), x - 9, (yo + yu) / 2 - 2, "end");
      s += text(x - 9, (yo + yu) / 2 + 11, `h ${short(now.h[t])}`, 'text-anchor="end" class="quiet" font-size="10"');
      s += arrow(`M${x},${yu + 15} V${yx - 17}`, x, yx - 15, 0, 1, now.du[t], scale, "", 0, 0);
      s += text(x, yx + 2, short(now.du[t]), 'text-anchor="middle" font-size="11"');
      if (t < T - 1) {
        const direct = Math.fround(now.a[t] * (hard ? 1 - now.o[t] : 1));
        const next = X(t + 1);
        s += arrow(`M${next - 15},${yu} H${x + 18}`, x + 16, yu, -1, 0, direct, scale, "", 0, 0);
        const back = attached ? -Math.fround(now.a[t] * (hard ? now.u[t] : lif.threshold)) : 0;
        if (attached) {
          const middle = (x + next) / 2;
          s += arrow(`M${middle},${yu} C${middle - 6},${yo + 30} ${x + 40},${yo} ${x + 18},${yo}`, x + 15, yo, -1, 0, back, scale, "", 0, 0);
        }
        s += text((x + next) / 2 + 2, yu + 17, `a ${short(now.a[t])}`, 'text-anchor="middle" font-size="11" class="quiet"');
      }
      const fired = now.o[t] ? "var(--spike)" : "var(--paper)";
      s += `<circle cx="${x}" cy="${yo}" r="13" fill="${fired}" stroke="var(--spike)" stroke-width="2"/>`;
      s += text(x, yo + 4, "o", `text-anchor="middle" font-size="12" style="fill:${now.o[t] ? "var(--paper)" : "var(--ink)"}"`);
      s += `<circle cx="${x}" cy="${yu}" r="14" fill="var(--paper)" stroke="var(--membrane)" stroke-width="2"/>`;
      s += text(x, yu + 4, "u", 'text-anchor="middle" font-size="12"');
      s += "</g>";
      s += text(x, 588, `t = ${t}`, 'text-anchor="middle" class="quiet"');
      s += `<rect class="column" data-t="${t}" x="${left + t * W}" y="8" width="${W}" height="592"/>`;
    }
    const fit = T <= 10 ? 'style="width:100%"' : "";
    $("stage").innerHTML = `<svg width="${width}" height="604" ${fit} viewBox="0 0 ${width} 604" role="img" aria-label="membrane and gradients over time">${s}</svg>`;
    explain(now);
    settings();
    agree(own);
  }

  function explain(now) {
    const t = here;
    const [u, o, a, e, G, h, du] = ["u", "o", "a", "e", "G", "h", "du"].map((k) => number(now[k][t]));
    const factor = now.factor[t].toPrecision(7);
    const hard = lif.reset.startsWith("hard");
    const attached = !lif.reset.endsWith("detached");
    const before = t > 0 ? number(now.m[t - 1]) : "0";
    const total = attached
      ? hard ? `e − a·u = ${e} − (${a})·(${u})` : `e − V_th·a = ${e} − ${number(lif.threshold)}·(${a})`
      : "e, for the reset is detached";
    const S = number(Math.fround(Math.fround(now.G[t] * now.h[t]) * now.factor[t]));
    const direct = hard ? `a·(1 − o) = ${S} + (${a})·(1 − ${o})` : `a = ${S} + (${a})`;
    $("explain").innerHTML =
      `<b>t = ${t}</b>    forward\n` +
      `u = τ·m[t−1] + x   = ${number(lif.decay)}·(${before}) + ${number(now.x[t])} = ${u}\n` +
      `o = [u > V_th]     = ${o}        m = ${hard ? "(1 − o)·u" : "u − V_th·o"} = ${number(now.m[t])}\n` +
      `<b>backward</b>\n` +
      `G                  = ${total} = ${G}\n` +
      `S(G, u, o)         = G·h(u)·max(0, 1 + δ·sign(G)·(u − o)) = ${G}·${h}·${factor} = ${S}\n` +
      `∂L/∂u              = S + ${direct} = ${du}\n` +
      `a[t−1]             = τ·∂L/∂u = ${number(lif.decay * now.du[t])}`;
  }

  function agree(own) {
    const mine = neuron.run(data.lif, own.steps.x, own.steps.e);
    const far = neuron.distance(mine, own.steps);
    const moved = JSON.stringify(lif) !== JSON.stringify(data.lif);
    $("agree").textContent =
      (far === 0
        ? "With the trainer's settings this page computes the trainer's numbers, bit for bit."
        : `With the trainer's settings this page computes the trainer's numbers to ${far.toFixed(1)} units in the last place.`) +
      (moved ? " The settings now are yours." : "") +
      (live(own) ? "" : " No gradient reaches this neuron in the trainer: its membrane is never where the surrogate lets one through, or nothing arrives from above.");
    document.body.dataset.distance = far;
  }

  function settings() {
    const windowed = lif.surrogate === "rectangle" || lif.surrogate === "triangle";
    $("parameter-name").textContent = windowed ? "Window w" : "Steepness α";
    $("parameter").max = windowed ? 4 : 20;
    for (const key of ["parameter", "delta", "decay", "threshold"]) {
      $(key).value = lif[key];
      $(`${key}-value`).textContent = number(lif[key]);
    }
    $("reset").value = lif.reset;
    $("surrogate").value = lif.surrogate;
    $("neuron").value = chosen;
  }

  // Colours from dark blue over green to yellow, perceptually even.
  const ramp = ["#2b1d5e", "#3b4c8c", "#2f7a8c", "#35a07a", "#8cc15a", "#f2d94a"];
  function shade(v) {
    const at = Math.max(0, Math.min(1, v)) * (ramp.length - 1);
    const k = Math.min(ramp.length - 2, Math.floor(at));
    const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    const mix = (i) => Math.round(part(ramp[k], i) + (at - k) * (part(ramp[k + 1], i) - part(ramp[k], i)));
    return `rgb(${mix(0)},${mix(1)},${mix(2)})`;
  }

  function map(name, what, value, show, share, ends) {
    const T = data.layers[0].steps.length;
    const left = 14 + 7.2 * Math.max(...data.layers.map((l) => l.name.length));
    const w = Math.max(24, Math.min(56, 290 / T));
    const h = data.layers.length > 12 ? 20 : 26;
    let s = "";
    data.layers.forEach((layer, k) => {
      s += text(left - 8, 24 + k * h + h / 2 + 4, layer.name, 'text-anchor="end"');
      layer.steps.forEach((step, t) => {
        const v = value(step);
        s += `<rect x="${left + t * w}" y="${24 + k * h}" width="${w - 1.5}" height="${h - 1.5}" rx="2" fill="${shade(share(v))}"><title>${layer.name}, t = ${t}: ${show(v)}</title></rect>`;
      });
    });
    for (let t = 0; t < T; t++) s += text(left + (t + 0.5) * w, 16, t, 'text-anchor="middle" class="quiet"');
    s += text(left - 8, 16, "t", 'text-anchor="end" class="quiet"');
    const y = 36 + data.layers.length * h;
    for (let k = 0; k < 60; k++) s += `<rect x="${left + k * 3}" y="${y}" width="3.2" height="9" fill="${shade(k / 59)}"/>`;
    s += text(left, y + 24, ends[0], 'class="quiet"') + text(left + 180, y + 24, ends[1], 'text-anchor="end" class="quiet"');
    const width = Math.max(left + T * w, left + 190) + 10;
    return `<div><h3>${name}</h3><p class="quiet">${what}</p><div class="scroll"><svg width="${width}" height="${y + 32}" viewBox="0 0 ${width} ${y + 32}">${s}</svg></div></div>`;
  }

  function maps() {
    const norms = data.layers.flatMap((l) => l.steps.map((p) => p.gradient_norm)).filter((v) => v > 0);
    const [least, most] = [Math.min(...norms), Math.max(...norms)].map(Math.log10);
    const log = (v) => (v > 0 ? (Math.log10(v) - least) / (most - least || 1) : 0);
    const percent = (v) => `${(100 * v).toFixed(1)} %`;
    $("maps").innerHTML =
      map("Gradient norm ‖∂L/∂u[t]‖", "All neurons of a layer and all images of the batch, at one step; logarithmic.",
        (p) => p.gradient_norm, number, log, [number(10 ** least), number(10 ** most)]) +
      map("Inside the window", "Share of membranes where the surrogate is at least a tenth of its peak: the rest learn nothing through the spike.",
        (p) => p.inside, percent, (v) => v, ["0 %", "100 %"]) +
      map("Firing rate", "Share of neurons that fire at a step.",
        (p) => p.rate, percent, (v) => v, ["0 %", "100 %"]);
  }

  function numbers() {
    const own = data.neurons[chosen].steps;
    const names = { x: "x", u: "u", o: "o", m: "m", e: "e = ∂L/∂o", a: "a = ∂L/∂m", G: "G", h: "h(u)", factor: "SGS factor", du: "∂L/∂u = ∂L/∂x" };
    const head = FULL.map((k) => `<th>${names[k]}</th>`).join("");
    const rows = own.x.map((_, t) =>
      `<tr class="${t === here ? "chosen" : ""}"><td>${t}</td>${FULL.map((k) => `<td>${number(own[k][t])}</td>`).join("")}</tr>`);
    $("numbers").innerHTML = `<thead><tr><th>t</th>${head}</tr></thead><tbody>${rows.join("")}</tbody>`;
  }

  function show() {
    draw();
    numbers();
  }

  function choose(k) {
    chosen = k;
    const size = data.neurons[k].steps.du.map(Math.abs);
    here = size.indexOf(Math.max(...size));
    show();
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    $("play").textContent = "▶ Backward";
  }

  function play() {
    if (playing) {
      stop();
      show();
      return;
    }
    here = data.neurons[chosen].steps.u.length - 1;
    $("play").textContent = "■ Stop";
    playing = setInterval(() => {
      if (here === 0) stop();
      else here -= 1;
      show();
    }, 700);
    show();
  }

  function logits() {
    const most = Math.max(...data.logits.map(([, v]) => Math.abs(v)), 1e-30);
    const low = Math.min(0, ...data.logits.map(([, v]) => v));
    const span = Math.max(...data.logits.map(([, v]) => v), 0) - low || 1;
    for (const [name, v] of data.logits) {
      const row = $("logits").insertRow();
      row.className = name === data.class ? "truth" : "";
      row.insertCell().textContent = name + (name === data.class ? " ✓" : "") + (name === data.answer ? " ←" : "");
      const bar = document.createElement("i");
      bar.style.marginLeft = `${(9 * (Math.min(v, 0) - low)) / span}rem`;
      bar.style.width = `${(9 * Math.abs(v)) / span}rem`;
      bar.style.background = v >= 0 ? "var(--plus)" : "var(--minus)";
      row.insertCell().append(bar);
      row.insertCell().textContent = Math.abs(v) < 1e-6 * most ? "0" : number(v);
    }
    $("logits").insertAdjacentHTML("afterbegin", "<caption class=\"quiet\">mean logits; ✓ what it is, ← what the net says</caption>");
  }

  $("about").textContent = data.about;
  logits();
  data.neurons.forEach((n, k) => $("neuron").add(new Option(title(n), k)));
  $("neuron").addEventListener("change", (event) => { stop(); choose(Number(event.target.value)); });
  for (const key of ["parameter", "delta", "decay", "threshold"]) {
    $(key).addEventListener("input", (event) => { lif[key] = Number(event.target.value); show(); });
  }
  $("reset").addEventListener("change", (event) => { lif.reset = event.target.value; show(); });
  $("surrogate").addEventListener("change", (event) => {
    lif.surrogate = event.target.value;
    lif.parameter = data.usual[lif.surrogate];
    show();
  });
  $("back").addEventListener("click", () => { lif = { ...data.lif }; stop(); show(); });
  $("play").addEventListener("click", play);
  $("stage").addEventListener("click", (event) => {
    const t = event.target.dataset && event.target.dataset.t;
    if (t !== undefined) { stop(); here = Number(t); show(); }
  });
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || ["INPUT", "SELECT"].includes(event.target.tagName)) return;
    here = Math.max(0, Math.min(data.neurons[chosen].steps.u.length - 1, here + by));
    show();
  });
  maps();
  choose(Math.max(0, data.neurons.findIndex(live)));
})();
