// Small SVG drawings: spend per week, an interval with its expected value, a window on a time line.

const NS = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  for (const child of children) element.append(child);
  return element;
}

// A round number at or above `value`: 1, 2 or 5 times a power of ten.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

export function weeksChart(weeks, money) {
  const [width, height, left, bottom] = [1040, 190, 52, 22];
  const top = roundUp(Math.max(...weeks.map((week) => week.spend), 1));
  const step = (width - left) / Math.max(weeks.length, 12);
  const y = (spend) => height - bottom - (Math.max(spend, 0) / top) * (height - bottom - 10);
  const total = weeks.reduce((sum, week) => sum + week.spend, 0);
  const label = `Spend per week: ${money(total)} in ${weeks.length} weeks, at most ${money(top)} a week`;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const part of [0, 0.5, 1]) {
    const at = y(top * part);
    drawing.append(svg("line", { class: "grid", x1: left, x2: width, y1: at, y2: at }));
    drawing.append(svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, money(top * part, 0)));
  }
  let month = "";
  let lastLabel = -100;
  weeks.forEach((week, index) => {
    const x = left + index * step;
    const bar = { class: "bar", x, width: Math.max(step - 2, 1), y: y(week.spend), rx: 1.5 };
    const title = `Week of ${week.week}: ${money(week.spend)}, ${week.orders} orders`;
    bar.height = height - bottom - bar.y;
    drawing.append(svg("rect", bar, svg("title", {}, title)));
    if (week.week.slice(0, 7) !== month) {
      month = week.week.slice(0, 7);
      if (x - lastLabel > 58) {
        drawing.append(svg("text", { x, y: height - 6 }, month));
        lastLabel = x;
      }
    }
  });
  return drawing;
}

// An interval on a line from 0: the span low…high, a dot at the expected value.
export function intervalChart(low, expected, high, money) {
  const [width, height, pad] = [420, 46, 8];
  const top = roundUp(Math.max(high, expected, 1e-9));
  const x = (value) => pad + (Math.max(value, 0) / top) * (width - 2 * pad);
  const label = `80% interval from ${money(low)} to ${money(high)}, expected ${money(expected)}`;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("line", { class: "track", x1: pad, x2: width - pad, y1: 14, y2: 14 }),
    svg("line", { class: "span", x1: x(low), x2: x(high), y1: 14, y2: 14 }),
    svg("circle", { class: "dot", cx: x(expected), cy: 14, r: 8 }),
    svg("text", { x: x(low), y: 40, "text-anchor": anchor(x(low), width) }, money(low)),
    svg("text", { x: x(high), y: 40, "text-anchor": anchor(x(high), width) }, money(high)),
  );
}

function anchor(x, width) {
  if (x < 50) return "start";
  return x > width - 50 ? "end" : "middle";
}

// When the next purchase is due: the 80% window from `from` on, a dot at the expected day.
export function windowChart(from, low, expected, high, day) {
  const [width, height, pad] = [420, 46, 8];
  const [start, end] = [Math.min(from, low), Math.max(high, from + 86400000)];
  const x = (time) => pad + ((time - start) / (end - start)) * (width - 2 * pad);
  const label = `Next purchase expected ${day(expected)}, between ${day(low)} and ${day(high)}`;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("line", { class: "track", x1: pad, x2: width - pad, y1: 14, y2: 14 }),
    svg("line", { class: "span", x1: x(low), x2: x(high), y1: 14, y2: 14 }),
    svg("circle", { class: "dot", cx: x(expected), cy: 14, r: 8 }),
    svg("text", { x: x(start), y: 40 }, day(start)),
    svg("text", { x: x(high), y: 40, "text-anchor": "end" }, day(high)),
  );
}

// A share between 0 and 1 on a line.
export function shareChart(share, label) {
  const [width, height, pad] = [420, 28, 8];
  const x = pad + share * (width - 2 * pad);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("line", { class: "track", x1: pad, x2: width - pad, y1: 14, y2: 14 }),
    svg("line", { class: "span", x1: pad, x2: x, y1: 14, y2: 14 }),
    svg("circle", { class: "dot", cx: x, cy: 14, r: 8 }),
  );
}
