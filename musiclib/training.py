"""The one training loop of the course: a laptop, a Colab GPU and a cluster run the same lines.

Randomness is stateless: part p of step n draws from (seed, n, p) alone. So a run that was killed and resumed walks
the same loss curve as one that was not, and a checkpoint needs no generator states. A batch is taken in as many parts
as there are processes, or more; who takes which part does not matter, so one process walks the curve of many.

Notebook: 02 MusicSlots.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from musiclib.checkpoints import CheckpointError, as_json, differences_of, load_state, save_weights, told_as_os_error
from musiclib.paths import atomic
from musiclib.processes import agreed, of_first
from musiclib.progress import progress_bar

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it says on stderr which precision it uses


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Attributes:
        steps: optimizer steps. batch: examples per step over all devices.
        learning_rate: of Adam, reached after `warmup` steps, then cosine to zero at `decay_steps` (None: `steps`),
            or, if there is a `decay_factor`, multiplied by it at each step towards `least_rate`.
        clip_norm: gradient norm above which gradients are scaled down, None for never.
        evaluate_every: steps between evaluations; the best weights by `select` are kept.
    """

    steps: int
    batch: int = 32
    learning_rate: float = 1e-4
    warmup: int = 0
    decay_steps: int | None = None
    decay_factor: float | None = None
    least_rate: float = 1e-5
    clip_norm: float | None = 1.0
    seed: int = 0
    evaluate_every: int = 1000

    def learning_rate_at(self, step: int) -> float:
        if self.decay_factor:
            return (self.learning_rate - self.least_rate) * self.decay_factor**step + self.least_rate
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / (self.decay_steps or self.steps)))


@dataclass
class History:
    """What a run has done so far: the loss of every step, and the scores of every evaluation with their step.

    Attributes:
        parts: in how many each batch is taken; see `fit`.
    """

    loss: list[float] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    wall_s: float = 0.0
    finished: bool = False
    parts: int = 1


def precision_of(device: torch.device) -> str:
    """Mixed precision where the hardware has it: bf16 on recent GPUs and CPUs, fp16 on older GPUs, else fp32."""
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16"):
        return "bf16-mixed"
    return "32-true"


def autocast(device: torch.device) -> torch.autocast:
    """The same precision outside the loop, for evaluation: `with autocast(device): ...`."""
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision_of(device))
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def launch() -> Fabric:
    """A Fabric on the best accelerator here, with mixed precision; under `fabric run` or torchrun it joins the others,
    and from then on "cuda" is this process's own GPU."""
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    precision = precision_of(torch.device(accelerator))
    if os.environ.get("LT_CLI_USED") == "1":  # `fabric run` has placed and launched it, and forbids a second time
        return Fabric(precision=os.environ.get("LT_PRECISION", precision))
    devices, nodes = (int(os.environ.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"))  # torchrun's
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision)
    fabric.launch()
    return fabric


def shuffled_index(examples: int, batch: int, step: int, seed: int) -> Tensor:
    """Which examples step `step` sees, (batch,): epochs of a fresh shuffle each, incomplete last batches dropped."""
    per_epoch = max(1, examples // batch)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(examples)
    return torch.from_numpy(np.resize(order[place * batch : (place + 1) * batch], batch))


def fit(
    model: nn.Module,
    loss_of: Callable[[nn.Module, Tensor, int], Tensor],
    examples: int,
    config: TrainingConfig,
    *,
    fabric: Fabric | None = None,
    run: Path | None = None,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    select: str = "miou",
    snapshots: Collection[int] = (),
    parts: int | None = None,
    budget_s: float = math.inf,
    save_every_s: float = 120.0,
    progress: bool = True,
) -> History:
    """Trains `model` in place. Of several processes the first evaluates, writes and shows; all stop at the same step.

    Args:
        loss_of: model, example index (part of a batch,) and step → scalar loss, a mean over the examples.
        examples: how many there are to draw from.
        run: a folder for `last.pt`, from which the same call continues, and `best.safetensors`. None keeps nothing.
        evaluate: model → scores, called every `config.evaluate_every` steps.
        select: the score by which the best weights are kept: the highest, or of "-name" the lowest.
        snapshots: after these steps the weights are kept as `step-N.safetensors` in `run`.
        parts: in how many each batch is taken, one after the other what one process has to take; None: those that the
            run began with, or one per process.
        budget_s: stop after so many seconds, saved; call again to go on.

    Raises:
        CheckpointError: `run` holds another run's checkpoint, or a damaged one.
        ValueError: the processes cannot share the parts evenly, or the parts the batch.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the step at hand is finished and saved first, unless it comes again.
    """
    fabric = fabric or launch()
    model.to(memory_format=torch.channels_last)  # what convolutions want in bf16; others do not mind
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    wrapped, optimizer = fabric.setup(model, optimizer)
    history = History(parts=parts or fabric.world_size)
    if run is not None and (stored := of_first(lambda: _stored(run / "last.pt", model, config, parts))):
        history, weights, adam = stored
        load_state(run / "last.pt", model, weights)
        optimizer.load_state_dict(adam)
    _check_parts(history.parts, config.batch, fabric.world_size)
    own_parts = range(fabric.global_rank, history.parts, fabric.world_size)
    started = saved = time.monotonic()
    wall_before_s, losses, interrupted = history.wall_s, [], False

    def save(step: int) -> None:
        history.loss += fabric.all_reduce(torch.stack(losses), reduce_op="mean").tolist() if losses else []
        losses.clear()
        history.wall_s = wall_before_s + time.monotonic() - started
        history.finished = step == config.steps
        if run is not None:
            of_first(lambda: _save(run / "last.pt", model, optimizer, config, history))

    shown = {"total": config.steps, "initial": len(history.loss), "unit": "step"}
    with _interrupts() as interrupts, progress_bar(**shown, disable=not (progress and fabric.is_global_zero)) as bar:
        for step in range(len(history.loss), config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate_at(step)
            index = shuffled_index(examples, config.batch, step, config.seed)
            shares = []
            for part in own_parts:
                _seed(config.seed, step, part)
                with fabric.no_backward_sync(wrapped, enabled=part != own_parts[-1]):
                    share = loss_of(wrapped, index[part :: history.parts], step) / len(own_parts)
                    fabric.backward(share)
                shares.append(share.detach())
            if config.clip_norm is not None:
                fabric.clip_gradients(wrapped, optimizer, max_norm=config.clip_norm, error_if_nonfinite=False)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(sum(shares))
            bar.update()
            done = step + 1
            if evaluate and (done % config.evaluate_every == 0 or done == config.steps):
                scores = {"step": done} | of_first(lambda: evaluate(model))
                if run is not None and fabric.is_global_zero and _is_best(scores, history.scores, select):
                    save_weights(run / "best.safetensors", model, {"training": asdict(config), "scores": scores})
                history.scores.append(scores)
                bar.set_postfix({name: f"{value:.3g}" for name, value in scores.items() if name != "step"})
            if done in snapshots and run is not None and fabric.is_global_zero:
                save_weights(run / f"step-{done}.safetensors", model, {"training": asdict(config), "step": done})
            now = time.monotonic()
            interrupted, over, due = agreed(bool(interrupts), now - started > budget_s, now - saved > save_every_s)
            if interrupted or over:
                save(done)
                break
            if due:
                save(done)
                saved = now
        else:
            save(config.steps)
    if interrupted:
        raise KeyboardInterrupt(
            f"{len(history.loss)} of {config.steps} steps are saved, and the same command goes on" if run else ""
        )
    return history


def _check_parts(parts: int, batch: int, processes: int) -> None:
    if parts % processes:
        raise ValueError(
            f"This run takes each batch in {parts} parts, which {processes} processes cannot share evenly: start a "
            "number of processes that divides it, or a new run with other --parts."
        )
    if batch % parts:
        raise ValueError(f"A batch of {batch} does not fall into {parts} equal parts: choose a number that divides it.")


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects Ctrl-C, and SIGTERM, which a cluster sends to what it preempts, inside the block, so that a step can be
    finished and saved; a second one is not waited for. Handlers that are not Python's own stay."""
    caught: list[int] = []
    python_s = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: own for number, own in python_s.items() if signal.getsignal(number) == own}
    if threading.current_thread() is not threading.main_thread():  # only there they can be caught
        before = {}

    def catch(number: int, _) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    for number in before:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, own in before.items():
            signal.signal(number, own)


def _is_best(scores: dict[str, float], earlier: list[dict[str, float]], select: str) -> bool:
    return all(_merit(scores, select) >= _merit(before, select) for before in earlier)


def _merit(scores: dict[str, float], select: str) -> float:
    return -scores[select[1:]] if select.startswith("-") else scores[select]


def _seed(seed: int, step: int, part: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, step, part]).generate_state(1, np.uint64)[0] >> 1))


def thinned(values: list[float], points: int = 300) -> list[float]:
    """A long curve as the means of at most `points` equal stretches."""
    stretch = max(1, len(values) // points)
    return [
        round(sum(part) / len(part), 3) for part in (values[i : i + stretch] for i in range(0, len(values), stretch))
    ]


# ------------------------------------------------------------------------------------------------- to go on from


def _save(path: Path, model: nn.Module, optimizer: Any, config: TrainingConfig, history: History) -> None:
    state = {
        "config": as_json(asdict(model.config)),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "training": asdict(config),
        "history": asdict(history),
    }
    with atomic(path) as temporary, told_as_os_error(path):
        torch.save(state, temporary)


def _stored(path: Path, model: nn.Module, config: TrainingConfig, parts: int | None) -> tuple | None:
    """What `_save` wrote of the same run: history, weights and optimizer; None if nothing has been."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored, weights, adam = state["config"] | state["training"], state["model"], state["optimizer"]
        history = History(**state["history"])
    except Exception as error:  # torch raises a different type for every kind of damage
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}): delete it to start again.") from error
    differences = differences_of(stored, model.config, config)
    if parts not in (None, history.parts):
        differences = "; ".join(filter(None, [differences, f"parts={history.parts}, not {parts}"]))
    if differences:
        raise CheckpointError(f"{path} belongs to a run with {differences}: choose another folder or delete it.")
    return history, weights, adam
