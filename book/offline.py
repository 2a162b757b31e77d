"""A Sphinx extension: what jupyter-book lacks to make this book of these notebooks.

- Every picture of an output gets the alternative text that its output carries. MyST-NB knows one text per cell, Jupyter
  one per output: `metadata["image/png"]["alt"]`, where nbconvert looks too.
- Thebe, which runs cells on another host, is part of jupyter-book and cannot be configured away; what
  would put its scripts into the pages is taken out.
"""

from functools import wraps

from myst_nb.core.render import NbElementRenderer
from sphinx_thebe import init_thebe_core, update_thebe_context


def setup(app):
    without_thebe(app)
    NbElementRenderer.render_image = with_alt(NbElementRenderer.render_image)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def with_alt(render_image):
    @wraps(render_image)
    def render(self, data):
        pictures = render_image(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt")
        for picture in pictures if alt else ():
            picture["alt"] = alt
        return pictures

    return render


def without_thebe(app):
    for listeners in app.events.listeners.values():
        listeners[:] = [each for each in listeners if each.handler not in (init_thebe_core, update_thebe_context)]
