def upload(**options) -> dict[str, bytes]:
    raise RuntimeError("A notebook of the course waits for the reader to upload a file.")


def download(filename: str) -> None:
    raise RuntimeError("A notebook of the course downloads a file to the reader without being asked.")
