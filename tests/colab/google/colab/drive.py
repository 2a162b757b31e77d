def mount(mountpoint: str, **options) -> None:
    raise RuntimeError("A notebook of the course asks for the reader's Drive.")
