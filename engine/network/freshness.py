"""Tells whether a traced model is still what it was when it was traced."""

from __future__ import annotations

import torch
from torch import nn

ModelState = tuple[object, ...]
# By the size of an element in bytes.
_WHOLE_NUMBERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def model_state(model: nn.Module) -> ModelState:
    """A value that changes when the model's modules, weights or buffers do.

    PyTorch counts the changes of most tensors, but not those of a fused optimiser or of ``.data``. Where weights are
    copied (folded with a batch norm), a sum over each tensor's bits notices these too; elsewhere the weights in use are
    the model's own, and no sum is needed.
    """
    modules = tuple(id(module) for module in model.modules())
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    tensors = [*model.parameters(), *model.buffers()]
    identity = tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)
    if not norms:
        return modules, identity
    sums = torch.stack([_sum_of_bits(t.detach()).cpu() for t in tensors if t.is_floating_point()])
    return modules, identity, tuple(norm.eps for norm in norms), tuple(sums.tolist())


def _sum_of_bits(tensor: torch.Tensor) -> torch.Tensor:
    """A sum that any one changed element changes, though not two that are exchanged.

    It is of the bits, eight bytes at a time where that is possible, which is as fast as memory is.
    """
    flat = tensor.contiguous().reshape(-1)
    begin, size = flat.storage_offset() * flat.element_size(), flat.numel() * flat.element_size()
    whole = begin % 8 == size % 8 == 0
    return flat.view(torch.int64 if whole else _WHOLE_NUMBERS[flat.element_size()]).sum(dtype=torch.int64)
