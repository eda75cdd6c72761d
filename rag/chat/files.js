// ---- files for the library: dropped anywhere or chosen, folders too; each has a row that says how far it is
let limits = { files: 500, mb: 100 };
let shelving = Promise.resolve();   // one batch after the other
// Everything under what was dropped: [{ file, path }]. Entries must be asked for before the event is over.
function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.length || entries.includes(null)) return Promise.resolve([...transfer.files].map((file) => ({ file, path: file.name })));
  return Promise.all(entries.map(under)).then((lists) => lists.flat());
}
async function under(entry) {
  if (entry.name.startsWith(".")) return [];   // what systems leave in folders is nobody's document
  if (entry.isFile) return [{ file: await new Promise((yes, no) => entry.file(yes, no)).catch(() => null), path: entry.fullPath.slice(1) }];
  const reader = entry.createReader(), inside = [];
  for (;;) {   // a folder is told in parts
    const some = await new Promise((yes, no) => reader.readEntries(yes, no)).catch(() => []);
    if (!some.length) break;
    inside.push(...some);
  }
  return (await Promise.all(inside.map(under))).flat();
}
function picked(input) {
  const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  input.value = "";
  return files.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));
}
function shelve(files) {
  shelving = shelving.then(() => batch(files)).catch(() => tellAll(words("not_added"), true));
}
async function batch(files) {
  if (!files.length) return;
  const told = document.createElement("div");   // marked as done at the end
  told.append(Object.assign(document.createElement("p"), { className: "all" }), document.createElement("ul"));
  $(".all", told).setAttribute("role", "status");
  $("#report").replaceChildren(told);
  await sendAll(files);
  told.dataset.done = "1";
}
async function sendAll(files) {
  if (files.length > limits.files) return tellAll(words("too_many", { n: files.length, most: limits.files }), true);
  const collection = intoCollection(), waiting = files.map(({ file, path }) => ({ file, row: rowOf(path) }));
  tellAll(words(files.length === 1 ? "on_the_way_one" : "on_the_way_many", { n: files.length }));
  const keys = new Map();
  let refused = 0;
  for (const { file, row } of waiting) {
    const why = tooMuch(file);
    const sent = why ? { why } : await transfer(file, row);
    if (sent.key) { keys.set(sent.key, row); put(row, "sent"); } else { refused += 1; put(row, "refused", [sent.why]); }
  }
  const end = keys.size ? await bring(keys, collection) : {};
  const parts = [end.said, refused ? words("not_taken", { n: refused }) : ""].filter(Boolean);
  tellAll(end.trouble ?? (parts.join(", ") || words("nothing_added")), Boolean(end.trouble));
  reloadShelf();
}
// Looked at before anything is sent.
function tooMuch(file) {
  if (!file) return words("unreadable");
  if (file.size > limits.mb * 2 ** 20) return words("too_large", { mb: limits.mb });
  return file.size ? "" : words("no_bytes");
}
function rowOf(path) {
  const row = document.createElement("li"), name = document.createElement("span"), bar = document.createElement("progress");
  name.className = "name";
  name.dir = "auto";
  name.textContent = name.title = path;
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", path);
  row.append(name, bar, document.createElement("small"));
  $("#report ul").append(row);
  put(row, "waiting");
  return row;
}
function put(row, state, more = [], part = 0) {   // part: of a large file, 0 where it is not known
  row.dataset.state = state;
  $("small", row).textContent = [words(state), ...more].filter(Boolean).join(": ");
  const bar = $("progress", row);
  if (state === "reading") { if (part) bar.value = part; else bar.removeAttribute("value"); }
  bar.hidden = !["sending", "sent", "reading"].includes(state);
}
function transfer(file, row) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `page/upload?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (event) => { $("progress", row).value = event.loaded / (event.total || 1); };
    request.onload = () => { try { done(JSON.parse(request.responseText)); } catch { done({ why: words("server_refused") }); } };
    request.onerror = () => done({ why: words("not_sent") });
    put(row, "sending");
    request.send(file);
  });
}
async function bring(keys, collection) {
  const reply = await send("POST", "page/add", { keys: [...keys.keys()], collection }).catch(() => null);
  if (!reply?.ok) return { trouble: words("silent") };
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "", end = {};
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return end;
    const lines = (left + value).split("\n");
    left = lines.pop();
    for (const news of lines.map((line) => JSON.parse(line))) {
      if (news.state) put(keys.get(news.key) ?? rowOf(news.name), news.state, [news.why, ...(news.notes ?? [])].filter(Boolean), news.part);
      else end = news;
    }
  }
}
function tellAll(text, bad = false) {
  const all = $("#report .all");
  all.textContent = text;
  all.classList.toggle("error", bad);
}
function watchFiles() {
  const zone = $("#library");
  for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    if (frame().dataset.shelf !== "library") openShelf("library");
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    zone.classList.remove("over");
    dropped(event.dataTransfer).then((files) => shelve(files.filter(Boolean)));
  });
  for (const input of $$("#choose input")) input.addEventListener("change", () => shelve(picked(input)));
}

// ---- the collection that files go into
function intoCollection() {
  const chosen = $("#into").value;
  return chosen === "+" ? $("#into-new").value.trim() : chosen;
}
function putCollections(names) {
  const select = $("#into"), now = intoCollection();
  const fixed = [["", words("own_place")], ...names.map((name) => [name, name]), ["+", words("new_set")]];
  select.replaceChildren(...fixed.map(([value, text]) => new Option(text, value)));
  select.value = names.includes(now) ? now : "";
  $("#into-new").hidden = select.value !== "+";
}
function actOnSet(button) {
  const head = button.closest(".set-head"), old = head.dataset.name;
  if (button.dataset.setDoes === "rename") {
    closeMenus();
    return renameIn($(".set span", head), old, words("set_name"), async (name) => {
      if (name.trim() && name !== old) await send("PUT", "page/collection", { old, new: name }).catch(() => null);
      reloadShelf();
    });
  }
  sure(button, words("remove_all"), async () => {
    const reply = await send("DELETE", `page/collection?name=${encodeURIComponent(old)}`).catch(() => null);
    $("#gone-book").textContent = words(reply?.ok ? "removed" : "not_removed");
    reloadShelf();
  });
}
