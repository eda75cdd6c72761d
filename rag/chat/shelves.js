// ---- the shelves at the side: history, library, settings; one of them is open, or none
function openShelf(name, keep = true) {
  if (name) frame().dataset.shelf = name; else delete frame().dataset.shelf;
  for (const button of $$("button[data-shelf]")) button.setAttribute("aria-expanded", button.dataset.shelf === name);
  if (keep) stored("rag-shelf", name);
}

// ---- history
let looking = 0;
async function listTalks() {
  const mine = ++looking, words = $("#find-talk")?.value ?? "";
  const reply = await fetch(`page/talks?words=${encodeURIComponent(words)}`).catch(() => null);
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
  sure(button, "Delete", async () => {
    await send("DELETE", `page/talk/${id}`).catch(() => null);
    if (id === talk) newTalk();
    listTalks();
  });
}
function renameTalk(row) {
  const field = document.createElement("input");
  field.className = "rename";
  field.value = $(".open-talk span", row).textContent;
  field.maxLength = 120;
  field.dir = "auto";
  field.setAttribute("aria-label", "Name of the conversation");
  let over = false;
  const end = async (keep) => {
    if (over) return;
    over = true;
    if (keep) await send("PUT", `page/talk/${row.dataset.id}`, { title: field.value }).catch(() => null);
    listTalks();
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") { event.stopPropagation(); end(false); }
  });
  field.addEventListener("blur", () => end(true));
  $(".open-talk", row).replaceWith(field);
  field.select();
}
// A button that takes something away asks once more.
function sure(button, name, act) {
  if (button.dataset.sure) return act();
  button.dataset.sure = 1;
  button.textContent = "Really?";
  setTimeout(() => { delete button.dataset.sure; button.textContent = name; }, 3000);
}

// ---- which documents to look into: all but the unticked, kept by id because the list is drawn anew
const unticked = new Set();
function tick() {
  const boxes = $$("[data-tick]");
  for (const one of boxes) one.checked = !unticked.has(one.dataset.tick);
  for (const set of $$("[data-set-of]")) {
    const inside = $$(`[data-in="${CSS.escape(set.dataset.setOf)}"] [data-tick]`), on = inside.filter((one) => one.checked).length;
    set.checked = on === inside.length;
    set.indeterminate = on > 0 && on < inside.length;
  }
  const on = boxes.filter((one) => one.checked).length;
  box().placeholder = on === boxes.length ? "Ask your documents" : `Ask ${on} of ${boxes.length} documents`;
}
function putShelf(html) { $("#shelf").innerHTML = html; tick(); }
async function reloadShelf() {
  const parts = await get("page/shelf").catch(() => null);
  if (!parts) return;
  putShelf(parts.shelf);
  if (!talk && !$("#turns").children.length && (!$("#live .turn") || $("#live").classList.contains("gone"))) putEmpty(parts.empty);
}
function removeBook(button) {
  sure(button, "Remove", async () => {
    const reply = await send("DELETE", `page/source/${encodeURIComponent(button.dataset.id)}`).catch(() => null);
    $("#gone-book").textContent = reply?.ok ? "Removed." : "This could not be removed.";
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

// ---- files that are dropped anywhere on the page
function watchShelves() {
  const zone = $("#library");
  for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    if (frame().dataset.shelf !== "library") openShelf("library");
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    zone.classList.remove("over");
    const input = $("input[type=file]", $("#choose"));
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  new MutationObserver(() => { if ($("#report [data-done]")) reloadShelf(); }).observe($("#report"), { childList: true, subtree: true });
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
  if (parts.shelf !== undefined) putShelf(parts.shelf);
  if (parts.watching) putWatching(parts.watching);
  if (parts.settings) showSettings(parts.settings);
  if (parts.talk) showTalk(parts.talk);
  else { putEmpty(parts.empty ?? ""); if (parts.lost) $("#empty").insertAdjacentHTML("afterbegin", parts.lost); }
}
