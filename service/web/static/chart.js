/* Draws what service/web/chart.py says of each chart on the page, with uPlot, in the colours of the theme. */

const plots = new WeakMap();
const NARROW = 420;

export function drawAll() {
  for (const figure of document.querySelectorAll("figure.chart")) draw(figure);
}

function draw(figure) {
  const text = figure.querySelector('script[type="application/json"]').textContent;
  const place = figure.querySelector(".plot");
  const drawn = plots.get(place);
  const theme = getComputedStyle(document.documentElement).getPropertyValue("--ink");
  if (drawn?.text === text && drawn.theme === theme && drawn.width === place.clientWidth) return;
  drawn?.plot.destroy();
  const spec = JSON.parse(text);
  const plot = new uPlot(options(spec, place.clientWidth, Number(figure.dataset.height)), columns(spec), place);
  plots.set(place, { plot, text, theme, width: place.clientWidth });
}

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const usd = (value) => value == null ? "" : `$${value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 0.1 ? 4 : 2 })}`;
const power = (value) => value == null ? "" : value === 0 ? "0" : value.toExponential(2).replace(/\.?0+e/, "e");
const DAYS = 2 * 86400;
const day = (seconds) => new Date(seconds * 1000).toLocaleDateString([], { day: "numeric", month: "short" });
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const plain = (value) => value == null ? "" : value.toLocaleString("en", { maximumSignificantDigits: 4 });

// As little of a time as tells the ticks apart.
function timeOf(ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
  const day = { day: "numeric", month: "short" }, clock = { hour: "numeric", minute: "2-digit" };
  const written = new Intl.DateTimeFormat([], step >= 86400 ? day : step >= 60 ? clock : { ...clock, second: "2-digit" });
  return (seconds) => written.format(new Date(seconds * 1000));
}

function columns(spec) {
  const rows = [spec.x];
  for (const row of spec.rows) {
    if (row.kind === "band") rows.push(row.values.map((pair) => pair?.[1] ?? null), row.values.map((pair) => pair?.[0] ?? null));
    else rows.push(row.values);
  }
  return rows;
}

function options(spec, width, height) {
  const write = spec.y_is === "usd" ? usd : plain;
  const axis = { stroke: token("soft"), grid: { stroke: token("line"), width: 1 }, ticks: { show: false }, font: "11px sans-serif" };
  const small = height < 120;
  const isLong = spec.x[spec.x.length - 1] - spec.x[0] > DAYS;
  const when = (value) => isLong ? day(value) : clock(value);
  const series = [{ value: (_plot, value) => spec.x_is === "time" ? (value == null ? "" : when(value)) : plain(value), label: spec.x_label || (spec.x_is === "time" ? "time" : "step") }];
  const bands = [];
  for (const row of spec.rows) {
    const color = token(row.color);
    const common = { label: row.label, stroke: color, width: 2, scale: row.scale || "y", spanGaps: true, points: { show: row.kind === "points" || row.values.length === 1, fill: color },
      value: (_plot, value, _series, at) => (row.scale === "right" ? power : write)(row.told && at != null ? row.told[at] : value) };
    if (row.kind === "bars") series.push({ ...common, width: 0, fill: color, paths: uPlot.paths.bars({ size: [0.7, 60], radius: 0.15 }), points: { show: false } });
    else if (row.kind === "band") {
      bands.push({ series: [series.length, series.length + 1], fill: color + "2a" });
      series.push({ ...common, label: `${row.label}, at most`, width: 0 }, { ...common, label: `${row.label}, at least`, width: 0 });
    } else series.push({ ...common, dash: row.kind === "dashed" ? [5, 4] : undefined });
  }
  const hasRight = spec.rows.some((row) => row.scale === "right");
  const lines = spec.marks.filter((mark) => mark.y != null).map((mark) => mark.y * 1.06); // with room for their labels
  const range = spec.from_zero ? (_plot, _low, high) => [0, Math.max(high || 1, ...lines) * 1.08] : undefined;
  const axes = [
    { ...axis, size: 30, space: width < NARROW ? 70 : 90, values: (_plot, ticks) => ticks.map(spec.x_is === "time" ? timeOf(ticks) : plain) },
    { ...axis, show: !small, size: 58, values: (_plot, ticks) => ticks.map(write), space: 42 },
    ...(hasRight ? [{ ...axis, scale: "right", side: 1, size: 58, grid: { show: false }, values: (_plot, ticks) => ticks.map(power), space: 42 }] : []),
  ];
  return {
    width, height, series, bands, axes,
    scales: { x: { time: spec.x_is === "time", ...xRange(spec) }, y: { range } },
    legend: { show: !small && spec.rows.length > 1, live: true, markers: { width: 0, fill: (_plot, at) => series[at].stroke } },
    cursor: { show: !small, drag: { x: false, y: false } },
    hooks: { ready: [tellLast], setCursor: [tellLast], draw: [(plot) => spec.marks.forEach((mark, row) => cross(plot, mark, row))] },
  };
}

// Where nobody points, the legend tells the last values.
function tellLast(plot) {
  if (plot.cursor.idx != null || !plot.cursor.show) return;
  plot.setLegend({ idxs: plot.data.map((values) => values.findLastIndex((value) => value != null)) }, false);
}

// A mark belongs into view, though no value stands there; bars at the ends are as wide as the others.
function xRange(spec) {
  const all = [...spec.x, ...spec.marks.filter((mark) => mark.x != null).flatMap((mark) => [mark.x, mark.to ?? mark.x])];
  const low = Math.min(...all), high = Math.max(...all);
  const half = spec.rows.some((row) => row.kind === "bars") && spec.x.length > 1 ? (spec.x[1] - spec.x[0]) / 2 : 0;
  return { range: [low - half, high === low ? high + 1 : high + half] };
}

function cross(plot, mark, row) {
  const { ctx, bbox } = plot, color = token(mark.color);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${11 * devicePixelRatio}px sans-serif`;
  ctx.beginPath();
  const label = mark.at ? `${mark.label} ${new Date(mark.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : mark.label;
  if (mark.x != null) {
    const x = plot.valToPos(mark.x, "x", true);
    if (mark.to != null) {
      ctx.globalAlpha = 0.16;
      ctx.fillRect(x, bbox.top, Math.max(3 * devicePixelRatio, plot.valToPos(mark.to, "x", true) - x), bbox.height);
      ctx.globalAlpha = 1;
    } else {
      ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height);
    }
    ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
    ctx.fillText(label, x + (ctx.textAlign === "right" ? -5 : 5) * devicePixelRatio, bbox.top + (12 + 14 * row) * devicePixelRatio);
  } else {
    const y = plot.valToPos(mark.y, "y", true);
    ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y);
    const isHigh = y - bbox.top < 16 * devicePixelRatio; // then below it
    ctx.textAlign = "left";
    ctx.fillText(label, bbox.left + 5 * devicePixelRatio, y + (isHigh ? 14 : -5) * devicePixelRatio);
  }
  ctx.stroke();
  ctx.restore();
}

let later = null;
addEventListener("resize", () => { clearTimeout(later); later = setTimeout(drawAll, 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
