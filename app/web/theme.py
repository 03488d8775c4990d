"""The look of the pages: Gradio's default theme with system fonts (nothing is fetched from elsewhere), and our CSS."""

import gradio as gr

CSS = """
/* Clipped, not hidden: what is hidden would be a window of its own, and nothing in it could stick to the browser's. */
.gradio-container { width: 100%; max-width: 1600px !important; margin: 0 auto !important; overflow: clip !important; }
.gradio-container .main.fillable { padding: 8px clamp(12px, 2.5vw, 32px) 16px !important; }
.gradio-container > main, .gradio-container main.contain { padding-top: 8px !important; }
.gradio-container .gap { gap: 10px; }
.vigil-head { align-items: center; gap: 12px; }
.vigil-head { flex-wrap: nowrap !important; }
.vigil-head > * { min-width: 0 !important; }
.vigil-head > :last-child { flex: 0 0 auto !important; width: auto !important; }
.vigil-head .html-container, #vigil-status .html-container { padding: 0 !important; }
.gradio-container .block:has(> .vigil-status), #vigil-status { padding: 0; margin: 0; }
.vigil-head h1 { margin: 0; font-size: 1.35rem; line-height: 1.2; }
.vigil-head .vigil-subtitle { color: var(--body-text-color-subdued); font-size: .85rem; font-weight: 400; }
.vigil-tools { display: flex; gap: 16px; justify-content: flex-end; align-items: center; font-size: .9rem; }
.vigil-tools > * { white-space: nowrap; }
.vigil-tools a, .vigil-tools button { color: var(--link-text-color); cursor: pointer; text-decoration: none;
  background: none; border: 0; padding: 4px 0; font: inherit; min-width: 0; box-shadow: none; }
.vigil-status { display: flex; flex-wrap: wrap; gap: 2px 18px; align-items: center; font-size: .85rem;
  padding: 6px 12px; border: 1px solid var(--border-color-primary); border-radius: 8px; }
.vigil-status.is-down { border-color: #c2410c; background: color-mix(in srgb, #c2410c 12%, transparent); }
.vigil-status b { font-weight: 500; color: var(--body-text-color-subdued); }
.vigil-status .bad { color: #c2410c; }
.vigil-status .vigil-pair { overflow-wrap: anywhere; }
.vigil-lamp::before { content: ""; display: inline-block; width: .65em; height: .65em; border-radius: 50%;
  margin-right: .5em; background: #9ca3af; }
.vigil-lamp.is-up::before { background: #16a34a; }
.vigil-lamp.is-down::before { background: #dc2626; }
.vigil-too-big { position: fixed; z-index: 1000; top: 12px; left: 50%; transform: translateX(-50%);
  width: min(640px, 94vw); padding: 12px 16px !important; border: 0; border-left: 5px solid #dc2626; border-radius: 8px;
  cursor: pointer; font: inherit; text-align: left; overflow-wrap: anywhere; color: var(--body-text-color);
  background: var(--background-fill-secondary); box-shadow: 0 4px 24px #0006; }
.vigil-lamp { font-weight: 600; white-space: nowrap; }
@media (hover: none) {
  .js-plotly-plot .modebar-container { display: none; }
}
@media (max-width: 640px) {
  .vigil-subtitle { display: none; }
  .vigil-tools { gap: 12px; font-size: .85rem; }
  .tab-container button { padding-left: 8px; padding-right: 8px; }
  #analysis-file button .wrap { padding-top: 40px; }
}
footer { display: none !important; }
"""

SWITCH_THEME = (
    "const dark = !document.body.classList.contains('dark');"
    "localStorage.setItem('vigil-theme', dark ? 'dark' : 'light');"
    "document.body.classList.toggle('dark', dark);"
)

HEAD = """
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>
(() => {
  // Gradio applies the browser's preference when it starts; a theme that was chosen here takes precedence.
  const keep = () => {
    const chosen = localStorage.getItem('vigil-theme');
    if (chosen && document.body.classList.contains('dark') !== (chosen === 'dark'))
      document.body.classList.toggle('dark', chosen === 'dark');
  };
  new MutationObserver(keep).observe(document.body, { attributes: true, attributeFilter: ['class'] });
  keep();
})();
</script>
"""


def theme() -> gr.themes.Base:
    """Calm colours and system fonts; small grey text has a contrast of at least 4.5:1 on white and on black."""
    made = gr.themes.Default(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "-apple-system", "Segoe UI", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
    return made.set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )
