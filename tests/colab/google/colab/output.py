def eval_js(script: str, **options) -> None:
    raise RuntimeError("A notebook of the course needs Colab's own JavaScript.")


def enable_custom_widget_manager() -> None:
    raise RuntimeError("A notebook of the course uses a widget that is not of ipywidgets: Colab fetches those.")
