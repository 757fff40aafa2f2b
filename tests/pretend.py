"""A GPU that is not there: tensors on the CPU that say they lie elsewhere, and the rules of that place.

Only what Python calls is seen: the backward pass and what happens inside an operator are not.
"""

import functools
from collections import Counter

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_TO = {torch.Tensor.to, torch.Tensor.cpu}
_WAITS = {torch.Tensor.item: "item", torch.Tensor.tolist: "tolist", torch.Tensor.cpu: "cpu", torch.Tensor.__bool__: "bool",
          torch.Tensor.__float__: "float", torch.Tensor.nonzero: "nonzero", torch.nonzero: "nonzero"}
_MAKERS = {torch.tensor, torch.as_tensor, torch.Tensor.new_tensor}


class Pretend(TorchFunctionMode):
    """While it is entered, `kind` ("cuda", "mps") exists. Counts copies from the host and waits for the device.

    Raises TypeError for float64 on "mps", RuntimeError where tensors of both places meet or an unpinned copy isn't waited for.
    """

    def __init__(self, kind: str, monkeypatch):
        super().__init__()
        self.kind, self.copies, self.waits = kind, Counter(), Counter()
        generator, autocast, module_to = torch.Generator, torch.autocast, torch.nn.Module.to

        @functools.wraps(autocast, updated=())
        def old_autocast(device_type, *arguments, **settings):  # that of torch before it knew MPS
            if device_type == "mps":
                raise RuntimeError("User specified an unsupported autocast device_type 'mps'")
            return autocast(device_type, *arguments, **settings)

        monkeypatch.setattr(torch, "Generator", lambda device="cpu": generator())
        monkeypatch.setattr(torch, "autocast", old_autocast)

        def move(module, *arguments, **settings):
            module_to(module, *arguments, **settings)
            if arguments and torch.device(arguments[0]).type == kind:
                for tensor in (*module.parameters(), *module.buffers()):
                    tensor.there = True
            return module

        monkeypatch.setattr(torch.nn.Module, "to", move)

    def _lies_there(self, value) -> bool:
        return isinstance(value, torch.Tensor) and getattr(value, "there", False)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        there = any(map(self._lies_there, tensors))
        name = getattr(function, "__name__", str(function))
        if function is torch.Tensor.device.__get__:
            return torch.device(self.kind, 0) if there else function(*args)
        if function is torch.Tensor.is_pinned:
            return False
        if function in _WAITS and there:
            self.waits[_WAITS[function]] += 1
        target = self._asked_device(args, kwargs)
        kwargs, args = self._without_device(args, kwargs)
        if function in (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.numpy):
            return self._moved(function, args, kwargs, there, "cpu" if function is torch.Tensor.cpu else target)
        if function in _MAKERS and (target == self.kind or there):
            self.copies[name] += 1
        if function in (torch.where, torch.Tensor.where) and there and len(tensors) < 3:
            self.copies["where"] += 1  # a number among its arguments is made a tensor on the CPU first
        if there and any(not self._lies_there(t) and t.dim() for t in tensors) and name not in ("__set__", "__get__"):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found {self.kind} and cpu")
        result = function(*args, **kwargs)
        if there or target == self.kind:
            self._mark(result, name)
        return result

    def _asked_device(self, args, kwargs) -> "str | None":
        given = [kwargs.get("device"), *(a for a in args[1:] if isinstance(a, (str, torch.device)))]
        given = [g for g in given if g is not None]
        return torch.device(given[0]).type if given else None

    def _without_device(self, args, kwargs):
        if kwargs.get("device") is not None:
            kwargs["device"] = "cpu"
        args = tuple("cpu" if i and isinstance(a, (str, torch.device)) else a for i, a in enumerate(args))
        return kwargs, args

    def _moved(self, function, args, kwargs, there, target):
        if function is torch.Tensor.numpy and there:
            raise TypeError(f"can't convert {self.kind} device type tensor to numpy: use Tensor.cpu() first")
        away = target == self.kind or (there and target is None)
        if target == self.kind and not there:
            self.copies["to"] += 1
            if kwargs.get("non_blocking"):
                raise RuntimeError("a copy from memory that is not pinned is not waited for")
        result = function(*args, **kwargs)
        if function is torch.Tensor.numpy:
            return result
        if result is args[0] and away != there:
            result = result.view_as(result)
        if away:
            self._mark(result, "to")
        elif there:
            result = result.view_as(result)
        return result

    def _mark(self, result, name):
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                if self.kind == "mps" and leaf.dtype == torch.float64:
                    raise TypeError(f"{name}: the MPS framework doesn't support float64")
                leaf.there = True
