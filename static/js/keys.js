/* Keys. None works while somebody types, nor with <html data-keys="off"> (WCAG 2.1.4); the page of "?" lists them all.
 *
 * .row-link, .latest a   what j and k walk
 * [data-walk]            a button that does so, by how far
 * [data-go]              a link of the navigation, by the key that follows "g"
 * [data-help]            the link to the page that lists them
 * [data-keys-switch]     a check box that turns the keys on and off, in a cookie that the server reads
 */
(() => {
  "use strict";
  const root = document.documentElement;
  const find = (selector) => document.querySelector(selector);
  const press = (selector) => find(selector)?.click();
  const isOn = () => root.dataset.keys !== "off";

  /* The row that was left last is where walking goes on, also when a swap or the drawer has taken the focus away. */
  let last = "";
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(".row-link, .latest a")) last = event.target.getAttribute("href");
  });

  const walk = (by) => {
    const links = [...document.querySelectorAll(".row-link, .latest a")];
    const drawer = find("#drawer");
    const at = links.findIndex((one) => one.getAttribute("href") === (drawer?.open ? drawer.dataset.from : last));
    if (drawer?.open && at < 0) return; // it shows something else than a row
    const next = links[at + by];
    if (!next) return by > 0 && press("[data-more]");
    if (drawer?.open) return next.click();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const period = (name) => {
    const links = document.querySelectorAll('[aria-label="Period"] a');
    const nameOf = (link) => new URL(link.href).searchParams.get("period") ?? "30d";
    [...links].find((link) => nameOf(link) === name)?.click();
  };

  const compare = () => {
    if (!find(".chart")) return;
    const url = new URL(location.href);
    const words = url.searchParams;
    if (words.get("compare") === "none") words.delete("compare");
    else words.set("compare", "none");
    location.href = url.href;
  };

  const search = () => {
    const field = find("[data-search]");
    field?.focus();
    field?.select();
  };

  const works = {
    j: () => walk(1),
    k: () => walk(-1),
    "/": search,
    "?": () => press("[data-help]"),
    d: () => period("24h"),
    w: () => period("7d"),
    m: () => period("30d"),
    q: () => period("90d"),
    x: compare,
    c: () => press("[data-copy-link]"),
    ".": () => press("[data-live-mark]"),
    g: () => setTimeout(() => (going = false), 1500) && (going = true),
  };

  let going = false;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (!isOn() || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const open = find("dialog[open]");
    if (open && (open.id !== "drawer" || !"jk".includes(event.key))) return;
    const page = going && find(`[data-go="${CSS.escape(event.key)}"]`);
    const work = page ? () => page.click() : Object.hasOwn(works, event.key) && works[event.key];
    going = false;
    if (!work) return;
    event.preventDefault();
    work();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-walk]");
    if (button) walk(Number(button.dataset.walk));
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-keys-switch]")) return;
    const off = !event.target.checked;
    document.cookie = `keys=off; path=/; samesite=lax; max-age=${off ? 31536000 : 0}`;
    root.dataset.keys = off ? "off" : "on";
  });
})();
