"""A GPU that is not there: tensors on the CPU that say they lie elsewhere, and the rules of that place.

Only what Python calls is seen: the backward pass and what happens inside an operator are not.
"""

import functools
from collections import Counter

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

_WAITS = {Tensor.item, Tensor.tolist, Tensor.cpu, Tensor.__bool__, Tensor.__float__, Tensor.nonzero, torch.nonzero}
_FROM_HOST = {torch.tensor, torch.as_tensor, Tensor.new_tensor}


class Pretend(TorchFunctionMode):
    """While it is entered, a device of this kind ("cuda", "mps") exists. Counts copies from the host and waits for it.

    Raises TypeError for float64 on "mps" and for NumPy, RuntimeError where tensors of both places meet, where a copy
    from unpinned memory is not waited for, and for autocast on "mps", which torch did not always know.
    """

    def __init__(self, kind: str, monkeypatch):
        super().__init__()
        self.kind, self.copies, self.waits = kind, Counter(), Counter()
        generator, autocast, move, load, save = (
            torch.Generator,
            torch.autocast,
            torch.nn.Module.to,
            torch.load,
            torch.save,
        )
        deepcopy = torch.nn.Parameter.__deepcopy__

        @functools.wraps(autocast, updated=())
        def old_autocast(device_type, *arguments, **settings):
            if device_type == "mps":
                raise RuntimeError("User specified an unsupported autocast device_type 'mps'")
            return autocast(device_type, *arguments, **settings)

        def marking(module, *arguments, **settings):
            if not arguments:
                return move(module, **settings)
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.there = torch.device(arguments[0]).type == kind
            return module

        def loading(file, map_location, **settings):
            content = load(file, map_location="cpu", **settings)
            self._mark(content if torch.device(map_location).type == kind else ())
            return content

        def saving(content, file, **settings):
            with torch._C.DisableTorchFunction():  # the marks are no part of a tensor
                save(
                    tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, content),
                    file,
                    **settings,
                )

        def copying(parameter, memo):
            copied = deepcopy(parameter, memo)
            copied.there = _lies_there(parameter)
            return copied

        monkeypatch.setattr(torch.nn.Parameter, "__deepcopy__", copying)
        monkeypatch.setattr(torch, "Generator", lambda device="cpu": generator())
        monkeypatch.setattr(torch, "autocast", old_autocast)
        monkeypatch.setattr(torch.nn.Module, "to", marking)
        monkeypatch.setattr(torch, "load", loading)
        monkeypatch.setattr(torch, "save", saving)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", str(function))
        tensors = [
            leaf
            for leaf in tree_leaves(args[:1] if name == "__deepcopy__" else (args, kwargs))
            if isinstance(leaf, Tensor)
        ]
        there = any(map(_lies_there, tensors))
        if function == Tensor.device.__get__:
            return torch.device(self.kind, 0) if there else function(*args)
        if function in _WAITS and there:
            self.waits[name] += 1
        asked = [torch.device(a).type for a in (kwargs.get("device"), *args[1:]) if isinstance(a, (str, torch.device))]
        asked = asked[0] if asked else "cpu" if function in (Tensor.cpu, Tensor.numpy) else None
        args = tuple("cpu" if i and isinstance(a, (str, torch.device)) else a for i, a in enumerate(args))
        kwargs |= {"device": "cpu"} if kwargs.get("device") is not None else {}
        if function in (Tensor.to, Tensor.cpu, Tensor.numpy):
            return self._moved(function, args, kwargs, there, there if asked is None else asked == self.kind)
        # torch.where makes a number among its arguments a tensor on the CPU first, and then copies that.
        if function in _FROM_HOST and (there or asked == self.kind) or name == "where" and there and len(tensors) == 2:
            self.copies[name] += 1
        if name == "copy_":
            self.copies[name] += _lies_there(tensors[0]) and not _lies_there(tensors[1])
        elif there and name not in ("__set__", "__setitem__") and any(t.dim() and not _lies_there(t) for t in tensors):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found {self.kind} and cpu")
        result = function(*args, **kwargs)
        if name != "copy_" and (there or asked == self.kind):
            self._mark(result, name)
        return result

    def _moved(self, function, args, kwargs, there, stays):
        if function is Tensor.numpy:
            if there:
                raise TypeError(f"can't convert {self.kind} device type tensor to numpy: use Tensor.cpu() first")
            return function(*args, **kwargs)
        if stays and not there:
            self.copies["to"] += 1
            if kwargs.get("non_blocking") and not args[0].is_pinned():
                raise RuntimeError("a copy from memory that is not pinned must be waited for")
        result = function(*args, **kwargs)
        if stays != there and result is args[0]:
            result = result.view_as(result)
        result.there = False
        self._mark(result if stays else (), "to")
        return result

    def _mark(self, result, name="load"):
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                if self.kind == "mps" and leaf.dtype == torch.float64:
                    raise TypeError(f"{name}: the MPS framework doesn't support float64")
                leaf.there = True


def _lies_there(tensor: Tensor) -> bool:
    return getattr(tensor, "there", False)
