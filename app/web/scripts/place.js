// The address names the tab that is shown, so that a reload, a bookmark and the page in the other language come back to
// it. The watch room and the events were tabs here, and links to them lead to their own pages.
window.vigilPlace = window.vigilPlace || (() => {
  const BUTTON = /^tab-(\w+)-button$/;
  const nameOf = (button) => BUTTON.exec(button.id)[1];
  const tabs = () => [...document.querySelectorAll("button[role=tab]")].filter((button) => BUTTON.test(button.id));

  const moved = () => {
    const [tab, id = ""] = location.hash.slice(1).split("/");
    if (tab === "room") return "watch";
    return tab === "review" ? `events${/^[\w-]+$/.test(id) ? `/${id}` : ""}` : "";
  };

  const write = () => {
    const shown = tabs().find((button) => button.getAttribute("aria-selected") === "true");
    if (!shown) return;
    const hash = `#${nameOf(shown)}`;
    if (location.hash !== hash) history.replaceState(history.state, "", hash);
  };

  const go = () => {
    const page = moved();
    if (page) location.replace(new URL(page, document.baseURI));
    else tabs().find((button) => nameOf(button) === location.hash.slice(1))?.click();
  };

  const begin = () => {
    go();
    new MutationObserver(write).observe(tabs()[0].parentElement, {
      subtree: true,
      attributes: true,
      attributeFilter: ["aria-selected"],
    });
    write();
    addEventListener("hashchange", go);
  };

  const waiting = new MutationObserver(() => {
    if (!tabs().length) return;
    waiting.disconnect();
    begin();
  });
  waiting.observe(document, { childList: true, subtree: true });

  addEventListener(
    "click",
    ({ target }) => {
      const link = target.closest?.("#vigil-language");
      if (link) link.hash = location.hash;
    },
    true,
  );
  return true;
})();
