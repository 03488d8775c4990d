// Notes that this page is being signed out of, before any module is loaded: those that come later ask nothing any more.
const note = ({ target }) => {
  if (new URL(target.action).pathname.endsWith("/sign-out")) document.documentElement.dataset.leaving = "";
};
document.addEventListener("submit", note, { capture: true }); // before those who look whether it is noted
