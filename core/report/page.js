'use strict';
// What the page does with a script: another axis, smoothing, a logarithm, zoom, runs on and off, and readings. The
// state stands in location.hash, so that it survives a reload.
const data = JSON.parse(document.getElementById('data').textContent).runs;
const controls = document.getElementById('controls');
const state = {x: 'tokens', smooth: 0, log: false, from: null, to: null, off: new Set()};
const width = 1000, height = 400;
let names;  // the namespace of SVG elements

function load() {
  for (const part of location.hash.slice(1).split('&')) {
    const [key, value] = part.split('=');
    if (key === 'x' && ['tokens', 'steps', 'hours'].includes(value)) state.x = value;
    if (key === 'smooth') state.smooth = Math.min(99, Math.max(0, Number(value) || 0));
    if (key === 'log') state.log = value === '1';
    if (key === 'zoom' && /^[-\d.e+]+,[-\d.e+]+$/.test(value)) [state.from, state.to] = value.split(',').map(Number);
    if (key === 'off') state.off = new Set(value.split(',').filter(v => data[v]));
  }
}

function save() {
  const parts = [`x=${state.x}`, `smooth=${state.smooth}`, `log=${state.log ? 1 : 0}`];
  if (state.from !== null) parts.push(`zoom=${state.from},${state.to}`);
  if (state.off.size) parts.push(`off=${[...state.off].join(',')}`);
  history.replaceState(null, '', '#' + parts.join('&'));
}

// A series with its places: its own, those of the loss, or of a mark those of its step among them.
function series(run, key) {
  const all = data[run].series, own = all[key];
  if (!own || own.tokens) return own;
  if (own.places) return {...own, step: all.loss.step, tokens: all.loss.tokens, seconds: all.loss.seconds};
  const near = all.loss || all.tokens_per_second, place = step => Math.max(0, near.step.findIndex(s => s >= step));
  const at = own.step.map(place);
  return {...own, tokens: at.map(i => near.tokens[i]), seconds: at.map(i => near.seconds[i])};
}

const places = s => state.x === 'hours' ? s.seconds.map(v => v / 3600) : state.x === 'steps' ? s.step : s.tokens;

// An exponential mean that starts unbiased; gaps stay.
function smoothed(values) {
  const keep = state.smooth / 100;
  let sum = 0, weight = 0;
  return values.map(v => {
    if (v === null) return null;
    sum = keep * sum + (1 - keep) * v;
    weight = keep * weight + 1 - keep;
    return sum / weight;
  });
}

function ticks(least, largest, most) {
  const raw = (largest - least) / most, power = 10 ** Math.floor(Math.log10(raw)), list = [];
  const step = [1, 2, 5, 10].find(n => raw <= n * power) * power;
  for (let n = Math.ceil(least / step); n * step <= largest && list.length <= most; ++n) list.push(n * step);
  return list;
}

function short(v) {
  const units = ['', 'k', 'M', 'G', 'T'];
  let u = 0;
  while (Math.abs(v) >= 1000 && u < 4) v /= 1000, ++u;
  return String(Number(v.toPrecision(4))) + units[u];
}

class Plot {
  constructor(figure) {
    this.figure = figure;
    this.svg = figure.querySelector('svg');
    this.area = figure.querySelector('.area');
    this.reading = figure.querySelector('.reading');
    names = names || this.svg.namespaceURI;
    this.paths = [...figure.querySelectorAll('svg [data-key]')];
    this.levels = [...figure.querySelectorAll('.level')];
    this.fromZero = ['grad_norm', 'learning_rate', 'tokens_per_second', 'scale_misses', 'power'].includes(figure.id);
    this.cross = this.area.appendChild(Object.assign(document.createElement('div'), {className: 'cross', hidden: true}));
    this.brush = this.area.appendChild(Object.assign(document.createElement('div'), {className: 'brush', hidden: true}));
    this.listen();
  }

  curves() {
    return this.paths.filter(p => p.matches('.line') && !state.off.has(p.dataset.run)).map(p => {
      const s = series(p.dataset.run, p.dataset.key);
      return {run: p.dataset.run, key: p.dataset.key, s, x: places(s), y: p.matches('.thin') ? s.mean : smoothed(s.mean)};
    });
  }

  frame(curves) {
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (const c of curves) for (const x of c.x) x0 = Math.min(x0, x), x1 = Math.max(x1, x);
    if (state.from !== null) x0 = state.from, x1 = state.to;
    for (const c of curves) c.x.forEach((x, i) => {
      if (x < x0 || x > x1 || c.s.mean[i] === null) return;
      const low = (c.s.least || c.s.mean)[i], high = (c.s.largest || c.s.mean)[i];
      if (!state.log || low > 0) y0 = Math.min(y0, low);
      if (!state.log || high > 0) y1 = Math.max(y1, high);
    });
    if (!(y0 <= y1)) y0 = state.log ? 1 : 0, y1 = 10;
    for (const p of this.levels) if (p.dataset.level <= y1 + .5 * (y1 - y0)) y1 = Math.max(y1, Number(p.dataset.level));
    if (state.log) return {x0, x1, y0: Math.log10(y0) - .02, y1: Math.log10(y1) + .02};
    if (this.fromZero) y0 = Math.min(y0, 0);
    const room = .04 * (y1 - y0) || Math.abs(y0) * .05 || 1;
    return {x0, x1, y0: this.fromZero && y0 === 0 ? 0 : y0 - room, y1: y1 + room};
  }

  column(x) { const f = this.at; return f.x1 > f.x0 ? (x - f.x0) / (f.x1 - f.x0) * width : width / 2; }
  row(y) {
    const f = this.at, v = state.log ? (y > 0 ? Math.log10(y) : -Infinity) : y;
    return Math.min(2, Math.max(-1, 1 - (v - f.y0) / (f.y1 - f.y0))) * height;
  }

  draw() {
    const curves = this.shown = this.curves();
    this.at = this.frame(curves);
    for (const p of this.paths) {
      const run = p.dataset.run, s = series(run, p.dataset.key);
      p.style.display = state.off.has(run) ? 'none' : '';
      if (!s || state.off.has(run)) continue;
      const x = places(s).map(v => this.column(v).toFixed(1)), y = p.matches('.line') && !p.matches('.thin') ? smoothed(s.mean) : s.mean;
      let d = '', open = false;
      if (p.matches('.marks')) x.forEach(v => d += `M${v} ${height * (1 - .05 * p.dataset.row)}V${height * (.95 - .05 * p.dataset.row)}`);
      else if (p.matches('.band')) {
        const part = [];
        const close = () => {
          if (part.length) d += 'M' + part.map(i => `${x[i]} ${this.row(s.largest[i]).toFixed(1)}`).join('L') +
            'L' + part.reverse().map(i => `${x[i]} ${this.row(s.least[i]).toFixed(1)}`).join('L') + 'Z';
          part.length = 0;
        };
        s.mean.forEach((v, i) => v === null ? close() : part.push(i));
        close();
      } else y.forEach((v, i) => {
        if (v === null) { open = false; return; }
        d += `${open && p.matches('.line') ? 'L' : 'M'}${x[i]} ${this.row(v).toFixed(1)}` + (p.matches('.dots') || y[i + 1] == null && !open ? 'h0' : '');
        open = true;
      });
      p.setAttribute('d', d);
    }
    this.labels();
    this.cross.hidden = true;
  }

  labels() {
    const f = this.at, ys = this.figure.querySelector('.ys'), xs = this.figure.querySelector('.xs');
    const yticks = f.y1 > f.y0 ? ticks(f.y0, f.y1, 6) : [], value = v => state.log ? 10 ** v : v;
    const text = v => Math.abs(v) >= 1e4 ? short(v) : v && Math.abs(v) < 1e-3 ? Number(v.toPrecision(3)).toExponential() : String(Number(v.toPrecision(state.log ? 3 : 5)));
    const span = (t, style) => Object.assign(document.createElement('span'), {textContent: t, style});
    ys.replaceChildren(...yticks.map(v => span(text(value(v)), `bottom:${(v - f.y0) / (f.y1 - f.y0) * 100}%`)));
    const unit = Object.assign(document.createElement('b'), {textContent: state.x === 'steps' ? 'step' : state.x});
    xs.replaceChildren(...(f.x1 > f.x0 ? ticks(f.x0, f.x1, 7) : []).map(v => span(short(v), `left:${this.column(v) / width * 100}%`)), unit);
    this.figure.querySelector('.grid').setAttribute('d', yticks.map(v => `M0 ${this.row(value(v)).toFixed(1)}H${width}`).join(''));
    for (const p of this.levels) p.setAttribute('d', `M0 ${this.row(Number(p.dataset.level)).toFixed(1)}H${width}`);
  }

  // The bucket of each curve nearest to a place, in words.
  read(x) {
    const near = c => c.x.reduce((best, v, i) => Math.abs(v - x) < Math.abs(c.x[best] - x) ? i : best, 0);
    const parts = this.shown.filter(c => c.x.length).map(c => {
      const i = near(c), s = c.s, name = data.length > 1 ? data[c.run].name + ' ' : '';
      const range = s.width > 1 && s.mean[i] !== null ? ` (${s.least[i]} to ${s.largest[i]}, ${s.count ? s.count[i] : i + 1 < s.mean.length ? s.width : s.last_count} steps)` : '';
      return `${name}${c.key.replaceAll('_', ' ')} ${s.mean[i] ?? 'not finite'}${range} at step ${s.step[i]}`;
    });
    this.place = x;
    this.cross.style.left = this.column(x) / width * 100 + '%';
    this.cross.hidden = false;
    this.reading.textContent = parts.join('; ');
  }

  move(by) {
    const all = this.shown[0] && this.shown[0].x;
    if (!all || !all.length) return;
    const at = this.place === undefined ? (by > 0 ? -1 : all.length) : all.reduce((b, v, i) => Math.abs(v - this.place) < Math.abs(all[b] - this.place) ? i : b, 0);
    this.read(all[Math.min(all.length - 1, Math.max(0, at + by))]);
  }

  listen() {
    const share = e => { const box = this.area.getBoundingClientRect(); return Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)); };
    const place = s => this.at.x0 + s * (this.at.x1 - this.at.x0);
    let start = null;
    this.svg.addEventListener('pointerdown', e => { start = share(e); });
    this.svg.addEventListener('pointermove', e => {
      this.read(this.shown[0] ? this.shown[0].x.reduce((b, v) => Math.abs(v - place(share(e))) < Math.abs(b - place(share(e))) ? v : b) : 0);
      if (start === null || !(e.buttons & 1)) return;
      const left = Math.min(start, share(e)), right = Math.max(start, share(e));
      this.brush.hidden = right - left < .01;
      this.brush.style = `left:${left * 100}%;width:${(right - left) * 100}%`;
    });
    addEventListener('pointerup', e => {
      if (start === null) return;
      const a = place(Math.min(start, share(e))), b = place(Math.max(start, share(e))), far = Math.abs(share(e) - start) > .01;
      start = null;
      this.brush.hidden = true;
      if (far) state.from = a, state.to = b, redraw();
    });
    this.svg.addEventListener('pointerleave', () => { this.cross.hidden = true; this.reading.textContent = ''; });
    this.svg.addEventListener('dblclick', () => { state.from = state.to = null; redraw(); });
    this.svg.addEventListener('keydown', e => {
      const by = {ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -1e9, End: 1e9}[e.key];
      if (by === undefined) return;
      e.preventDefault();
      this.move(by);
    });
  }
}

const plots = [...document.querySelectorAll('.plot')].map(figure => new Plot(figure));

function redraw() {
  save();
  for (const plot of plots) plot.draw();
  document.querySelectorAll('[data-toggle]').forEach(b => b.setAttribute('aria-pressed', !state.off.has(b.dataset.toggle)));
}

load();
document.documentElement.classList.add('ready');
controls.hidden = false;
controls.elements.x.value = state.x;
controls.elements.smooth.value = state.smooth;
controls.elements.log.checked = state.log;
controls.addEventListener('input', () => {
  if (state.x !== controls.elements.x.value) state.from = state.to = null;
  state.x = controls.elements.x.value;
  state.smooth = Number(controls.elements.smooth.value);
  state.log = controls.elements.log.checked;
  redraw();
});
document.querySelectorAll('[data-toggle]').forEach(b => b.addEventListener('click', () => {
  state.off.has(b.dataset.toggle) ? state.off.delete(b.dataset.toggle) : state.off.add(b.dataset.toggle);
  redraw();
}));
if (location.hash) redraw();
else for (const plot of plots) plot.shown = plot.curves(), plot.at = plot.frame(plot.shown);
