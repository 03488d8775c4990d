// A session that has ended, or was signed out of in another tab: whatever the page asks for next leads to the page to sign in.
(() => {
  const ask = window.fetch.bind(window);
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    if (answer.status === 401 && new URL(answer.url).origin === location.origin) location.reload();
    return answer;
  };
})();
