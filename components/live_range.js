// A range input that reports while it is dragged. `steps` lists the values of an uneven scale; the thumb then moves over
// their places. What Python sets (a preset, a link) wins by a new `version`; echoes of our own reports are ignored.
// It turns the charts it moves, once they are there: they follow at once, and the page when the finger rests.

export default function ({ parentElement, data, setStateValue }) {
  const [input, output, label] = ["input", "output", "span"].map((tag) => parentElement.querySelector(tag));
  const wanted = JSON.parse(new TextDecoder().decode(data));
  const { steps, min, max, step, unit, charts, name } = wanted;
  const value = () => (steps ? steps[+input.value] : +input.value);
  const show = () => {
    const digits = steps || Number.isInteger(step) ? 0 : 2;
    const text = (steps ? String(value()) : value().toFixed(digits)) + (unit ? ` ${unit}` : "");
    output.textContent = text.replace("-", "−");
    input.setAttribute("aria-valuetext", text);
  };
  label.textContent = wanted.label;
  input.setAttribute("aria-label", wanted.label); // without the value, which the output shows inside the same label
  input.title = wanted.help ?? "";
  if (input.version !== wanted.version) {
    input.version = wanted.version;
    Object.assign(input, steps ? { min: 0, max: steps.length - 1, step: 1 } : { min, max, step });
    input.value = steps ? steps.indexOf(wanted.value) : wanted.value;
  }
  show();
  input.oninput = () => {
    show();
    const turnCharts = window.vivaTurns?.[charts];
    if (turnCharts) turnCharts(name, value());
    else setStateValue("value", value());
  };
}
