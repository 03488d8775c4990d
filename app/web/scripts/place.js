// The address names what is shown, the tab and the event that is open in the review: `#review/EVENT`. A reload, a
// bookmark and the page in the other language come back to it.
window.vigilPlace = window.vigilPlace || (() => {
  const BUTTON = /^tab-(\w+)-button$/;
  const nameOf = (button) => BUTTON.exec(button.id)[1];
  const tabs = () => [...document.querySelectorAll("button[role=tab]")].filter((button) => BUTTON.test(button.id));
  let event = "";

  const named = () => {
    const [tab, id = ""] = location.hash.slice(1).split("/");
    try {
      return { tab, id: decodeURIComponent(id) };
    } catch {
      return { tab, id: "" };
    }
  };

  const write = () => {
    const shown = tabs().find((button) => button.getAttribute("aria-selected") === "true");
    if (!shown) return;
    const tab = nameOf(shown);
    const hash = `#${tab}${tab === "review" && event ? `/${encodeURIComponent(event)}` : ""}`;
    if (location.hash !== hash) history.replaceState(history.state, "", hash);
  };

  const go = () => {
    const { tab, id } = named();
    tabs().find((button) => nameOf(button) === tab)?.click();
    if (tab !== "review" || !id || id === event) return;
    window.vigilWantedEvent = event = id;
    document.dispatchEvent(new CustomEvent("vigil-open-event"));
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

  return {
    open(id) {
      event = id;
      write();
    },
  };
})();
