"use strict";

const SEVERITIES = ["wrong", "imprecise", "other convention", "missing"];
const FAILING = "that fail";
const RESULTS = ["passed", FAILING, ...SEVERITIES, "expected failure", "not applicable"];
const LISTED = [...SEVERITIES, "expected failure", "passed", "not applicable", "not run"];

/** An element with attributes and children, which are elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The results, which the page holds as compressed JSON. */
async function load() {
  const text = document.getElementById("data").textContent;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Cases by what `key` says of them, in the order in which they come. */
function grouped(cases, key) {
  const groups = new Map();
  for (const each of cases) {
    const name = key(each);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(each);
  }
  return groups;
}

function start(data) {
  const form = document.getElementById("filters");
  const table = document.querySelector("table");
  const opened = new Set(); // the classes whose requirements are shown

  const fill = (name, every, values) =>
    form.elements[name].append(
      ...[every, ...values].map((value) => make("option", { value: value === every ? "" : value }, value)),
    );
  const different = (name) => [...new Set(data.columns.map((column) => column[name]))];
  fill("backend", "every backend", different("backend"));
  fill("keras", "every version", different("keras"));
  fill("package", "both packages", different("package"));
  fill("result", "all cases", RESULTS);
  document.getElementById("badges").append(
    ...data.badges.map((badge) => make("li", {}, `${badge.label}: ${badge.message}`)),
  );

  const wanted = () => Object.fromEntries(new FormData(form));

  function columnsFor(filter) {
    return data.columns.filter((column) =>
      ["backend", "keras", "package"].every((name) => !filter[name] || column[name] === filter[name]),
    );
  }

  function hasResult(outcome, result) {
    if (!result) return true;
    if (result === FAILING) return outcome.status === "failed";
    return outcome.status === result || outcome.severity === result;
  }

  /** What became of a case in a column; null if the package lacks what the case is about. */
  function outcomeOf(column, each) {
    const [status, severity, score, budget, message] = column.outcomes[each.place];
    return { each, status: data.statuses[status], severity: SEVERITIES[severity], score, budget,
      message: data.messages[message] };
  }

  function matching(filter, columns) {
    const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
    return data.cases.filter((each) => {
      const [title] = data.requirements[each.requirement];
      const text = `${each.target} ${each.requirement} ${title} ${each.title} ${each.id}`.toLowerCase();
      if (!words.every((word) => text.includes(word))) return false;
      return columns.some((column) => hasResult(outcomeOf(column, each), filter.result));
    });
  }

  function cell(column, cases, filter, label, onOpen) {
    const outcomes = cases.map((each) => outcomeOf(column, each));
    const ran = outcomes.filter((outcome) => outcome.status !== "not applicable");
    const count = (test) => outcomes.filter(test).length;
    const passed = count((outcome) => outcome.status === "passed");
    const expected = count((outcome) => outcome.status === "expected failure");
    const failed = SEVERITIES.map((name) => [name, count((outcome) => outcome.severity === name)]);
    const missing = count((outcome) => outcome.status === "not run");
    const wrong = failed[0][1];
    const all = passed === ran.length;
    const [sign, color] = all ? ["✓", "good"] : wrong ? ["✗", "bad"] : ["≈", "mild"];
    const notes = [...failed, ["expected", expected], ["not run", missing]].filter(([, n]) => n).map(([name, n]) => `${n} ${name}`);
    const text = ran.length ? `${sign} ${passed} of ${ran.length}` : "-";
    const name = `${column.name}: ${text}. ${notes.join(", ")}. ${label}`;
    const content = make("span", {}, text, ...notes.map((note) => make("span", { class: "note" }, note)));
    const button = make("button",
      { type: "button", "aria-expanded": "false", "aria-label": name, "data-column": column.name }, content);
    const element = make("td", { class: ran.length ? color : "none" }, button);
    button.addEventListener("click", () =>
      onOpen(button, column, outcomes.filter((outcome) => hasResult(outcome, filter.result))));
    return element;
  }

  /** How early a case is listed: the worst comes first. */
  const place = ({ status, severity }) => LISTED.indexOf(severity ?? status);

  /** One case: what became of it, what it hunts, where that is from, and how to run it again. */
  function item({ each, status, severity, score, budget, message }, column) {
    const words = severity ? `${status}, ${severity}` : status;
    const color = { passed: "good", failed: severity === "wrong" ? "bad" : "mild", "expected failure": "mild" }[status];
    const lines = [
      make("span", { class: `status ${color || ""}` }, words), " ", make("b", {}, each.title), ` (${each.kind}, ${each.dtype})`,
    ];
    const add = (text) => lines.push(make("span", { class: "note" }, text));
    if (budget !== null) add(`score ${score} of ${budget} ulp`);
    if (message) add(message);
    add(`hunts: ${each.hunts}`);
    lines.push(make("code", {}, `${column.reproduce} -k ${each.id}`));
    return make("li", { id: `${column.name} ${each.id}` }, ...lines);
  }

  /** Show the cases of a cell in a row below it, or hide them again. */
  function toggle(button, column, outcomes, heading, source) {
    const row = button.closest("tr");
    const body = row.parentElement;
    const isOpen = button.getAttribute("aria-expanded") === "true";
    for (const old of table.querySelectorAll("tr.cases")) old.remove();
    for (const other of table.querySelectorAll("td [aria-expanded=true]")) other.setAttribute("aria-expanded", "false");
    if (isOpen) return;
    button.setAttribute("aria-expanded", "true");
    const content = make("td", { colspan: String(row.children.length) },
      make("h2", {}, `${heading} on ${column.name}`),
      make("span", { class: "note" }, `${column.origin}${source ? `. Source: ${source}` : ""}`),
      make("ul", {}, ...outcomes.toSorted((a, b) => place(a) - place(b)).map((outcome) => item(outcome, column))));
    const cases = make("tr", { class: "cases" }, content);
    cases.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      button.focus();
      button.click();
    });
    body.insertBefore(cases, row.nextSibling);
  }

  function drawHead(columns) {
    const cells = columns.map((column) =>
      make("th", { scope: "col" }, column.name, make("small", {}, column.origin)));
    table.querySelector("thead").replaceChildren(make("tr", {}, make("th", { scope: "col" }, "class"), ...cells));
  }

  /** The rows of a class: one for all of it, and if it is open, one for each requirement. */
  function drawClass(target, cases, columns, filter, isOpen) {
    const body = make("tbody", {});
    const show = (heading, source) => (button, column, outcomes) => toggle(button, column, outcomes, heading, source);
    const button = make("button", { type: "button", "aria-expanded": String(isOpen) }, target);
    button.addEventListener("click", () => {
      if (!opened.delete(target)) opened.add(target);
      draw();
      [...table.querySelectorAll("tr.class th button")].find((each) => each.textContent === target).focus();
    });
    body.append(make("tr", { class: "class" }, make("th", { scope: "rowgroup" }, button),
      ...columns.map((column) => cell(column, cases, filter, target, show(target)))));
    if (!isOpen) return body;
    for (const [id, some] of grouped(cases, (each) => each.requirement)) {
      const [title, source] = data.requirements[id];
      const heading = make("th", { scope: "row" }, title, make("span", { class: "note" }, id));
      body.append(make("tr", { class: "requirement" }, heading,
        ...columns.map((column) => cell(column, some, filter, `${id}, ${title}`, show(id, source)))));
    }
    return body;
  }

  function draw() {
    const filter = wanted();
    const columns = columnsFor(filter);
    const cases = matching(filter, columns);
    const classes = grouped(cases, (each) => each.target);
    const isNarrow = Boolean(filter.words || filter.result); // few cases, which can all be shown
    for (const body of table.querySelectorAll("tbody")) body.remove();
    drawHead(columns);
    for (const [target, some] of [...classes].sort(([a], [b]) => a.localeCompare(b))) {
      table.append(drawClass(target, some, columns, filter, isNarrow !== opened.has(target)));
    }
    const requirements = new Set(cases.map((each) => each.requirement));
    document.getElementById("count").textContent =
      `${cases.length} cases of ${requirements.size} requirements, in ${columns.length} columns`;
    // Every version is a choice too: an address without one means the newest.
    const kept = Object.entries(filter).filter(([name, value]) => value || name === "keras");
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  }

  /** Filters as the address says, else those that fit one screen: the newest Keras. */
  function fromAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (![...asked].length) asked.set("keras", data.columns[0].keras);
    for (const [name, value] of asked) if (form.elements[name]) form.elements[name].value = value;
  }

  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    opened.clear();
    setTimeout(draw); // after the form has been reset
  });
  fromAddress();
  draw();
}

load().then(start).catch((error) => {
  document.getElementById("count").textContent = `This browser cannot show the results: ${error}`;
});
