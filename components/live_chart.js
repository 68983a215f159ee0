// Plotly graphs that stay alive: each rerun hands figures to Plotly.react, so nodes, zoom and hover survive.
// The latest figure wins, and only what is in sight is drawn, the rest when it comes into sight.
// Nothing may throw: an uncaught error would replace the component for good.

const scripts = (window.vivaScripts ??= {});
const reports = (window.vivaReports ??= {}); // by key: how a range tells the charts it moves; see live_range.js

function plotly(url) {
  scripts[url] ??= new Promise((resolve, reject) => {
    const tag = Object.assign(document.createElement("script"), { src: url });
    const failed = () => {
      delete scripts[url]; // the next figure tries again
      tag.remove();
      reject(new Error(`${url} did not load`));
    };
    tag.onload = () => (window.Plotly ? resolve(window.Plotly) : failed());
    tag.onerror = failed;
    document.head.append(tag);
  });
  return scripts[url];
}

function theme(graph) {
  const style = getComputedStyle(graph);
  const value = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const axis = { gridcolor: value("border-color"), zerolinecolor: value("border-color"), automargin: true };
  const font = { color: value("text-color"), family: value("font"), size: 13 };
  const clear = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
  return { layout: { ...clear, font, hoverlabel: { font }, xaxis: axis, yaxis: axis } };
}

async function draw(cell) {
  if (cell.drawing || !cell.inSight || !cell.wanted) return;
  cell.drawing = true;
  const { graph, trouble } = cell.parts;
  try {
    const Plotly = await plotly(cell.script);
    while (cell.wanted && cell.isConnected) {
      const { data, layout } = cell.wanted;
      cell.wanted = null;
      const config = { displayModeBar: false, displaylogo: false };
      await Plotly.react(graph, data, { ...layout, template: theme(graph), autosize: true }, config);
      cell.watchers[1] ??= fit(graph, Plotly);
    }
    trouble.hidden = true;
    graph.hidden = false;
  } catch (error) {
    console.warn("live_chart", error);
    window.Plotly?.purge(graph);
    graph.hidden = true;
    trouble.hidden = false;
    trouble.textContent = `${cell.regret} ${graph.getAttribute("aria-label")}`;
  } finally {
    cell.drawing = false;
  }
}

function fit(graph, Plotly) {
  const fits = () => !graph.offsetWidth || graph.clientWidth === graph._fullLayout?.width;
  const watcher = new ResizeObserver(() => fits() || graph.hidden || Plotly.Plots.resize(graph).catch(() => 0));
  watcher.observe(graph);
  return watcher;
}

function awaitSight(cell) {
  const watcher = new IntersectionObserver(
    (changes) => {
      cell.inSight = changes.at(-1).isIntersecting;
      draw(cell);
    },
    { rootMargin: "20%" },
  );
  watcher.observe(cell);
  return watcher;
}

function part(tag, name, role = null) {
  return Object.assign(document.createElement(tag), { className: `viva-${name}`, role });
}

function make(id) {
  const parts = { title: part("p", "title"), graph: part("div", "graph", "img"), trouble: part("p", "trouble", "status") };
  const cell = Object.assign(part("div", "cell"), { figure: id, parts });
  cell.append(...Object.values(parts));
  parts.trouble.hidden = true;
  cell.watchers = [awaitSight(cell)];
  return cell;
}

function end(cell) {
  cell.watchers.forEach((watcher) => watcher.disconnect());
  window.Plotly?.purge(cell.parts.graph);
  cell.remove();
}

export default function ({ parentElement, data, setStateValue }) {
  const [board, news] = ["board", "news"].map((name) => parentElement.querySelector(`.viva-${name}`));
  const { figures, regret, script, columns, key, news: said } = JSON.parse(new TextDecoder().decode(data));
  reports[key] = setStateValue;
  board.style.setProperty("--columns", columns);
  [...board.children].filter(({ figure }) => figures.every(({ id }) => id !== figure)).forEach(end);
  figures.forEach((wanted, place) => {
    const cell = [...board.children].find(({ figure }) => figure === wanted.id) ?? make(wanted.id);
    if (board.children[place] !== cell) board.insertBefore(cell, board.children[place] ?? null);
    cell.parts.title.textContent = wanted.title;
    cell.parts.graph.setAttribute("aria-label", wanted.alt);
    cell.parts.graph.style.height = `${wanted.layout.height}px`;
    Object.assign(cell, { wanted, script, regret });
    draw(cell);
  });
  if (said && news.textContent !== said) news.textContent = said;
  return () =>
    setTimeout(() => {
      if (board.isConnected) return; // also called for an update that a newer one overtook
      if (reports[key] === setStateValue) delete reports[key];
      [...board.children].forEach(end);
    });
}
