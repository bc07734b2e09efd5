// The mesh as a ring: members by zone and name, chords for live links. Nothing moves by itself, so
// what moves has changed. The table of members says the same in words.
import { byId, make } from "/static/page.js";

const SPACE = "http://www.w3.org/2000/svg", MOST = 150;
let drawn = "";

function svg(tag, attributes, text) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function draw(found) {
  if (byId("view-mesh").hidden) { drawn = ""; return; }
  const rows = found.members.filter((row) => row.state !== "left").sort((a, b) =>
    String(a.zone).localeCompare(String(b.zone)) || a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
  const shown = rows.slice(0, MOST), own = found.status.node_id;
  const size = Math.max(320, Math.min(760, byId("mesh-graph").clientWidth));
  const key = JSON.stringify([size, shown.map((row) => [row.id, row.state, row.zone]), found.map]);
  byId("mesh-told").textContent = `${rows.length} members, ${found.map.length} links` + (rows.length > MOST ? `; the first ${MOST} are drawn` : "") + ". Filled: alive; hollow: not; blue: links of this node.";
  if (key === drawn) return;
  drawn = key;
  const middle = size / 2, radius = middle - 80;
  const picture = svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "group", "aria-label": "Ring of members and their links" });
  const place = new Map(shown.map((row, i) => {
    const angle = (2 * Math.PI * i) / Math.max(1, shown.length) - Math.PI / 2;
    return [row.id, [middle + radius * Math.cos(angle), middle + radius * Math.sin(angle), angle]];
  }));
  for (const [one, other] of found.map) {
    if (!place.has(one) || !place.has(other)) continue;
    const [x1, y1] = place.get(one), [x2, y2] = place.get(other);
    picture.append(svg("line", { x1, y1, x2, y2, ...(one === own || other === own ? { class: "own" } : {}) }));
  }
  for (const row of shown) {
    const [x, y, angle] = place.get(row.id), right = Math.cos(angle) >= 0;
    const node = svg("a", { href: "#/members/" + row.id, class: row.state, tabindex: 0 });
    const links = found.map.filter((pair) => pair.includes(row.id)).length;
    node.append(svg("title", {}, `${row.name}, ${row.state}, ${links} links${row.zone ? ", zone " + row.zone : ""}`));
    node.append(svg("circle", { cx: x, cy: y, r: shown.length > 60 ? 5 : 9 }));
    if (shown.length <= 60) {
      node.append(svg("text", { x: x + (right ? 14 : -14) * Math.abs(Math.cos(angle)), y: y + 5 + 20 * Math.sin(angle), "text-anchor": Math.abs(Math.cos(angle)) < 0.15 ? "middle" : right ? "start" : "end" },
        row.name + (row.id === own ? " *" : "") + (row.zone ? ` (${row.zone})` : "")));
    }
    picture.append(node);
  }
  byId("mesh-graph").replaceChildren(picture);
}
