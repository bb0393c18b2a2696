"""A stage's objective as compiled code."""

from typing import Any

import torch
from torch import Tensor

from spinforge.models.training.stages import Criterion, Objective, StepResult


def compiled_objective(objective: Objective, *, cuda_graphs: bool = False) -> Objective:
    """The same objective, compiled at its first call.

    The whole objective is compiled, not the network: what calls a part of a network, as
    pre-training does, is compiled too, and no weight changes its name. Shapes are fixed. An epoch
    has at most four kinds of batches, a full one and a smaller last one, each to learn from and to
    validate by, and each of them is compiled once; the compiler's limit is eight. What was compiled
    before is forgotten, for it counts towards this limit.

    Args:
        objective: What a stage minimises.
        cuda_graphs: Record the kernels of a step once and replay them, which spares a GPU the
            waiting for the processor where each kernel is short.
    """
    torch.compiler.reset()

    def computed(
        network: Any, inputs: Any, target: Tensor, criterion: Criterion
    ) -> tuple[Tensor, Tensor | None]:
        loss, logits = objective(network, inputs, target, criterion)
        return loss, logits

    run = torch.compile(
        computed, dynamic=False, mode="reduce-overhead" if cuda_graphs else "default"
    )

    def compiled(network: Any, inputs: Any, target: Tensor, criterion: Criterion) -> StepResult:
        if not cuda_graphs:
            return StepResult(*run(network, inputs, target, criterion))
        torch.compiler.cudagraph_mark_step_begin()
        loss, logits = run(network, inputs, target, criterion)
        # The next replay writes over what this one gave, and the loss is looked at later.
        return StepResult(loss.clone(), logits)

    return compiled
