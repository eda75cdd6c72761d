// ---- the source panel: a document at its quote, its page as printed, the way through the citations
let opened = null;   // the chip or card that led here
let asked = 0;       // a later click wins over an earlier, slower one
const placesOf = (from) => {
  const seen = new Map();
  for (const place of $$("[data-quote]", from.closest(".turn, #panel, body")))
    if (!seen.has(place.dataset.n)) seen.set(place.dataset.n, place);
  return [...seen.values()].sort((a, b) => a.dataset.n - b.dataset.n);
};
async function openSource(place, focus) {
  const began = performance.now(), mine = ++asked, panel = $("#panel");
  const { source, quote, answer, sum } = place.dataset;
  let html;
  try {
    html = await (await fetch(`page/source/${encodeURIComponent(source)}?quote=${quote}&answer=${answer || ""}&sum=${sum || ""}`)).text();
  } catch { html = SILENT; }
  if (mine !== asked) return;
  hideCard();
  opened = place;
  for (const here of $$(".here")) here.classList.remove("here");
  const places = placesOf(place), at = places.findIndex((other) => other.dataset.n === place.dataset.n);
  for (const same of $$(`[data-n="${place.dataset.n}"]`, place.closest(".turn") ?? document.body)) same.classList.add("here");
  $(".count", panel).textContent = words("source_of", { n: at + 1, all: places.length });
  for (const step of $$("[data-step]", panel)) step.disabled = places.length < 2;
  $(".body", panel).innerHTML = html;
  panel.inert = false;
  frame().classList.add("reading");
  const mark = $("mark.key", panel) ?? $("mark", panel);
  if (mark) mark.scrollIntoView({ block: "center" }); else $(".body", panel).scrollTop = 0;
  if (focus) $("h2", panel)?.focus({ preventScroll: true });
  panel.dataset.ms = (performance.now() - began).toFixed(1);
  if (printed && $("[data-leaf]", panel)) showLeaf($("[data-leaf]", panel), true);
}
function step(by) {
  if (!opened) return;
  const places = placesOf(opened), at = places.findIndex((other) => other.dataset.n === opened.dataset.n);
  openSource(places[(at + by + places.length) % places.length], true);
}
function closeSource() {
  frame().classList.remove("reading");
  $("#panel").inert = true;
  for (const here of $$(".here")) here.classList.remove("here");
  opened?.focus({ preventScroll: true });
  opened = null;
}

// ---- the page as it is printed, drawn by the server when it is asked for, and from then on for every citation
let printed = false;
async function showLeaf(button, show = button.getAttribute("aria-pressed") !== "true") {
  const panel = $("#panel"), view = $(".leaf-view", panel), text = $(".text", panel);
  printed = show;
  button.setAttribute("aria-pressed", show);
  button.textContent = words(show ? "text" : "printed");
  text.hidden = show;
  view.hidden = !show;
  if (!show) return ($("mark.key", panel) ?? $("mark", panel))?.scrollIntoView({ block: "center" });
  if (!view.children.length) await drawLeaf("");
}
async function drawLeaf(page) {
  const mine = asked, panel = $("#panel"), view = $(".leaf-view", panel), button = $("[data-leaf]", panel);
  if (!view.children.length) view.innerHTML = `<p class="where" role="status">${words("drawing")}</p>`;
  let html;
  try { html = await (await fetch(`page/leaf/${encodeURIComponent(button.dataset.leaf)}?quote=${button.dataset.span}${page && `&page=${page}`}`)).text(); }
  catch { html = SILENT; }
  if (mine !== asked) return;   // another source was opened meanwhile
  view.innerHTML = html;
  for (const picture of $$("img", view)) await picture.decode?.().catch(() => {});
  if (mine === asked && printed) ($(".box", view) ?? view).scrollIntoView({ block: $(".box", view) ? "center" : "start" });
}
const turnLeaf = (page) => drawLeaf(String(page));
async function saveOriginal(button) {
  const url = `page/original/${encodeURIComponent(button.dataset.original)}`;
  const reply = await fetch(url).catch(() => null);
  if (reply?.ok) return download(url);
  button.insertAdjacentHTML("afterend", reply ? await reply.text() : SILENT);
  button.remove();
}
