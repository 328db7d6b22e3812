// The admin's search among many objects is a box of its own making, which says what is chosen but not what it is for.
"use strict";

// The boxes are made as soon as the page is read, which is before this.
addEventListener("load", () => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const shown = document.getElementById(`select2-${select.id}-container`);
    const label = document.querySelector(`label[for="${select.id}"]`);
    if (shown && label) shown.setAttribute("aria-label", label.textContent.trim().replace(/:$/, ""));
  }
});
addEventListener("focusin", ({ target }) => {
  if (target.matches(".select2-search__field")) target.setAttribute("aria-label", "Search");
});
