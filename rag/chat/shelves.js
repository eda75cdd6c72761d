// ---- the shelves at the side: history, library, settings; one of them is open, or none
function openShelf(name, keep = true) {
  if (name) frame().dataset.shelf = name; else delete frame().dataset.shelf;
  for (const button of $$("button[data-shelf]")) button.setAttribute("aria-expanded", button.dataset.shelf === name);
  if (keep) stored("rag-shelf", name);
}

// ---- history
let looking = 0;
async function listTalks() {
  const mine = ++looking, looked = $("#find-talk")?.value ?? "";
  const reply = await fetch(`page/talks?words=${encodeURIComponent(looked)}`).catch(() => null);
  const html = reply ? await reply.text() : SILENT;
  if (mine === looking) putTalks(html);
}
function putTalks(html) {
  $("#talk-list").innerHTML = html;
  for (const row of $$("#talk-list li")) row.classList.toggle("current", row.dataset.id === talk);
}
function talkAct(button) {
  const row = button.closest("li"), id = row.dataset.id, does = button.dataset.talk;
  if (does === "md" || does === "json") { closeMenus(); return download(`page/talk/${id}/export.${does}`); }
  if (does === "rename") { closeMenus(); return renameTalk(row); }
  sure(button, words("delete"), async () => {
    await send("DELETE", `page/talk/${id}`).catch(() => null);
    if (id === talk) newTalk();
    listTalks();
  });
}
function renameTalk(row) {
  renameIn($(".open-talk", row), $(".open-talk span", row).textContent, words("talk_name"), async (title) => {
    await send("PUT", `page/talk/${row.dataset.id}`, { title }).catch(() => null);
    listTalks();
  }, listTalks);
}
// A field in the place of a name; Enter, or leaving it, keeps what was written, Escape does not.
function renameIn(place, value, label, keep, leave = () => reloadShelf()) {
  const field = document.createElement("input");
  field.className = "rename";
  field.value = value;
  field.maxLength = 100;
  field.dir = "auto";
  field.setAttribute("aria-label", label);
  let over = false;
  const end = (act) => { if (!over) { over = true; act(); } };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") end(() => keep(field.value));
    if (event.key === "Escape") { event.stopPropagation(); end(leave); }
  });
  field.addEventListener("blur", () => end(() => keep(field.value)));
  place.replaceWith(field);
  field.select();
}
// A button that takes something away asks once more.
function sure(button, name, act) {
  if (button.dataset.sure) return act();
  button.dataset.sure = 1;
  button.textContent = words("really");
  setTimeout(() => { delete button.dataset.sure; button.textContent = name; }, 3000);
}

// ---- which documents to look into: all but the unticked, kept by id because the list is drawn anew, and of those the
// kinds and days that were chosen. Both are remembered by the browser.
const remembered = (key, otherwise) => { try { return JSON.parse(stored(key)) ?? otherwise; } catch { return otherwise; } };
const unticked = new Set(remembered("rag-unticked", []));
let narrowed = remembered("rag-filter", {});   // { type, since, until }: what is absent lets all pass
const passes = (book) => (!narrowed.type || book.dataset.type === narrowed.type)
  && (!narrowed.since || book.dataset.dated >= narrowed.since) && (!narrowed.until || book.dataset.dated <= narrowed.until);
function tick() {
  const books = $$(".shelf-list li");
  for (const book of books) { $("[data-tick]", book).checked = !unticked.has($("[data-tick]", book).dataset.tick); book.hidden = !passes(book); }
  for (const set of $$("[data-set-of]")) {
    const inside = $$(`[data-in="${CSS.escape(set.dataset.setOf)}"] [data-tick]`), on = inside.filter((one) => one.checked).length;
    set.checked = on === inside.length;
    set.indeterminate = on > 0 && on < inside.length;
  }
  const on = books.filter((book) => !book.hidden && $("[data-tick]", book).checked).length;
  stored("rag-unticked", JSON.stringify([...unticked]));
  box().placeholder = words(on === books.length ? "ask_all" : "ask_some", { on, all: books.length });
}
function putShelf(parts) {
  $("#shelf").innerHTML = parts.shelf;
  const there = new Set($$("[data-tick]").map((one) => one.dataset.tick));
  if (there.size) for (const id of unticked) if (!there.has(id)) unticked.delete(id);
  if (parts.limits) limits = parts.limits;
  putCollections(parts.collections ?? []);
  putFilters(parts.types ?? []);
  tick();
}
function putFilters(types) {
  const place = $("#filters");
  if (!$("details", place)) place.innerHTML = FILTERS;
  const select = $("[data-narrow=type]", place);
  select.replaceChildren(new Option(words("every_kind"), ""), ...types.map(([value, name]) => new Option(name, value)));
  if (!types.some(([value]) => value === narrowed.type)) delete narrowed.type;
  for (const field of $$("[data-narrow]", place)) field.value = narrowed[field.dataset.narrow] ?? "";
  place.hidden = types.length === 0;
  showNarrowed();
}
const FILTERS = `<details><summary class="plain">${words("some")}</summary><div class="narrow">
<label>${words("kind")} <select data-narrow="type"></select></label><label>${words("from")} <input type="date" data-narrow="since"></label>
<label>${words("to")} <input type="date" data-narrow="until"></label>
<button type="button" class="plain" data-do="widen">${words("show_all")}</button></div></details>`;
function showNarrowed() {
  const on = Object.keys(narrowed).length > 0, details = $("#filters details");
  details.classList.toggle("on", on);
  if (on) details.open = true;
}
function narrowBy(key, value) {
  if (value) narrowed[key] = value; else delete narrowed[key];
  stored("rag-filter", JSON.stringify(narrowed));
  showNarrowed();
  tick();
}
function widen() {
  narrowed = {};
  stored("rag-filter", "{}");
  for (const field of $$("[data-narrow]")) field.value = "";
  showNarrowed();
  tick();
}
async function reloadShelf() {
  const parts = await get("page/shelf").catch(() => null);
  if (!parts) return;
  putShelf(parts);
  if (!talk && !$("#turns").children.length && (!$("#live .turn") || $("#live").classList.contains("gone"))) putEmpty(parts.empty);
}
function removeBook(button) {
  sure(button, words("remove"), async () => {
    const reply = await send("DELETE", `page/source/${encodeURIComponent(button.dataset.id)}`).catch(() => null);
    $("#gone-book").textContent = words(reply?.ok ? "removed" : "not_removed");
    reloadShelf();
  });
}

// ---- folders that are watched
const putWatching = (html) => { $("#watching").innerHTML = html; };
async function watchFolder(folder, on) {
  const reply = await send("PUT", "page/watching", { folder, on }).catch(() => null);
  const html = reply ? await reply.text() : SILENT;
  if (reply?.ok) { putWatching(html); for (const wait of [1500, 4000, 10000]) setTimeout(news, wait); }
  else { $("#watching .error")?.remove(); $("#watching .watching").insertAdjacentHTML("afterend", html); }
}
// What a watch has done is asked for while the library is open, until somebody types a new folder.
async function news() {
  if (frame().dataset.shelf !== "library" || $("#watching details[open]") || !$("#watching [data-watch]")) return;
  const reply = await fetch("page/watching").catch(() => null);
  if (!reply?.ok) return;
  const html = await reply.text(), before = $("#watching .watched").innerText;
  putWatching(html);
  if ($("#watching .watched").innerText !== before) reloadShelf();
}

function watchShelves() {
  watchFiles();
  setInterval(news, 5000);
  let soon = 0;
  $("#find-talk").addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(listTalks, 150); });
}

// ---- settings: kept by the browser, sent with each question
const chosen = () => { try { return JSON.parse(stored("rag-settings") ?? "{}"); } catch { return {}; } };
function showSettings(html) {
  $("#settings-panel").innerHTML = html;
  for (const one of $$("[data-set]")) one.value = chosen()[one.dataset.set] ?? "";
  $("[data-theme]").value = stored("rag-theme") ?? "";
  const language = $("[data-language]"), wanted = stored("rag-language");
  if (language) language.value = T.language;
  if (language && wanted && wanted !== T.language) speakIn(wanted);   // the server was started in another one
}
async function speakIn(language) {
  const reply = await send("PUT", "page/language", { language }).catch(() => null);
  stored("rag-language", reply?.ok ? language : "");
  if (reply?.ok) location.reload();
}
document.addEventListener("change", (event) => {
  const it = event.target, { tick: id, setOf, set, watch: folder } = it.dataset ?? {};
  if (folder !== undefined) watchFolder(folder, it.checked);
  if (id !== undefined) { if (it.checked) unticked.delete(id); else unticked.add(id); tick(); }
  if (setOf !== undefined) {
    for (const one of $$(`[data-in="${CSS.escape(setOf)}"] [data-tick]`)) if (it.checked) unticked.delete(one.dataset.tick); else unticked.add(one.dataset.tick);
    tick();
  }
  if (set !== undefined) {
    const now = { ...chosen(), [set]: it.value };
    if (!it.value) delete now[set];
    stored("rag-settings", JSON.stringify(now));
  }
  if (it.dataset?.narrow) narrowBy(it.dataset.narrow, it.value);
  if (it.id === "into") { $("#into-new").hidden = it.value !== "+"; if (it.value === "+") $("#into-new").focus(); }
  if (it.matches?.("[data-language]")) speakIn(it.value);
  if (it.matches?.("[data-theme]")) { stored("rag-theme", it.value); applyTheme(); }
});

// ---- the empty page, and questions to begin with as they are found
function putEmpty(html) {
  $("#empty").innerHTML = html;
  if ($("[data-ideas]")) ideas(0);
}
function ideas(tries) {
  setTimeout(async () => {
    const place = $("#empty [data-ideas]");
    if (!place || tries > 8) return;
    const parts = await get("page/ideas").catch(() => null);
    if (parts?.html) place.innerHTML = parts.html;
    if (parts && !parts.done) ideas(tries + 1);
  }, tries ? Math.min(1000 * 1.6 ** tries, 15000) : 300);
}

// ---- all of it, when the page opens
function begin(parts) {
  if (parts.history !== undefined) putTalks(parts.history);
  if (parts.shelf !== undefined) putShelf(parts);
  if (parts.watching) putWatching(parts.watching);
  if (parts.settings) showSettings(parts.settings);
  if (parts.writers) writers = parts.writers;
  if (parts.talk) showTalk(parts.talk);
  else { putEmpty(parts.empty ?? ""); if (parts.lost) $("#empty").insertAdjacentHTML("afterbegin", parts.lost); }
}
