"use strict";
// What is said of the segment, edge or operator that was chosen in the graph.
/* global DATA, MANIFEST, SEGMENT, KERNEL, KIND, DOMAIN, NAME, READS, WRITES, WEIGHTS, FORMS, state, segmentOf, open, precisionOf, byId, element, named, seconds, bytes, shape */

const PLACE = /[^\s/\\:()'"`,;]+\.hw:\d+/g;

function facts(pairs) {
  const made = element("dl");
  for (const [term, value] of pairs) {
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) continue;
    made.append(element("dt", term));
    for (const one of [value].flat()) made.append(element("dd", "", "", [named(String(one))]));
  }
  return made;
}

function details() {
  const id = state.chosen;
  const shown = byId("details");
  if (id === null) return shown.replaceChildren(element("p", "Nothing is chosen.", "small"));
  if (id.startsWith("segment ")) return shown.replaceChildren(...segmentDetails(segmentOf(id)));
  if (id.startsWith("op ")) return shown.replaceChildren(...operatorDetails(Number(id.slice(3))));
  if (id.startsWith("edge ")) return shown.replaceChildren(...edgeDetails(DATA.graph.edges[Number(id.slice(5))]));
  const words = id.startsWith("in ") || id.startsWith("out ") ? DATA.tensors[Number(id.split(" ")[1])] : null;
  if (words) return shown.replaceChildren(element("h3", "", "", [named(words[0])]), facts([["Type", words[1]], ["Shape", shape(words[2])]]));
  const value = [...MANIFEST.model.inputs, ...MANIFEST.model.outputs].find((one) => id.endsWith(` ${one.name}`));
  return shown.replaceChildren(element("h3", "", "", [named(id)]), facts(value ? [["Type", value.dtype], ["Shape", shape(value.shape)]] : []));
}

function segmentDetails(index) {
  const one = MANIFEST.segments[index];
  const judged = MANIFEST.verification.segments.find((verdict) => verdict.index === index);
  const button = element("button", "Show its operators");
  button.type = "button";
  button.id = "open";
  button.addEventListener("click", () => open(index));
  return [
    element("h3", "", "", [named(`Segment ${index} on ${one.device}`)]),
    button,
    facts([
      ["Runtime", `${one.runtime.adapter} ${one.runtime.options.join(" ")}`],
      ["Computes in", one.compute_dtype],
      ["Predicted", one.predicted_joules === null ? seconds(one.predicted_seconds) : `${seconds(one.predicted_seconds)}, ${(one.predicted_joules * 1e3).toPrecision(4)} mJ`],
      ["Kernels", one.kernels.length],
      ["Largest sum of live tensors", bytes(one.peak_internal_bytes)],
      ["Judged", judged ? `${judged.judged}${judged.reason ? `: ${judged.reason}` : ""}` : null],
      ["Reads", one.inputs.map((port) => port.tensor)],
      ["Writes", one.outputs.map((port) => port.tensor)],
      ["File", one.file],
    ]),
  ];
}

function edgeDetails(edge) {
  const one = edge.handoff === null ? null : MANIFEST.handoffs[edge.handoff];
  if (!one) return [element("h3", "Stays on its device"), facts([["Tensors", edge.tensors]])];
  return [
    element("h3", "", "", [named(one.tensor)]),
    facts([
      ["From", one.producer],
      ["To", one.consumer],
      ["Mode", `${one.mode.replace("_", " ")} via ${one.mechanism}`],
      ["Bytes", `${bytes(one.bytes)} (${one.bytes})`],
      ["Predicted", seconds(one.seconds)],
      ["Type on the device", one.device_dtype],
      ["Alignment", `${one.align} B, rows ${one.row_align} B, length ${one.length_multiple} B`],
      ["Where the mechanism is missing", one.fallback_seconds === null ? one.fallback : `${one.fallback}, ${seconds(one.fallback_seconds)}`],
      ["Decided at", one.origin],
    ]),
  ];
}

function operatorDetails(number) {
  const one = DATA.operators[number];
  const segment = MANIFEST.segments[one[SEGMENT]];
  const tensor = (index) => {
    const [name, dtype, extents] = DATA.tensors[index];
    return `${name}: ${dtype || "type unknown"}, ${shape(extents)}`;
  };
  const mine = new Set([one[NAME], ...one[WRITES].map((index) => DATA.tensors[index][0])]);
  const made = MANIFEST.decisions.filter((decision) => mine.has(decision.site));
  const uncosted = MANIFEST.uncosted.filter((record) => record.node === one[NAME]);
  const bounds = MANIFEST.errors.bounds.filter((record) => mine.has(record.site));
  const group = one[KERNEL] === null ? [] : segment.kernels[one[KERNEL]].filter((name) => name !== one[NAME]);
  return [
    element("h3", "", "", [named(one[NAME])]),
    facts([
      ["Operator", one[DOMAIN] ? `${one[DOMAIN]} ${one[KIND]}` : one[KIND]],
      ["On", `${segment.device}, segment ${segment.index} (${seconds(segment.predicted_seconds)} in all)`],
      ["Predicted", predictedOf(number)],
      ["Computes in", precisionOf(one)],
      ["Form", one[WRITES].map((index) => FORMS[DATA.tensors[index][0]]).filter(Boolean)],
      ["Reads", one[READS].map(tensor)],
      ["Writes", one[WRITES].map(tensor)],
      ["Weights that it reads", one[WEIGHTS] ? `${bytes(one[WEIGHTS])} (${one[WEIGHTS]})` : null],
      ["Runs as one kernel with", group],
      ["Decisions here", made.map((decision) => `${decision.rule}, ${decision.taken ? "taken" : "declined"}: ${decision.reason}`)],
      ["Proved error bound", bounds.map((record) => `${record.rule}: ${record.bound.toPrecision(3)} over ${record.over}`)],
      ["Without a cost", uncosted.map((record) => `${record.tensor}: ${record.because}`)],
    ]),
    ...whyDetails(number),
  ];
}

/** Seconds of an operator where they are known; what a rewrite made shares those of the operator that it replaces. */
function predictedOf(number) {
  const row = DATA.why ? DATA.why.operators[number] : null;
  if (!row) return null;
  const own = DATA.operators[number][WRITES].some((index) => DATA.tensors[index][0] === row[2]);
  const share = DATA.why.latency ? `, ${((row[1] / DATA.why.latency) * 100).toFixed(1)} % of the run` : "";
  return own ? `${seconds(row[1])}${share}` : `with others ${seconds(row[1])}${share}: a part of what writes ${row[2]}`;
}

/** What every device says of the operator, and the smallest change that would move it. */
function whyDetails(number) {
  const head = element("h4", "What each device says");
  if (!DATA.why) return [head, element("p", "Not in the bundle: the candidates, their costs and the smallest change that would move it need the model (report --model).", "small")];
  const row = DATA.why.operators[number];
  if (!row) return [head, element("p", "It was written after operators were placed, and belongs to none of them.", "small")];
  const subject = DATA.why.subjects[row[0]];
  const quoted = new Set();
  const made = [head];
  if (subject.count > 1) made.push(element("p", `The same holds for ${subject.count - 1} more ${subject.operator} and operators like it.`, "small"));
  for (const one of subject.devices) {
    const verdict = one.here ? "runs here" : one.runs ? "could run it" : "cannot run it";
    const alone = one.seconds === null ? "" : `, ${seconds(one.seconds)} as a kernel of its own`;
    const mark = element("span", verdict, `state ${one.here ? "s-kept" : one.runs ? "s-unproven" : "s-broken"}`);
    made.push(element("p", "", "device", [named(one.device), element("span", ": "), mark, element("span", alone)]));
    made.push(element("ul", "", "reasons", one.say.map((line) => told(line, quoted))));
    if (one.runs && !one.here && !one.cost) made.push(element("p", `The whole plan with it there was not computed: only the ${DATA.why.tries} groups that take longest were tried.`, "small"));
  }
  if (subject.tried.length) made.push(element("h4", `To move it to ${DATA.why.device}`), element("ul", "", "reasons", subject.tried.map((line) => told(line, quoted))));
  return made;
}

/** A sentence, with the lines of .hw files that it names below it, each once. */
function told(line, quoted) {
  const found = [...line.matchAll(PLACE)].map(([place]) => place).filter((place) => DATA.why.lines[place] && !quoted.has(place));
  found.forEach((place) => quoted.add(place));
  return element("li", "", "", [named(line), ...found.map((place) => element("code", `${place.split(":")[1]} | ${DATA.why.lines[place]}`, "quoted"))]);
}
