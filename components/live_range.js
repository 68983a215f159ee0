// A range input that reports while it is dragged; its thumb moves over the places of the listed values.
// What Python sets (a preset, a link) wins by a new `version`; echoes of our own reports are ignored.

export default function ({ parentElement, data, setStateValue }) {
  const [title, output, input] = parentElement.querySelector("label").children;
  const { label, help, values, texts, at, version, turns: [charts, knob] } = JSON.parse(new TextDecoder().decode(data));
  const show = () => input.setAttribute("aria-valuetext", (output.textContent = texts[input.value]));
  title.textContent = label;
  input.setAttribute("aria-label", label); // without the value, which the output shows inside the same label
  input.title = help;
  if (input.version !== version) Object.assign(input, { version, max: values.length - 1, value: at });
  show();
  input.oninput = () => {
    show();
    const follower = window.vivaFollowers?.[charts]; // the charts move at once, once they are there
    if (follower) follower.turn(knob, values, +input.value);
    else setStateValue("value", values[input.value]);
  };
}
