"""A Sphinx extension: every picture of a notebook's output gets the alternative text that its output carries.

MyST-NB knows one text per cell, Jupyter one per output: `metadata["image/png"]["alt"]`, where nbconvert looks too.
"""

from functools import wraps

from myst_nb.core.render import NbElementRenderer


def setup(app):
    plain = NbElementRenderer.render_image

    @wraps(plain)
    def render_image(self, data):
        (picture,) = plain(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt")
        if alt:
            picture["alt"] = alt
        return [picture]

    NbElementRenderer.render_image = render_image
    return {"parallel_read_safe": True, "parallel_write_safe": True}
