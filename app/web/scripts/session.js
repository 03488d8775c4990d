// A session that has ended, or was signed out of in another tab: whatever the page asks for next leads to the page to sign in.
// Who signs out here is on the way there: nothing is asked any more, and what has no answer yet is given up. The answer
// would be 401, and the reload would take the place of that way.
(() => {
  const ask = window.fetch.bind(window);
  const never = new Promise(() => {});
  const unanswered = new Set();
  const isLeaving = () => "leaving" in document.documentElement.dataset; // sign_out.js notes it
  document.addEventListener("submit", () => {
    if (isLeaving()) for (const each of unanswered) each.abort();
  });
  const both = (own, ours) => (own && AbortSignal.any ? AbortSignal.any([own, ours]) : (own ?? ours));
  window.fetch = async (asked, how = {}) => {
    if (isLeaving()) return never;
    const given = new AbortController();
    unanswered.add(given);
    try {
      const own = how.signal ?? (asked instanceof Request ? asked.signal : null);
      const answer = await ask(asked, { ...how, signal: both(own, given.signal) });
      if (answer.status === 401 && new URL(answer.url).origin === location.origin) location.reload();
      return answer;
    } catch (problem) {
      if (isLeaving()) return never;
      throw problem;
    } finally {
      unanswered.delete(given);
    }
  };
})();
