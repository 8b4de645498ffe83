"use strict";
// Whatever comes from a model or a person is put in as text, never as markup.
const model = JSON.parse(document.getElementById("model").textContent);
const form = document.getElementById("form");
const fields = document.getElementById("fields");
const button = document.getElementById("send");
const result = document.getElementById("result");
const MOST_BARS = 12;
const tasks = model.tasks || { "": model };

function make(tag, options = {}, ...children) {
  const { className, ...attributes } = options;
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const isPair = model.columns.length > 1;
const areas = model.columns.map((column, index) => {
  const area = make("textarea", { id: `field${index}`, spellcheck: "false" });
  fields.append(make("label", { for: area.id }, isPair ? column : "Text"), area);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return area;
});
areas[0].focus();

function bar(name, share, isChosen, shown) {
  const chosen = isChosen ? " chosen" : "";
  const fill = make("div", { className: "fill" + chosen });
  fill.style.width = `${100 * share}%`;
  return [
    make("div", { className: "name" + chosen }, name),
    make("div", { className: "track" }, fill),
    make("div", { className: "number" }, shown),
  ];
}

function bars(probabilities, chosen) {
  const sorted = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
  const rows = sorted.map(([name, value]) => bar(name, value, chosen.includes(name), `${(100 * value).toFixed(1)} %`));
  const found = make("div", {}, make("div", { className: "bars" }, ...rows.slice(0, MOST_BARS).flat()));
  if (rows.length > MOST_BARS) {
    const rest = make("div", { className: "bars" }, ...rows.slice(MOST_BARS).flat());
    found.append(make("details", {}, make("summary", {}, `${rows.length - MOST_BARS} more`), rest));
  }
  return found;
}

function single(answer) {
  const title = make("p", { className: "answer" }, answer.label + " ");
  if (answer.abstained) title.append(make("span", { className: "chip" }, "abstained: not to be acted on"));
  const parts = [title, bars(answer.probabilities, [answer.label])];
  if (answer.label_set) {
    const chips = answer.label_set.map((name) => make("span", { className: "chip" }, name));
    parts.push(make("p", {}, "Label set: ", ...(chips.length ? chips : ["empty"])));
  }
  return parts;
}

function multi(answer) {
  const title = answer.labels.length ? answer.labels.join(", ") : "none of the labels";
  return [make("p", { className: "answer" }, title), bars(answer.probabilities, answer.labels)];
}

function score(answer, text, task) {
  const [low, high] = task.range;
  const [, track] = bar("", (answer.score - low) / (high - low), true, "");
  const ends = make("div", { className: "row hint" }, `from ${low} to ${high}`);
  return [make("p", { className: "answer" }, answer.score.toFixed(3)), track, ends];
}

function hued(element, type, types) {
  // the golden angle keeps neighbours apart, however many there are
  element.style.setProperty("--hue", String(Math.round(210 + 137.5 * types.indexOf(type)) % 360));
  return element;
}

function entities(answer, text, task) {
  const characters = Array.from(text); // offsets count characters, and JavaScript's strings count halves of some
  const line = make("p", { className: "text" });
  let end = 0;
  for (const entity of answer.entities) {
    line.append(characters.slice(end, entity.char_start).join(""));
    line.append(hued(make("mark", {}, entity.text, make("small", {}, entity.type)), entity.type, task.types));
    end = entity.char_end;
  }
  line.append(characters.slice(end).join(""));
  const count = answer.entities.length;
  const said = count === 0 ? "No entities found." : count === 1 ? "1 entity." : `${count} entities.`;
  return [line, make("p", { className: "hint" }, said)];
}

function words(answer) {
  const shown = answer.tokens.map((token, index) =>
    make("span", { className: "word" }, token, make("small", {}, answer.tags[index])));
  return [make("p", { className: "text" }, ...shown.flatMap((word) => [word, " "]))];
}

function view(name, answer, text) {
  const views = { single, multi, score, tags: answer.entities ? entities : words };
  const task = tasks[name];
  return [...(name ? [make("h2", {}, name)] : []), ...views[task.kind](answer, text, task)];
}

function show(answer, text) {
  const named = model.tasks ? Object.entries(answer) : [["", answer]];
  const views = named.flatMap(([name, one]) => view(name, one, text));
  const raw = make("pre", {}, JSON.stringify(answer, null, 2));
  const details = make("details", {}, make("summary", {}, "JSON"), raw);
  result.replaceChildren(make("div", { className: "card" }, ...views, details));
}

function complain(message) {
  result.replaceChildren(make("p", { className: "card wrong", role: "alert" }, message));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  const texts = areas.map((area) => area.value);
  const filled = model.columns.map((column, index) => [column, texts[index]]);
  // of several tasks those of pairs are left out where there is no second text
  const given = model.tasks ? filled.filter(([, text], index) => text || index === 0) : filled;
  const input = isPair ? Object.fromEntries(given) : texts[0];
  try {
    const response = await fetch("predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ input }),
    });
    const content = await response.json();
    if (response.ok) show(content.outputs[0], texts[0]);
    else complain(content.error);
  } catch {
    complain("The server does not answer: see whether it still runs.");
  } finally {
    button.disabled = false;
  }
});
