/* What pages do beyond plain links and forms. Everything here has a way without script.
 *
 * [data-live]        an htmx region polled every 2 s; not while the page is hidden or live is paused, and less often
 *                    where the server takes long for it: a page that stays open has a tenth of its time at most
 * [data-live-mark]   says live / reconnecting / paused, and pauses
 * [data-keep-open]   a <details> with an id that stays open over a swap
 * [data-row]         a row with a stable key: one that is new after a live swap is marked .fresh
 * [data-drawer]      a link whose page opens in the drawer
 * [data-copy]        a button that copies the attribute's text
 * [data-copy-link]   a button that copies the page's address, filters and all
 * .drop              a <details> that opens over the page: Esc and a click elsewhere close it
 * [data-announce]    its text is read out after a swap that the person asked for
 * [data-more]        the link that appends rows
 * .rows .row-link    the link that its whole table row follows
 */
(() => {
  "use strict";
  const root = document.documentElement;
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.dataset.js = "";
  /* Pages may then begin with what is quick to know: the live part brings the rest. */
  document.cookie = "script=on; path=/; samesite=lax";

  /* On a narrow page the row of tabs scrolls: the one that is open is seen. */
  const tab = find(".tabs [aria-current]");
  if (tab) tab.closest(".tabs").scrollLeft = tab.offsetLeft - tab.closest(".tabs").clientWidth / 2;

  const announce = (text) => {
    const line = find("#announce");
    if (line) line.textContent = text;
  };

  let toastTimer;
  const toast = (text) => {
    const box = find("#toast");
    if (!box) return;
    box.hidden = false;
    box.textContent = text;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => (box.hidden = true), 6000);
  };

  /* Theme: the cookie is what the server reads; the admin reads localStorage. */

  const rememberForAdmin = (theme) => {
    try {
      localStorage.setItem("theme", theme);
    } catch {
      /* storage may be forbidden: then the admin follows the system */
    }
  };

  const themes = ["auto", "light", "dark"];
  const setTheme = (theme, form) => {
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    root.dataset.theme = theme;
    rememberForAdmin(theme);
    find("button", form).value = themes[(themes.indexOf(theme) + 1) % themes.length];
    find("[data-theme-name]", form).textContent = theme;
    announce(`Theme: ${theme}`);
    document.dispatchEvent(new Event("fg:theme"));
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-form]")) return;
    event.preventDefault();
    setTheme(find("button", form).value, form);
  });

  if (themes.includes(root.dataset.theme)) rememberForAdmin(root.dataset.theme);

  /* Copy */

  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea"); // plain http on another host has no clipboard API
    field.value = text;
    (find("dialog[open]") ?? document.body).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("copy was refused");
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-link]");
    if (!button) return;
    try {
      await copy(button.dataset.copy ?? location.href);
      announce("Copied");
      const word = find("[data-copy-word]", button);
      const before = word?.dataset.before ?? word?.textContent;
      if (!word) return;
      word.dataset.before = before;
      word.textContent = "Copied";
      setTimeout(() => (word.textContent = before), 1600);
    } catch {
      toast("The browser did not allow copying. Select the text and copy it by hand.");
    }
  });

  /* Live */

  let paused = false;
  let state = "live";
  let since = "";
  let askedAt = 0;
  let restsUntil = 0;
  const QUICK_MS = 250;

  const showLive = () => {
    const shown = paused ? "paused" : state;
    const words = { live: "Live", stale: `Reconnecting, as of ${since}`, paused: "Paused" };
    for (const mark of all("[data-live-mark]")) {
      mark.dataset.state = shown;
      mark.setAttribute("aria-pressed", String(paused));
      mark.title = paused ? "Resume live updates" : "Pause live updates";
      find("[data-live-word]", mark).textContent = words[shown];
    }
  };

  const poll = () => {
    for (const region of all("[data-live]")) htmx.trigger(region, "fg:refresh");
  };

  const setState = (next) => {
    if (next === "live") since = new Date().toLocaleTimeString("en-GB");
    if (next === state) return;
    state = next;
    showLive();
  };

  since = new Date().toLocaleTimeString("en-GB");

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-live-mark]")) return;
    paused = !paused;
    showLive();
    if (!paused) poll();
  });

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) poll();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) poll();
  });

  const isPoll = (event) => Boolean(event.detail.elt?.matches?.("[data-live]"));

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isPoll(event)) {
      if (document.hidden || paused || Date.now() < restsUntil) event.preventDefault();
      else askedAt = Date.now();
      return;
    }
    event.detail.target?.setAttribute("aria-busy", "true");
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    event.detail.target?.removeAttribute("aria-busy");
    if (!isPoll(event)) return;
    const took = Date.now() - askedAt;
    restsUntil = took > QUICK_MS ? Date.now() + 9 * took : 0;
    setState(event.detail.successful ? "live" : "stale");
  });

  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (!isPoll(event)) toast("The server did not answer. Nothing was changed; try again.");
    });
  }

  /* Swaps keep what the person was doing: focus, open tables, sideways scroll. */

  const swaps = new WeakMap(); // by request: a poll may be answered while another swap settles

  const focusKey = (element) => {
    if (!element || element === document.body) return "";
    if (element.id) return `#${CSS.escape(element.id)}`;
    const href = element.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : "";
  };

  /* What is pressed stays until it is let go: a click is lost whose element is another one by then. */
  let pressed = false;
  document.addEventListener("pointerdown", () => (pressed = true), true);
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => setTimeout(() => (pressed = false)), true);
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (pressed && isPoll(event)) event.detail.shouldSwap = false; // the next poll brings it
    const { target, requestConfig, shouldSwap, xhr } = event.detail;
    if (!shouldSwap) return;
    const more = requestConfig?.elt?.closest?.("[data-more]");
    swaps.set(xhr, {
      poll: isPoll(event),
      focus: target.contains(document.activeElement) ? focusKey(document.activeElement) : "",
      open: new Set(all("details[data-keep-open][open]").map((one) => one.id)),
      scrolled: all(".scroll[id]").map((one) => [one.id, one.scrollLeft, one.scrollTop]),
      rows: new Set(all("[data-row]").map((one) => one.dataset.row)),
      lastRow: more?.closest("tr")?.previousElementSibling ?? null,
    });
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const before = swaps.get(event.detail.xhr);
    if (!before) return;
    for (const one of all("details[data-keep-open]")) if (before.open.has(one.id)) one.open = true;
    for (const [id, left, top] of before.scrolled) document.getElementById(id)?.scrollTo(left, top);
    if (!before.poll) return;
    for (const one of all("[data-row]")) if (!before.rows.has(one.dataset.row)) one.classList.add("fresh");
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    const before = swaps.get(event.detail.xhr);
    if (!before) return;
    swaps.delete(event.detail.xhr);
    const news = before.poll ? null : find("[data-announce]");
    if (news) announce(news.textContent.trim());
    if (before.lastRow) find("a", before.lastRow.nextElementSibling ?? document)?.focus();
    else if (before.focus && document.activeElement === document.body) {
      find(before.focus)?.focus({ preventScroll: true });
    }
    showLive();
  });

  /* Drawer: the link's page as a fragment in a dialog; Esc closes it. */

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-drawer]");
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    const drawer = find("#drawer");
    if (!link || !plain || !drawer || event.defaultPrevented) return;
    event.preventDefault();
    const body = find("#drawer-body");
    if (!drawer.open) {
      body.replaceChildren();
      drawer.showModal();
    }
    drawer.dataset.from = link.getAttribute("href");
    find("#drawer-page").href = link.href;
    try {
      await htmx.ajax("GET", link.href, { source: body, target: body, swap: "innerHTML" });
    } catch {
      drawer.close();
      return;
    }
    drawer.scrollTop = 0;
    const heading = find("h1, h2", body);
    if (!heading) return void (location.href = link.href);
    heading.tabIndex = -1;
    heading.focus();
  });

  document.addEventListener("click", (event) => {
    if (event.target.matches("dialog")) event.target.close(); // the backdrop
  });

  /* The browser gives the focus back to the row that opened the drawer, which was walked on from since. */
  const drawer = find("#drawer");
  drawer?.addEventListener("close", () => find(`[data-drawer][href="${CSS.escape(drawer.dataset.from)}"]`)?.focus());

  const closeDrops = (but) => {
    for (const one of all(".drop[open]")) if (one !== but) one.open = false;
  };
  document.addEventListener("click", (event) => closeDrops(event.target.closest(".drop")));
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && find(".drop[open]");
    if (!open) return;
    closeDrops();
    find("summary", open).focus();
  });

  /* A click anywhere in a row is a click on its link, with the same keys held; selecting text is not. */
  document.addEventListener("click", (event) => {
    const row = event.target.closest(".rows tbody tr");
    const link = row && find(".row-link", row);
    if (!link || event.target.closest("a, button, input, summary") || !getSelection().isCollapsed) return;
    const { ctrlKey, metaKey, shiftKey } = event;
    link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey }));
  });
})();
