"use strict";
// The graph of the partition: segments first, the operators of one segment when it is opened.
/* global cytoscape, dagre, DATA, MANIFEST, DEVICES, byId, element, named, clipped, seconds, bytes, shape, plural */

const [SEGMENT, KERNEL, KIND, DOMAIN, NAME, READS, WRITES, WEIGHTS] = [0, 1, 2, 3, 4, 5, 6, 7];
const MOST_ARRANGED = 400; // operators that the layout library arranges in well under a second
const PART = 1000; // operators that are drawn at once
const MOST_LISTED = 200;
const READABLE = 0.65; // zoom below which labels cannot be read
const DTYPES = [...new Set([...MANIFEST.segments.map((one) => one.compute_dtype), ...DATA.tensors.map((one) => one[1])])].filter(Boolean).sort();
const FORMS = {};
for (const [form, tensors] of Object.entries(MANIFEST.precision ? MANIFEST.precision.forms : {}))
  for (const tensor of tensors) FORMS[tensor] = form;
const TIME_STEPS = 4;
const longest = Math.max(...MANIFEST.segments.map((one) => one.predicted_seconds), 1e-30);
const state = { segment: null, part: 0, colour: "device", chosen: null, graph: null };

const colourOf = (number) => getComputedStyle(document.documentElement).getPropertyValue(`--c${number % 8}`).trim();
const UNKNOWN = "#7d8590";
let shownWords = [];
const TIMES = ["#5b6673", "#4f6d9a", "#7a4fa0", "#b3262f"];
const slowest = Math.max(...(DATA.why ? DATA.why.operators : []).map((row) => (row ? row[1] : 0)), 1e-30);
const timeStep = (value, most) => Math.min(Math.floor((value / most) * TIME_STEPS), TIME_STEPS - 1);

/** What an operator computes in: the form that was chosen for it, or what its device computes in. */
const precisionOf = (operator) => operator[WRITES].map((one) => FORMS[DATA.tensors[one][0]]).find(Boolean) || MANIFEST.segments[operator[SEGMENT]].compute_dtype;

/** The type of what an operator writes. */
const dtypeOf = (operator) => (operator[WRITES].length ? DATA.tensors[operator[WRITES][0]][1] || "unknown" : "unknown");
const TYPES = new Map(DATA.tensors.map((one) => [one[0], one[1]]));

/** What a node is coloured by, where that is a word: of an operator, or of a segment. */
const WORDS = {
  device: { segment: (one) => one.device, operator: (one) => MANIFEST.segments[one[SEGMENT]].device },
  precision: { segment: (one) => one.compute_dtype, operator: precisionOf },
  dtype: { segment: (one) => (one.outputs.length ? TYPES.get(one.outputs[0].tensor) || "unknown" : "unknown"), operator: dtypeOf },
};

/** The words that occur, in a fixed order: their places are their colours. */
function words() {
  if (state.colour === "device") return DEVICES;
  const of = WORDS[state.colour];
  const found = state.segment === null ? MANIFEST.segments.map(of.segment) : operators().map((one) => of.operator(one[1]));
  return [...new Set(found)].sort();
}

/** [its number, the operator] of the segment shown. */
function operators() {
  return DATA.operators.map((one, number) => [number, one]).filter(([, one]) => one[SEGMENT] === state.segment);
}

/** The colour of a segment, or of an operator where `number` is one. */
function fill(segment, number = null) {
  if (state.colour === "time") {
    const row = number === null || !DATA.why ? null : DATA.why.operators[number];
    if (number === null) return TIMES[timeStep(segment.predicted_seconds, longest)];
    return row ? TIMES[timeStep(row[1], slowest)] : UNKNOWN;
  }
  const of = WORDS[state.colour];
  return colourOf(Math.max(shownWords.indexOf(number === null ? of.segment(segment) : of.operator(DATA.operators[number])), 0));
}

function segmentElements() {
  const nodes = DATA.graph.nodes.map((node) => {
    if (node.kind === "segment") {
      const segment = MANIFEST.segments[node.index];
      const label = `${node.index}  ${clipped(segment.device, 20)}\n${plural(DATA.operators.filter((one) => one[SEGMENT] === node.index).length, "operator")}\n${seconds(segment.predicted_seconds)}`;
      return { id: node.id, label, width: 130, height: 62, css: "segment", fill: fill(segment) };
    }
    const label = node.kind === "range" ? clipped(node.operator, 24) : clipped(node.tensor, 24);
    return { id: node.id, label, width: Math.max(60, label.length * 7.2 + 14), height: 28, css: "value" };
  });
  const edges = DATA.graph.edges.map((edge, number) => {
    const handoff = edge.handoff === null ? null : MANIFEST.handoffs[edge.handoff];
    const label = handoff ? `${handoff.mode.replace("_", " ")} ${bytes(handoff.bytes)}\n${seconds(handoff.seconds)}` : "";
    return { id: `edge ${number}`, source: edge.source, target: edge.target, label, css: handoff ? handoff.mode : "stays" };
  });
  return { nodes, edges };
}

function operatorElements() {
  const segment = MANIFEST.segments[state.segment];
  const all = operators();
  const own = all.slice(state.part * PART, (state.part + 1) * PART);
  const writer = new Map(own.flatMap(([number, one]) => one[WRITES].map((tensor) => [tensor, `op ${number}`])));
  const entering = new Set([...segment.inputs.map((port) => port.tensor), ...all.flatMap(([, one]) => one[WRITES].map((tensor) => DATA.tensors[tensor][0]))]);
  const leaving = new Set(segment.outputs.map((port) => port.tensor));
  const nodes = [];
  const edges = [];
  const ports = new Set();
  const port = (tensor, side) => {
    const id = `${side} ${tensor}`;
    const label = clipped(DATA.tensors[tensor][0], 24);
    if (!ports.has(id)) nodes.push({ id, label, width: Math.max(60, label.length * 7.2 + 14), height: 26, css: "value" });
    ports.add(id);
    return id;
  };
  for (const [number, one] of own) {
    for (const tensor of one[READS]) {
      const source = writer.get(tensor) || (entering.has(DATA.tensors[tensor][0]) ? port(tensor, "in") : null);
      if (source) edges.push({ id: `e${edges.length}`, source, target: `op ${number}`, label: "", css: "stays" });
    }
    nodes.push({ id: `op ${number}`, label: clipped(one[KIND], 26), width: Math.max(70, one[KIND].length * 7.4 + 18), height: 30, css: "operator", fill: fill(segment, number) });
    for (const tensor of one[WRITES]) {
      if (leaving.has(DATA.tensors[tensor][0])) edges.push({ id: `e${edges.length}`, source: `op ${number}`, target: port(tensor, "out"), label: "", css: "stays" });
    }
  }
  return { nodes, edges };
}

/** Places for all nodes, from top to bottom. */
function arranged({ nodes, edges }) {
  if (nodes.length > MOST_ARRANGED) return inRows(nodes, edges);
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  const labels = edges.some((one) => one.label);
  graph.setGraph({ rankdir: "TB", nodesep: 34, ranksep: labels ? 74 : 34 });
  for (const one of nodes) graph.setNode(one.id, { width: one.width, height: one.height });
  for (const one of edges) graph.setEdge(one.source, one.target, one.label ? { width: 96, height: 30, labelpos: "c" } : {}, one.id);
  dagre.layout(graph);
  return Object.fromEntries(nodes.map((one) => [one.id, { x: graph.node(one.id).x, y: graph.node(one.id).y }]));
}

/** Each node a row below the last one that it reads, and what reads nothing above its first reader: linear in the size of the graph. */
function inRows(nodes, edges) {
  const into = new Map(nodes.map((one) => [one.id, []]));
  for (const edge of edges) into.get(edge.target).push(edge.source);
  const row = new Map();
  for (const { id } of nodes) row.set(id, Math.max(0, ...into.get(id).map((one) => (row.get(one) ?? 0) + 1)));
  for (const { target, source } of [...edges].reverse()) if (!into.get(source).length) row.set(source, Math.max(row.get(target) - 1, 0));
  const filled = new Map();
  const places = {};
  for (const one of [...nodes.filter((each) => into.get(each.id).length), ...nodes.filter((each) => !into.get(each.id).length)]) {
    const mine = row.get(one.id);
    const column = filled.get(mine) ?? 0;
    filled.set(mine, column + 1);
    places[one.id] = { x: (column % 2 ? 1 : -1) * Math.ceil(column / 2) * 190, y: mine * 70 };
  }
  return places;
}

function look(large) {
  const css = getComputedStyle(document.documentElement);
  const [ink, faint, ground, link] = ["--ink", "--faint", "--ground", "--link"].map((one) => css.getPropertyValue(one).trim());
  const node = { label: "data(label)", width: "data(width)", height: "data(height)", "font-size": 12, "text-wrap": "wrap", "text-valign": "center", "min-zoomed-font-size": 5 };
  const edge = { width: 1.5, "line-color": faint, "target-arrow-color": faint, "target-arrow-shape": "triangle", "arrow-scale": 0.8, "curve-style": "bezier", "control-point-step-size": 110 };
  const mode = (name, colour) => ({ selector: `edge.${name}`, style: { width: 3, "line-color": colour, "target-arrow-color": colour } });
  return [
    { selector: "node", style: { ...node, shape: "round-rectangle", "background-color": ground, color: ink, "border-width": 1, "border-color": faint } },
    { selector: "node.segment, node.operator", style: { "background-color": "data(fill)", color: "#fff", "border-width": 0 } },
    { selector: "edge", style: large ? { ...edge, width: 1, "curve-style": "haystack", "target-arrow-shape": "none" } : edge },
    { selector: "edge[label != '']", style: { label: "data(label)", "font-size": 10, color: ink, "text-wrap": "wrap", "text-background-color": ground, "text-background-opacity": 0.9, "text-background-padding": 2, "min-zoomed-font-size": 5 } },
    mode("zero_copy", "#5b6673"),
    mode("copy", "#b77900"),
    mode("convert", "#9a5fc0"),
    { selector: ".chosen", style: { "border-width": 4, "border-color": link, "line-color": link, "target-arrow-color": link } },
  ];
}

/** Draws the level that `state` names, anew. */
function draw() {
  shownWords = state.colour === "time" ? [] : words();
  const shown = state.segment === null ? segmentElements() : operatorElements();
  const places = arranged(shown);
  const large = shown.nodes.length > MOST_ARRANGED;
  if (state.graph) state.graph.destroy();
  state.graph = cytoscape({
    container: byId("graph"),
    elements: [
      ...shown.nodes.map(({ css, ...data }) => ({ group: "nodes", data, classes: css, position: places[data.id] })),
      ...shown.edges.map(({ css, ...data }) => ({ group: "edges", data, classes: css })),
    ],
    style: look(large),
    layout: { name: "preset", fit: true, padding: 24 },
    minZoom: 0.005,
    maxZoom: 3,
    autoungrabify: true,
    boxSelectionEnabled: false,
    hideEdgesOnViewport: large,
    textureOnViewport: large,
    pixelRatio: large ? 1 : "auto",
  });
  state.graph.on("tap", "node, edge", (event) => choose(event.target.id()));
  state.graph.on("dbltap", "node.segment", (event) => open(segmentOf(event.target.id())));
  if (state.graph.zoom() > 1.2) {
    state.graph.zoom(1.2);
    state.graph.center();
  }
  if (state.graph.zoom() < READABLE) begin(shown, places);
  byId("up").disabled = state.segment === null;
  const parts = state.segment === null ? 1 : Math.ceil(operators().length / PART);
  byId("parts").hidden = parts < 2;
  byId("part").textContent = `part ${state.part + 1} of ${parts}`;
  byId("before").disabled = state.part === 0;
  byId("after").disabled = state.part === parts - 1;
  byId("graph-told").textContent =
    state.segment === null
      ? `${plural(MANIFEST.segments.length, "segment")} on ${plural(DEVICES.length, "device")}, ${plural(MANIFEST.handoffs.length, "handoff")}.`
      : `Segment ${state.segment} on ${clipped(MANIFEST.segments[state.segment].device, 40)}: ${plural(operators().length, "operator")}.`;
  legend();
}

/** Where all of it would be too small to read: the first node at the top; the button Fit shows all. */
function begin(shown, places) {
  const box = byId("graph");
  const first = shown.nodes.map((one) => places[one.id]).reduce((a, b) => (b.y < a.y ? b : a));
  state.graph.viewport({ zoom: 0.9, pan: { x: box.clientWidth / 2 - first.x * 0.9, y: 40 - first.y * 0.9 } });
}

function legend() {
  const entry = (colour, text) => {
    const mark = element("i");
    mark.style.background = colour;
    return element("span", "", "", [mark, named(clipped(text))]);
  };
  const steps = (most, what) => TIMES.map((colour, step) => entry(colour, `${seconds((step / TIME_STEPS) * most)} to ${seconds(((step + 1) / TIME_STEPS) * most)} ${what}`));
  const times = () => {
    if (state.segment === null) return steps(longest, "a segment");
    return DATA.why ? [...steps(slowest, "an operator"), entry(UNKNOWN, "not known")] : [entry(UNKNOWN, "times of operators are not in the bundle")];
  };
  byId("graph-legend").replaceChildren(...(state.colour === "time" ? times() : shownWords.map((one, number) => entry(colourOf(number), one))));
}

const segmentOf = (id) => Number(id.slice("segment ".length));

function open(segment) {
  Object.assign(state, { segment, part: 0, chosen: null });
  byId("find").value = "";
  draw();
  list();
  details();
}

function turnTo(part) {
  if (part === state.part) return;
  state.part = part;
  draw();
}

function choose(id) {
  state.chosen = id;
  if (id.startsWith("op ")) turnTo(Math.floor(operators().findIndex(([number]) => `op ${number}` === id) / PART));
  state.graph.elements(".chosen").removeClass("chosen");
  const found = state.graph.getElementById(id).addClass("chosen");
  if (found.nonempty() && found.isNode()) {
    const box = byId("graph");
    if (state.graph.zoom() < READABLE) state.graph.zoom({ level: 0.9, position: found.position() });
    const at = found.renderedPosition();
    if (at.x < 0 || at.y < 0 || at.x > box.clientWidth || at.y > box.clientHeight) state.graph.center(found);
  }
  for (const button of byId("list").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.id === id));
  details();
}

/** What is listed: [id, words, remark]. */
function entries() {
  if (state.segment !== null) return operators().map(([number, one]) => [`op ${number}`, one[NAME], one[KIND]]);
  return [
    ...MANIFEST.segments.map((one) => [`segment ${one.index}`, `segment ${one.index} on ${one.device}`, seconds(one.predicted_seconds)]),
    ...DATA.graph.edges.flatMap((edge, number) => {
      const handoff = edge.handoff === null ? null : MANIFEST.handoffs[edge.handoff];
      return handoff ? [[`edge ${number}`, `${handoff.producer} to ${handoff.consumer}: ${handoff.tensor}`, handoff.mode.replace("_", " ")]] : [];
    }),
  ];
}

function list() {
  const text = byId("find").value.toLowerCase();
  // From the segments, a search looks at the operators of all of them.
  const everywhere = text && state.segment === null;
  const all = everywhere ? DATA.operators.map((one, number) => [`op ${number}`, one[NAME], one[KIND]]) : [];
  const found = [...entries(), ...all].filter((one) => !text || `${one[1]} ${one[2]}`.toLowerCase().includes(text));
  byId("list").replaceChildren(
    ...found.slice(0, MOST_LISTED).map(([id, words, remark]) => {
      const button = element("button", "", "", [named(clipped(words)), element("span", remark, "small isolate")]);
      Object.assign(button, { type: "button", title: clipped(words, 400) });
      Object.assign(button.dataset, { id });
      button.setAttribute("aria-pressed", String(id === state.chosen));
      button.addEventListener("click", () => {
        const operator = id.startsWith("op ") ? DATA.operators[Number(id.slice(3))] : null;
        if (operator && operator[SEGMENT] !== state.segment) open(operator[SEGMENT]);
        choose(id);
      });
      return element("li", "", "", [button]);
    }),
  );
  byId("list-more").textContent = found.length > MOST_LISTED ? `${found.length - MOST_LISTED} more: narrow the search.` : found.length ? "" : "Nothing has that name.";
}

function start() {
  byId("up").addEventListener("click", () => open(null));
  byId("colour").addEventListener("change", (event) => {
    state.colour = event.target.value;
    draw();
    if (state.chosen) choose(state.chosen);
  });
  byId("before").addEventListener("click", () => turnTo(state.part - 1));
  byId("after").addEventListener("click", () => turnTo(state.part + 1));
  byId("find").addEventListener("input", list);
  const zoom = (factor) => state.graph.zoom({ level: state.graph.zoom() * factor, renderedPosition: { x: byId("graph").clientWidth / 2, y: byId("graph").clientHeight / 2 } });
  byId("zoom-in").addEventListener("click", () => zoom(1.4));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.4));
  byId("fit").addEventListener("click", () => state.graph.fit(undefined, 24));
  document.addEventListener("theme", () => state.graph.style(look(state.graph.nodes().length > MOST_ARRANGED)));
  draw();
  list();
}

start();
