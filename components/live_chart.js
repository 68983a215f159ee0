// Plotly graphs that stay alive: each new figure goes to Plotly.react, so nodes, zoom and hover survive. The latest
// figure wins, only what is in sight and has changed is drawn, the rest when it comes into sight.
// Nothing may throw: an uncaught error would replace the component for good.

const PATIENCE = 500; // ms that a figure may take before the page runs instead, with its progress bar
const REST = 100; // ms without a move after which the page follows the figures
const scripts = (window.vivaScripts ??= {});
const turns = (window.vivaTurns ??= {}); // by key: how a range tells the charts it moves; see live_range.js

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

function theme(board) {
  const style = getComputedStyle(board);
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
    const Plotly = await plotly(cell.board.script);
    while (cell.wanted && cell.isConnected) {
      const { wanted } = cell;
      cell.wanted = null;
      const layout = { ...wanted.layout, template: cell.board.theme, autosize: true };
      const whole = JSON.stringify({ ...wanted, layout });
      if (cell.drawn === whole) continue;
      label(cell, wanted);
      await Plotly.react(graph, wanted.data, layout, { displayModeBar: false, displaylogo: false });
      cell.drawn = whole;
      cell.watchers[1] ??= fit(graph, Plotly);
    }
    trouble.hidden = true;
    graph.hidden = false;
  } catch (error) {
    console.warn("live_chart", error);
    window.Plotly?.purge(graph);
    cell.drawn = null;
    graph.hidden = true;
    trouble.hidden = false;
    trouble.textContent = `${cell.board.regret} ${graph.ariaLabel}`;
  } finally {
    cell.drawing = false;
  }
}

function label({ parts: { title, graph } }, wanted) {
  title.textContent = wanted.title;
  graph.ariaLabel = wanted.alt;
  graph.style.height = `${wanted.layout.height}px`;
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

function make(id, board) {
  const parts = { title: part("p", "title"), graph: part("div", "graph", "img"), trouble: part("p", "trouble", "status") };
  const cell = Object.assign(part("div", "cell"), { figure: id, parts, board });
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

function show(board, figures) {
  [...board.children].filter(({ figure }) => figures.every(({ id }) => id !== figure)).forEach(end);
  board.theme = theme(board);
  return figures.map((wanted, place) => {
    const cell = [...board.children].find(({ figure }) => figure === wanted.id) ?? make(wanted.id, board);
    if (board.children[place] !== cell) board.insertBefore(cell, board.children[place] ?? null);
    cell.wanted = wanted;
    if (!cell.inSight) label(cell, wanted);
    return draw(cell);
  });
}

// A range was moved: ask for figures, the next ones while these are drawn, until they show its last value; when the
// finger rests, report it, so that the page follows. It runs at once where figures cannot come alone, because
// something must be trained first, say.
async function follow(board) {
  clearTimeout(board.rest);
  if (board.asking) return;
  board.asking = true;
  let asked, figures, drawn;
  do {
    asked = board.turn;
    const { version } = board;
    const query = new URLSearchParams({ ...board.knobs, ...board.moved });
    const answer = fetch(`${board.follow}?${query}`, { signal: AbortSignal.timeout(PATIENCE) });
    figures = await answer.then((found) => (found.status === 200 ? found.json() : null)).catch(() => null);
    if (figures && board.isConnected && version === board.version) drawn = Promise.all(show(board, figures));
  } while (figures && asked !== board.turn);
  await drawn;
  board.asking = false;
  if (asked !== board.turn) return follow(board);
  board.rest = setTimeout(() => {
    const { turn: number, version, moved: values } = board;
    board.report("turns", { number, version, values });
  }, figures ? REST : 0);
}

export default function ({ parentElement, data, setStateValue }) {
  const [board, news] = ["board", "news"].map((name) => parentElement.querySelector(`.viva-${name}`));
  const { figures, columns, key, news: said, turn, ...rest } = JSON.parse(new TextDecoder().decode(data));
  const move = (name, value) => {
    board.turn = Math.max(Date.now(), (board.turn ?? 0) + 1);
    board.moved[name] = value;
    follow(board);
  };
  if (rest.follow) turns[key] = move;
  board.style.setProperty("--columns", columns);
  board.report = setStateValue;
  const overtaken = turn < board.turn && rest.version === board.version; // made before the last move
  if (!overtaken) {
    clearTimeout(board.rest);
    Object.assign(board, { ...rest, moved: {} });
    show(board, figures);
  }
  if (said && news.textContent !== said) news.textContent = said;
  return () =>
    setTimeout(() => {
      if (board.isConnected) return; // also called for an update that a newer one overtook
      clearTimeout(board.rest);
      if (turns[key] === move) delete turns[key];
      [...board.children].forEach(end);
    });
}
