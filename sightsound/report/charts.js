// Draws the charts of a page from the JSON beside each of them, as SVG that fits its place; hover shows values.
// Sizes are in pixels, so that text stays legible on a narrow screen: a chart is drawn anew when its place changes.
"use strict";
(() => {
const canvas = document.createElement("canvas").getContext("2d");
const wide = (text, size = 12) => { canvas.font = `${size}px system-ui, sans-serif`; return canvas.measureText(text).width; };
const cut = (text, room, size = 12) => {
  if (wide(text, size) <= room) return text;
  const signs = [...text];  // what tells names apart is often at their end
  let n = signs.length, part = text;
  while (n > 2 && wide(part, size) > room) { n--; part = signs.slice(0, Math.ceil(n / 2)).join("") + "…" + signs.slice(signs.length - Math.floor(n / 2)).join(""); }
  return part;
};
const number = v => v == null ? "" : Number(v.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
const percent = v => `${(100 * v).toFixed(1)} %`;
const colour = name => `var(--${name})`;

function add(parent, tag, attributes = {}, text = "") {
  const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) if (value != null) one.setAttribute(key, value);
  if (text !== "") one.textContent = text;
  parent.append(one);
  return one;
}
// with a view box, so that print can make it as wide as the paper
const drawing = (place, width, height) => add(place, "svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": true });
function html(parent, tag, name = "", text = "") {
  const one = document.createElement(tag);
  if (name) one.className = name;
  if (text) one.textContent = text;
  parent.append(one);
  return one;
}

// what is under the pointer
const tip = html(document.body, "div", "tip");
tip.hidden = true;
document.addEventListener("pointerover", event => {
  const mark = event.target.closest?.("[data-tip]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  const at = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(at.x + at.width / 2 - own.width / 2, innerWidth - own.width - 4))}px`;
  tip.style.top = `${at.y - own.height - 6 > 0 ? at.y - own.height - 6 : at.bottom + 6}px`;
});

function ticks(low, high, room, log) {
  const most = Math.max(2, Math.floor(room));
  if (log) {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
      for (const m of [1, 2, 5]) if (m * 10 ** e >= low * 0.999 && m * 10 ** e <= high * 1.001) found.push(m * 10 ** e);
    const few = found.filter(v => /^1/.test(v.toExponential()));
    return found.length <= most || few.length < 2 ? found : few;
  }
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}
function range(values, fixed, log) {
  if (fixed) return fixed;
  const known = values.filter(v => v != null && (!log || v > 0));
  if (!known.length) return [0, 1];
  let low = Math.min(...known), high = Math.max(...known);
  if (log) return low === high ? [low / 2, high * 2] : [low / 1.15, high * 1.15];
  const room = 0.06 * (high - low) || 0.05 * Math.abs(high) || 0.5;
  const share = low >= 0 && high <= 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, share ? Math.min(1, high + room) : high + room];
}
const scale = ([low, high], [from, to], log) => log
  ? v => from + (Math.log(v / low) / Math.log(high / low)) * (to - from)
  : v => from + ((v - low) / (high - low)) * (to - from);

const SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (x, y, r) => `M${x - r * .9} ${y - r * .9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  (x, y, r) => `M${x} ${y - 1.2 * r}l${1.2 * r} ${2.1 * r}h${-2.4 * r}z`,
  (x, y, r) => `M${x} ${y + 1.2 * r}l${1.2 * r} ${-2.1 * r}h${-2.4 * r}z`,
];
const shape = (i, x, y, r) => SHAPES[i % SHAPES.length](x, y, r);

function legend(place, entries) {
  const list = html(place, "ul", "legend");
  entries.forEach(({ name, colour: of, shape: i, line, dotted }) => {
    const item = html(list, "li"), swatch = add(item, "svg", { width: 22, height: 12, "aria-hidden": true });
    if (line) add(swatch, "path", { d: "M0 6h22", class: "line", stroke: colour(of), "stroke-dasharray": dotted ? "2 4" : null });
    if (i != null) add(swatch, "path", { d: shape(i, 11, 6, 4), fill: colour(of) });
    item.append(name);
  });
}

function frame(place, width, height, chart, x, y, [left, right, top, bottom]) {
  const svg = drawing(place, width, height);
  const yTicks = left ? [] : ticks(...y, (height - top - bottom) / 34);
  left ||= 10 + Math.max(...yTicks.map(v => wide(number(v))));
  const xs = scale(x, [left, width - right], chart.x_log), ys = scale(y, [height - bottom, top]);
  const whole = chart.kind === "lines" && chart.series.every(s => s.x.every(Number.isInteger));
  for (const v of ticks(...x, (width - left - right) / 62, chart.x_log)) {
    if (whole && !Number.isInteger(v)) continue;
    add(svg, "path", { d: `M${xs(v)} ${top}V${height - bottom}`, class: "grid" });
    add(svg, "text", { x: xs(v), y: height - bottom + 16, "text-anchor": "middle" }, number(v));
  }
  for (const v of yTicks) {
    add(svg, "path", { d: `M${left} ${ys(v)}H${width - right}`, class: "grid" });
    add(svg, "text", { x: left - 6, y: ys(v) + 4, "text-anchor": "end" }, number(v));
  }
  add(svg, "text", { x: width - right, y: height - 4, "text-anchor": "end", class: "label" }, cut(chart.x_label, width - 8));
  if (yTicks.length) add(svg, "text", { x: 2, y: 11, class: "label" }, chart.y_label);
  return [svg, xs, ys];
}

function lines(place, chart, width) {
  const of = key => chart.series.flatMap(s => [...s[key], ...(key === "y" && s.low ? [...s.low, ...s.high] : [])]);
  const x = range(of("x"), chart.diagonal ? [Math.min(...of("y"), ...of("x"), 1) > .5 ? .5 : 0, 1] : null, chart.x_log);
  const y = range(of("y"), chart.y_range);
  if (chart.diagonal) y[0] = x[0] = Math.min(...of("x"), ...of("y"), .8) >= .5 ? .5 : 0;
  const named = chart.series.filter(s => s.name), solid = chart.series.filter(s => !s.dotted);
  const entries = named.map(s => ({ name: s.name, colour: s.colour, shape: s.dotted ? null : solid.indexOf(s), line: true, dotted: s.dotted }));
  if (chart.diagonal) entries.push({ name: chart.diagonal, colour: "grey", line: true, dotted: true });
  legend(place, entries);
  const [svg, xs, ys] = frame(place, width, Math.max(200, Math.min(280, width * .62)), chart, x, y, [0, 14, 22, 38]);
  if (chart.diagonal) add(svg, "path", { d: `M${xs(x[0])} ${ys(x[0])}L${xs(1)} ${ys(1)}`, class: "line", stroke: colour("grey"), "stroke-dasharray": "2 4" });
  const total = s => s.rows?.reduce((a, b) => a + b, 0);
  chart.series.forEach((s, i) => {
    const at = s.x.map((v, k) => v == null || s.y[k] == null ? null : [xs(v), ys(s.y[k])]);
    if (s.low) {
      const edge = [...s.x.map((v, k) => [xs(v), ys(s.high[k])]), ...s.x.map((v, k) => [xs(v), ys(s.low[k])]).reverse()];
      add(svg, "path", { d: `M${edge.map(p => p.join(" ")).join("L")}z`, fill: colour(s.colour), "fill-opacity": .14 });
    }
    add(svg, "path", { d: at.map((p, k) => p && `${at[k - 1] ? "L" : "M"}${p.join(" ")}`).filter(Boolean).join(""), class: "line", stroke: colour(s.colour), "stroke-dasharray": s.dotted ? "2 4" : null });
    at.forEach((p, k) => {
      if (!p) return;
      const r = s.rows ? 2.5 + 6 * Math.sqrt(s.rows[k] / total(s)) : s.dotted ? 2 : at.length > 25 ? 2 : 3.5;
      const name = s.name || chart.series[i - 1]?.name + (s.dotted ? " (dotted)" : "");
      add(svg, "path", { d: shape(s.dotted ? 0 : solid.indexOf(s), ...p, r), fill: colour(s.colour), "fill-opacity": s.rows ? .75 : 1 });
      add(svg, "circle", { cx: p[0], cy: p[1], r: 9, class: "hit", "data-tip":
        `${name}: ${chart.y_label} ${number(s.y[k])}${s.low ? ` (${number(s.low[k])} to ${number(s.high[k])})` : ""}\n` +
        `${chart.x_label} ${number(s.x[k])}${s.rows ? `\n${number(s.rows[k])} rows` : ""}` });
    });
  });
}

function names(svg, list, ys, room, step) {
  const each = Math.max(1, Math.ceil(12 / step));
  list.forEach((name, i) => {
    if (i % each) return;
    const text = add(svg, "text", { x: room, y: ys(i) + 4, "text-anchor": "end" }, cut(name, room - 4));
    text.dataset.tip = name;
  });
}

function dots(place, chart, width) {
  legend(place, chart.series.map((s, i) => ({ name: s.name, colour: s.colour, shape: i })));
  const room = Math.min(.34 * width, 210, 8 + Math.max(...chart.names.map(n => wide(n)))), many = chart.series.length;
  const intervals = chart.series.filter(s => s.low).length > 1, step = intervals ? 8 + 9 * many : 22;
  const height = step * chart.names.length + 48;
  const x = range(chart.series.flatMap(s => [...s.x, ...(s.low ?? []), ...(s.high ?? [])]));
  const [svg, xs, ys] = frame(place, width, height, chart, x, [chart.names.length - .5, -.5], [room + 8, 14, 4, 38]);
  names(svg, chart.names, ys, room, step);
  chart.names.forEach((_, i) => i && add(svg, "path", { d: `M0 ${ys(i - .5)}H${width - 14}`, class: "grid" }));
  chart.series.forEach((s, k) => s.x.forEach((v, i) => {
    if (v == null) return;
    const y = ys(s.y[i]) + (intervals ? 9 * (k - (many - 1) / 2) : 0);
    if (s.low) add(svg, "path", { d: `M${xs(s.low[i])} ${y}H${xs(s.high[i])}`, class: "line", stroke: colour(s.colour) });
    add(svg, "path", { d: shape(k, xs(v), y, 4), fill: colour(s.colour) });
    add(svg, "circle", { cx: xs(v), cy: y, r: 7, class: "hit", "data-tip": `${chart.names[s.y[i]]}\n${s.name}: ${number(v)}${s.low ? ` (${number(s.low[i])} to ${number(s.high[i])})` : ""}` });
  }));
}

function bars(place, chart, width) {
  const room = Math.min(.34 * width, 210, 8 + Math.max(...chart.names.map(n => wide(n)))), step = chart.names.length > 60 ? 6 : 20;
  const [svg, xs, ys] = frame(place, width, step * chart.names.length + 48, chart, range([0, ...chart.values].flatMap(v => [v, v * 1.05])), [chart.names.length - .5, -.5], [room + 8, 14, 4, 38]);
  names(svg, chart.names, ys, room, step);
  chart.values.forEach((v, i) => add(svg, "rect", { x: Math.min(xs(0), xs(v)), width: Math.max(1, Math.abs(xs(v) - xs(0))), y: ys(i) - step * .35, height: step * .7, rx: 2, fill: colour(v < 0 ? "red" : "green"), "data-tip": `${chart.names[i]}: ${v > 0 ? "+" : ""}${number(v)}` }));
  add(svg, "path", { d: `M${xs(0)} 4V${step * chart.names.length + 10}`, class: "axis" });
}

function points(place, chart, width) {
  const groups = [...new Map(chart.points.map(p => [p.group, p.colour]))];
  legend(place, [...groups.map(([name, of], i) => ({ name, colour: of, shape: i })), { name: "nothing is better in both", colour: "red", line: true, dotted: true }]);
  const x = range(chart.points.map(p => p.x), null, chart.x_log), y = range(chart.points.map(p => p.y));
  const [svg, xs, ys] = frame(place, width, 300, chart, x, y, [0, 18, 26, 38]);
  const front = chart.points.filter(p => p.front).sort((a, b) => a.x - b.x);
  add(svg, "path", { d: `M${front.map(p => `${xs(p.x)} ${ys(p.y)}`).join("L")}`, class: "line", stroke: colour("red"), "stroke-dasharray": "2 4" });
  const taken = chart.points.map(p => [xs(p.x) - 6, ys(p.y) - 6, 12, 12]);
  const free = ([a, b, w, h]) => a >= 0 && a + w <= width && b >= 12 && taken.every(([c, d, v, g]) => a + w <= c || c + v <= a || b + h <= d || d + g <= b);
  for (const p of [...front.reverse(), ...chart.points.filter(p => !p.front)]) {
    const [cx, cy] = [xs(p.x), ys(p.y)], w = wide(p.name) + 4;
    const place = [[cx + 7, cy - 15], [cx - w - 5, cy - 15], [cx + 7, cy + 2], [cx - w - 5, cy + 2], [cx - w / 2, cy - 20], [cx - w / 2, cy + 8]].find(([a, b]) => free([a, b, w, 13]));
    add(svg, "path", { d: shape(groups.findIndex(g => g[0] === p.group), cx, cy, 4.5), fill: colour(p.colour) });
    add(svg, "circle", { cx, cy, r: 9, class: "hit", "data-tip": `${p.name} (${p.group})\n${chart.y_label} ${number(p.y)}\n${number(p.x)} ${chart.x_label}` });
    if (!place) continue;
    taken.push([...place, w, 13]);
    add(svg, "text", { x: place[0] + 2, y: place[1] + 11, class: p.front ? "name strong" : "name" }, p.name);
  }
}

function matrix(place, chart, width) {
  const n = chart.labels.length, longest = Math.max(...chart.labels.map(l => wide(l, 11)));
  const room = Math.min(longest + 6, width * .3, 120), cell = Math.max(n > 60 ? 4 : n > 25 ? 11 : 13, Math.min(38, (width - room - 18) / n));
  const size = n * cell, turned = longest > cell - 3, below = turned ? Math.min(longest + 6, 110) : 16;
  const svg = drawing(place, size + room + 18, size + below + 20);
  const left = room + 16, shares = document.documentElement.dataset.cells !== "counts";
  add(svg, "rect", { x: left, y: 0, width: size, height: size, class: "panel" });
  add(svg, "text", { x: 11, y: size / 2, class: "label", "text-anchor": "middle", transform: `rotate(-90 11 ${size / 2})` }, "true");
  add(svg, "text", { x: left + size / 2, y: size + below + 15, class: "label", "text-anchor": "middle" }, "predicted");
  const each = Math.max(1, Math.ceil(11 / cell));
  chart.labels.forEach((label, i) => {
    if (i % each) return;
    const at = i * cell + cell / 2, x = left + at;
    add(svg, "text", { x: left - 4, y: at + 4, "text-anchor": "end", class: "small", "data-tip": label }, cut(label, room - 4, 11));
    add(svg, "text", turned ? { x: x + 4, y: size + 5, "text-anchor": "end", transform: `rotate(-90 ${x + 4} ${size + 5})`, class: "small", "data-tip": label } : { x, y: size + 13, "text-anchor": "middle", class: "small" }, cut(label, turned ? below - 4 : cell, 11));
  });
  const totals = new Array(n).fill(0);
  for (const [i, , count] of chart.cells) totals[i] += count;
  for (const [i, j, count] of chart.cells) {
    const share = count / totals[i], [x, y] = [left + j * cell, i * cell];
    const mark = add(svg, "rect", { x, y, width: cell, height: cell, fill: colour(i === j ? chart.colour : "red"), "fill-opacity": Math.min(1, .06 + .94 * share) });
    mark.dataset.tip = `true ${chart.labels[i]}, predicted ${chart.labels[j]}\n${count} of ${totals[i]} rows (${percent(share)})`;
    const text = shares ? String(Math.round(100 * share)) : String(count);
    if (wide(text, 11) <= cell - 1 && cell >= 13) add(svg, "text", { x: x + cell / 2, y: y + cell / 2 + 4, "text-anchor": "middle", class: share > .5 ? "small on" : "small" }, text);
  }
}

function shares(place, chart, width) {
  legend(place, chart.parts.map(([name, of, share]) => ({ name: `${name}: ${percent(share)}`, colour: of, shape: 1 })));
  const svg = drawing(place, width, 34);
  let x = 0;
  for (const [name, of, share] of chart.parts) {
    add(svg, "rect", { x, y: 2, width: Math.max(0, share * width - 1), height: 30, fill: colour(of), "data-tip": `${name}: ${percent(share)}` });
    const text = percent(share);
    if (wide(text) + 8 < share * width) add(svg, "text", { x: x + 6, y: 21, class: "on" }, text);
    x += share * width;
  }
}

const DRAW = { lines, dots, bars, points, matrix, shares };
function draw(figure) {
  const place = figure.querySelector(".plot"), width = Math.floor(place.clientWidth);
  if (!width) return;
  figure.drawn = width;
  place.replaceChildren();
  const chart = JSON.parse(figure.querySelector("script").textContent);
  DRAW[chart.kind](place, chart, width);
}
const figures = [...document.querySelectorAll("figure.chart")];
const seen = new ResizeObserver(all => { for (const { target } of all) if (target.parentElement.drawn !== Math.floor(target.clientWidth)) draw(target.parentElement); });
figures.forEach(figure => { draw(figure); seen.observe(figure.querySelector(".plot")); });
for (const choice of document.querySelectorAll("input[name=cells]")) choice.onchange = () => {
  document.documentElement.dataset.cells = choice.value;
  figures.filter(figure => figure.classList.contains("matrix")).forEach(draw);
};
})();
