// One Plotly graph that stays alive: each rerun hands a figure to Plotly.react, so node, zoom and hover survive.
// The latest figure wins. Nothing may throw: an uncaught error would replace the component for good.

const scripts = (window.vivaScripts ??= {});

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

async function draw(graph, trouble) {
  if (graph.drawing) return;
  graph.drawing = true;
  try {
    const Plotly = await plotly(graph.script);
    while (graph.wanted && graph.isConnected) {
      const { data, layout } = graph.wanted;
      graph.wanted = null;
      const config = { displayModeBar: false, displaylogo: false };
      await Plotly.react(graph, data, { ...layout, template: theme(graph), autosize: true }, config);
      graph.watcher ??= watch(graph, Plotly);
    }
    trouble.hidden = true;
    graph.hidden = false;
  } catch (error) {
    console.warn("live_chart", error);
    window.Plotly?.purge(graph);
    graph.hidden = true;
    trouble.hidden = false;
    trouble.textContent = `${graph.regret} ${graph.getAttribute("aria-label")}`;
  } finally {
    graph.drawing = false;
  }
}

function watch(graph, Plotly) {
  const fits = () => !graph.offsetWidth || graph.clientWidth === graph._fullLayout?.width;
  const watcher = new ResizeObserver(() => fits() || graph.hidden || Plotly.Plots.resize(graph).catch(() => 0));
  watcher.observe(graph);
  return watcher;
}

export default function ({ parentElement, data }) {
  const find = (name) => parentElement.querySelector(`.viva-${name}`);
  const [title, graph, trouble, news] = ["title", "graph", "trouble", "news"].map(find);
  const message = JSON.parse(new TextDecoder().decode(data));
  title.textContent = message.title;
  graph.setAttribute("aria-label", message.alt);
  graph.style.height = `${message.figure.layout.height}px`;
  graph.script = message.script;
  graph.regret = message.regret;
  graph.wanted = message.figure;
  if (message.news && news.textContent !== message.news) news.textContent = message.news;
  draw(graph, trouble);
  return () =>
    setTimeout(() => {
      if (graph.isConnected) return; // also called for an update that a newer one overtook
      graph.watcher?.disconnect();
      window.Plotly?.purge(graph);
    });
}
