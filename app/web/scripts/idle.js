// Gradio's sign of loading counts tenths of a second in every frame, also when it has gone: its count comes ten times
// a second. It is known by its source; were that to change, it would count in every frame again.
{
  const next = window.requestAnimationFrame.bind(window);
  const counts = (callback) => /performance\.now\(\)-.{1,20}\/1e3/.test(String(callback).slice(0, 200));
  const SOON_MS = 100;
  window.requestAnimationFrame = (callback) =>
    counts(callback) ? setTimeout(() => callback(performance.now()), SOON_MS) : next(callback);
}
