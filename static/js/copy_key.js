// The Copy button of the pages that show a new API key or a new secret once.
"use strict";

(() => {
  const field = document.getElementById("shown-once");
  const button = document.getElementById("copy-key");
  const said = document.getElementById("copy-said");

  async function copy() {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Without HTTPS browsers offer no clipboard object, only this.
      if (!document.execCommand("copy")) {
        said.textContent = "The browser does not allow copying: it is selected, press Ctrl+C or ⌘C.";
        return;
      }
    }
    said.textContent = "Copied.";
  }

  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", copy);
  button.hidden = false;
})();
