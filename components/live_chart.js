// Plotly graphs that stay alive: each new figure goes to Plotly.react, so nodes, zoom and hover survive. The latest
// figure wins; only what is in sight and has changed is drawn, the rest when it comes into sight.
// Nothing may throw: an uncaught error would replace the component for good.

let loading, tries = 0;
const plotly = (address) =>
  (loading ??= import(new URL(`${address}#${tries++}`, document.baseURI)).catch((error) => {
    loading = null; // the next figure tries again, by another name: a module that failed stays failed
    throw error;
  }));

const sight = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) draw(Object.assign(target, { inSight: isIntersecting }));
});
const size = new ResizeObserver((resized) => {
  for (const { target: graph } of resized)
    if (graph.offsetWidth && graph._fullLayout && graph._fullLayout.width !== graph.clientWidth)
      window.Plotly.Plots.resize(graph).catch(() => 0);
});

function theme(board) {
  const names = ["border-color", "text-color", "font"];
  const [line, color, family] = names.map((name) => getComputedStyle(board).getPropertyValue(`--st-${name}`).trim());
  const axis = { gridcolor: line, zerolinecolor: line, automargin: true, ticklabeloverflow: "allow" };
  const font = { color, family, size: 13 };
  return { layout: { font, hoverlabel: { font }, xaxis: axis, yaxis: axis } };
}

async function draw(cell) {
  const { board, parts: { graph, trouble } } = cell;
  if (cell.drawing || !cell.inSight) return;
  cell.drawing = true;
  try {
    await plotly(board.script);
    while (cell.shown !== cell.wanted && cell.isConnected) {
      const { wanted } = cell;
      const layout = { ...wanted.layout, template: board.theme, margin: margin(cell), autosize: true };
      const whole = JSON.stringify([wanted, board.theme]);
      trouble.textContent = "";
      if (cell.drawn !== whole) await window.Plotly.react(graph, wanted.data, layout, { displayModeBar: false });
      Object.assign(cell, { shown: wanted, drawn: whole });
    }
  } catch (error) {
    console.warn("live_chart", error);
    window.Plotly?.purge(graph);
    Object.assign(cell, { shown: null, drawn: null });
    trouble.textContent = `${board.regret} ${graph.ariaLabel}`;
  }
  cell.drawing = false;
}

// Margins never shrink while the axes mean the same: one that changes costs a second drawing, and the axes jump.
function margin({ wanted: { layout }, shown, parts: { graph } }) {
  return shown?.layout.uirevision === layout.uirevision ? { ...graph._fullLayout._size } : layout.margin;
}

function want(cell, wanted) {
  const { title, graph } = cell.parts;
  cell.wanted = wanted;
  if (title.textContent !== wanted.title) title.textContent = wanted.title; // the same text again costs a layout too
  if (graph.ariaLabel !== wanted.alt) graph.ariaLabel = wanted.alt;
  graph.style.height = `${wanted.layout.height}px`;
}

function make(figure, board) {
  const part = (name, role) => Object.assign(document.createElement("div"), { className: `viva-${name}`, role });
  const parts = { title: part("title"), graph: part("graph", "img"), trouble: part("trouble", "status") };
  const cell = Object.assign(part("cell"), { figure, board, parts });
  cell.append(...Object.values(parts));
  sight.observe(cell);
  size.observe(parts.graph);
  return cell;
}

function end(cell) {
  sight.unobserve(cell);
  size.unobserve(cell.parts.graph);
  window.Plotly?.purge(cell.parts.graph);
  cell.remove();
}

function show(board, figures) {
  [...board.children].filter(({ figure }) => figures.every(({ id }) => id !== figure)).forEach(end);
  board.theme = theme(board);
  const cells = figures.map(({ id }) => [...board.children].find(({ figure }) => figure === id) ?? make(id, board));
  if (cells.some((cell, place) => cell !== board.children[place])) board.replaceChildren(...cells);
  cells.forEach((cell, place) => want(cell, figures[place]));
  return Promise.all(cells.map(draw));
}

export default function ({ parentElement, data, setStateValue: report }) {
  const [board, news] = ["board", "news"].map((name) => parentElement.querySelector(`.viva-${name}`));
  const { figures, columns, key, news: said, script, regret, follow } = JSON.parse(new TextDecoder().decode(data));
  Object.assign(board, { script, regret }).style.setProperty("--columns", columns);
  const follower = (followers[key] = board.follower ??= new Follower((found) => show(board, found)));
  if (follower.take(follow, report)) show(board, figures);
  if (said && news.textContent !== said) news.textContent = said;
  return () =>
    setTimeout(() => {
      if (board.isConnected) return; // also called for an update that a newer one overtook
      follower.stop();
      if (followers[key] === follower) delete followers[key];
      [...board.children].forEach(end);
    });
}
