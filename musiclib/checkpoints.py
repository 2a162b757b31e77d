"""Files of weights: a model's tensors with its configuration, in safetensors. One that is damaged, or that belongs to
another model, is refused in one sentence.

Notebook: 02 MusicSlots.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from musiclib.paths import atomic


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or of another configuration: the message names the file and the remedy."""


def save_weights(path: Path, model: nn.Module, about: dict, dtype: torch.dtype = torch.float32) -> None:
    """Weights with their model's configuration and `about` in one safetensors file; fp16 is what ships."""
    weights = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"musiclib": json.dumps({"config": asdict(model.config), "about": about})}
    with atomic(path) as temporary, told_as_os_error(path):
        save_file(weights, temporary, metadata)


def read_metadata(path: Path) -> tuple[dict, dict]:
    """The model configuration and the `about` of a file that `save_weights` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or carries no configuration.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = json.loads((file.metadata() or {})["musiclib"])
        return metadata["config"], metadata["about"]
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no checkpoint {path}: train it, or restore it from the repository.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}): check what it is and its rights.") from error
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint of this course ({error}): restore it from the repository, or train it again."
        ) from error


def configured(path: Path, kind: type, config: dict) -> Any:
    """The configuration that `read_metadata` found in a file, as one of its kind.

    Raises:
        CheckpointError: it is one of another kind.
    """
    try:
        return kind(**config)
    except TypeError as error:
        raise CheckpointError(f"{path} holds another kind of model than {kind.__name__}'s: train it again.") from error


def load_weights(path: Path, model: nn.Module) -> nn.Module:
    """Loads what `save_weights` wrote into a model of the same configuration.

    Raises:
        CheckpointError: the file is missing, damaged or of another configuration; the model is left as it was.
    """
    stored, _ = read_metadata(path)
    if differences := differences_of(stored, model.config):
        raise CheckpointError(f"{path} holds a model with {differences}: build that one, or train yours.")
    with safe_open(path, "pt") as file:
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 it is no dict
    load_state(path, model, weights)
    return model


def load_state(path: Path, model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Puts all of a model's tensors in their places.

    Raises:
        CheckpointError: names or shapes are others; the model is left as it was.
    """
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != expected:
        raise CheckpointError(f"{path} holds tensors of other names or shapes than this model: train it again.")
    model.load_state_dict(weights)


def as_json(values: dict) -> dict:
    """Values as they read back from a file: lists for tuples."""
    return json.loads(json.dumps(values))


def differences_of(stored: dict, *configs: Any) -> str:
    """Where a file and configurations differ; an option the file is too old to know had its default."""
    wanted = as_json({name: value for config in configs for name, value in asdict(config).items()})
    defaults = {f.name: f.default for config in configs for f in fields(config) if f.default is not MISSING}
    stored = as_json(defaults) | stored
    return "; ".join(f"{k}={stored.get(k)!r}, not {v!r}" for k, v in wanted.items() if stored.get(k) != v)


@contextmanager
def told_as_os_error(path: Path) -> Iterator[None]:
    """Torch and safetensors have errors of their own for a full disk."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(f"{path} could not be written ({type(error).__name__}): free disk space.") from error
