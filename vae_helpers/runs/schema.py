"""What a checkpoint of this project may say, field by field; a file is held to all of it before anything is used.

It is asked of an archive's description, in which tensors are shapes: nothing has been read or allocated yet. Fields
that came later may be missing, and unknown ones of plain types are let through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.model import OBJECTIVES, TERMS, BetaVAE, VAEConfig, is_matrix, logged_terms
from vae_helpers.runs.archive import Archive, Stored, Unfit
from vae_helpers.settings import RECIPE, Range, TrainConfig, short

_DEEPEST, _MOST = 12, 2_000_000  # of a description: levels and values; a list may hold itself, or each twice the next
_TENSORS = ("model", "ema", "optimizer", "objective", "sums", "data")
_PER_PICTURE = {"prints": torch.int64, "sides": torch.uint8}  # in data: fingerprints, and parts of the split
_NEVER_NEGATIVE = ("running_var", "num_batches_tracked", "step", "exp_avg_sq")
_ANY, _COUNT = Range(-math.inf, math.inf), Range(0, 2**53, whole=True)
_FINITE = Range(-1e300, 1e300)
_COUNTS = {
    "step": _COUNT,
    "epochs_closed": _COUNT,
    "best_epoch": _COUNT,
    "best": _ANY,
    "seen": _COUNT,
    "threads": Range(1, 1024, whole=True),
}  # 100,000 threads crash the process
_REQUEST = {
    "image_size": Range(4, 4096, whole=True),
    "limit": Range(1, 1_000_000_000, whole=True),
    "allow_bad": Range(0, 1),
    "seed": RECIPE["seed"],
}
_ADAM = {"lr": Range(0, 1e3), "eps": Range(0, 1), "weight_decay": Range(0, 1e3)}
_SWITCHED_OFF = ("amsgrad", "maximize", "capturable", "differentiable", "decoupled_weight_decay")
_SCALER = {
    "scale": Range(0, 1e30, above=True),
    "growth_factor": Range(1, 1e6, above=True),
    "backoff_factor": Range(0, 1, above=True, below=True),
    "growth_interval": Range(1, 10**9, whole=True),
    "_growth_tracker": Range(0, 10**9, whole=True),
}


def require_fields(content: dict, archive: Archive) -> VAEConfig:
    """Hold a whole description to the schema; returns its model's config. Raises Unfit, which names the field.

    `content["train_config"]`, if any, is completed by the defaults of fields that it is too old to have.
    """
    _require_plain(content)
    with _named("config"):
        config = VAEConfig(**_known(content.get("config"), VAEConfig))
    recipe = TrainConfig()
    if "train_config" in content:
        with _named("train_config"):
            recipe = TrainConfig(**_known(content["train_config"], TrainConfig))
        content["train_config"] = asdict(recipe)
    model = _on_meta(lambda: BetaVAE(config))
    _require_tensors(content.get("model"), model.state_dict(), "weights")
    if content.get("ema") is not None:
        _require_tensors(content["ema"], model.state_dict(), "ema")
    _require_counts(content)
    if "data" in content:
        _require_data(_of(dict, content["data"], "data"))
    for name, value in _of(dict, content.get("scores", {}), "scores").items():
        _take(_FINITE, f"scores[{short(name)}]", value)
    if "optimizer" in content:
        shapes = [weight.shape for weight in model.parameters()]
        (_require_muon if recipe.optimizer == "muon" else _require_adam)(content["optimizer"], shapes, "optimizer")
    if "scaler" in content:
        _require_scaler(content["scaler"])
    _require_objective(content.get("objective"), recipe, config)
    sums = content.get("sums")
    if sums is not None:
        _require_tensor(sums, torch.empty(len(TERMS + logged_terms(recipe.objective)), device="meta"), "sums")
    for where, tensor in tensors_in(content):
        archive.require_bytes(tensor, where)
    return config


def read_tensors(value: Any, archive: Archive, where: str = "") -> Any:
    """`value` with every tensor in it read from the archive; raises Unfit for one that holds NaN or infinity.

    Sums may: a gradient that overflows in 16 bits is left out of a step, but counted.
    """
    if isinstance(value, Stored):
        tensor = archive.read(value)
        if tensor.is_floating_point() and where != "sums" and not tensor.isfinite().all():
            raise Unfit(f"{where} holds NaN or infinite numbers")
        if where.rpartition(".")[2] in _NEVER_NEGATIVE and (tensor < 0).any():
            raise Unfit(f"{where} holds negative numbers")
        return tensor
    if isinstance(value, dict):
        return {name: read_tensors(each, archive, _below(where, name)) for name, each in value.items()}
    return value


def tensors_in(value: Any, where: str = "") -> Iterator[tuple[str, Stored]]:
    """Every tensor of a description, with the name of its field; they lie in dicts only."""
    if isinstance(value, Stored):
        yield where, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from tensors_in(each, _below(where, name))


def _require_plain(content: dict) -> None:
    """Refuse what is too deep or too much, is no plain type, or is a tensor where none belongs or one that was met."""
    seen: set[str] = set()
    waiting: list[tuple[Any, int, str]] = [(content, 0, "")]
    met = 0
    while waiting:
        value, depth, field = waiting.pop()
        met += 1
        if depth > _DEEPEST or met > _MOST:
            raise Unfit("its description is deeper or longer than a checkpoint's can be")
        if type(value) is Stored:
            if field not in _TENSORS or value.key in seen:
                raise Unfit(f"there is a tensor in {short(field)} that does not belong there")
            seen.add(value.key)
        elif type(value) is dict:
            waiting += [(each, depth + 1, field or str(name)) for name, each in value.items()]
        elif type(value) in (list, tuple):
            waiting += [(each, depth + 1, field) for each in value]
        elif type(value) not in (type(None), bool, int, float, str):
            raise Unfit(f"{short(field)} is of no plain type")


def _require_counts(content: dict) -> None:
    for name, allowed in _COUNTS.items():
        if name in content:
            _take(allowed, name, content[name])
    if content.get("first_loss") is not None:
        _take(_FINITE, "first_loss", content["first_loss"])
    _of(bool, content.get("finished", False), "finished")
    order = [(name, content[name]) for name in ("best_epoch", "epochs_closed", "step") if name in content]
    for (small, less), (large, more) in zip(order, order[1:]):
        if less > more:
            raise Unfit(f"{small} is {short(less)}, but must not be above {large}, {short(more)}")


def _require_data(data: dict) -> None:
    """Types only: `runs.pictures` decides what may be opened."""
    for name, kind in (("name", str), ("pictures", int)):
        _of(kind, data.get(name), f"data[{name!r}]")
    _take(_COUNT, "data['pictures']", data["pictures"])
    if "request" not in data:
        raise Unfit("data lacks 'request'")
    for where, _ in tensors_in({name: each for name, each in data.items() if name not in _PER_PICTURE}, "data"):
        raise Unfit(f"there is a tensor in {short(where)} that does not belong there")
    for name, dtype in _PER_PICTURE.items():
        if data.get(name) is not None:
            _require_tensor(data[name], torch.empty(data["pictures"], dtype=dtype, device="meta"), f"data[{name!r}]")
    if data["request"] is None:
        return
    request = _of(dict, data["request"], "data['request']")
    for name in ("source", "fit"):
        if name == "source" or name in request:
            _of(str, request.get(name), f"data['request'][{name!r}]")
    for name in request:
        if name not in (*_REQUEST, "source", "fit"):
            raise Unfit(f"data['request'] has an unknown field {short(name)}")
    for name, allowed in _REQUEST.items():
        if name in request and not (name == "limit" and request[name] is None):
            _take(allowed, f"data['request'][{name!r}]", request[name])


def _require_adam(found: Any, shapes: Sequence[torch.Size], where: str) -> None:
    """The state of Adam over parameters of these shapes, as its own state_dict has it."""
    _require_names(_of(dict, found, where), ("state", "param_groups"), where)
    groups = _of(list, found["param_groups"], f"{where}.param_groups")
    group = _of(dict, groups[0] if len(groups) == 1 else None, f"{where}.param_groups")
    if _of(list, group.get("params"), f"{where}.params") != list(range(len(shapes))):
        raise Unfit(f"{where}.params is {short(group['params'])}, but the model has {len(shapes)} parameters")
    for name, allowed in _ADAM.items():
        _take(allowed, f"{where}.{name}", group.get(name))
    betas = group.get("betas")
    if type(betas) not in (tuple, list) or len(betas) != 2:
        raise Unfit(f"{where}.betas is {short(betas)}, but must be two numbers")
    for beta in betas:
        _take(Range(0, 1, below=True), f"each of {where}.betas", beta)
    for name, value in group.items():
        if name in _SWITCHED_OFF and value is not False:
            raise Unfit(f"{where}.{name} is {short(value)}, which no run of this project has")
        if name not in (*_ADAM, "params", "betas") and type(value) not in (type(None), bool):
            raise Unfit(f"{where}.{name} is {short(value)}, but must be True, False or None")
    for index, state in _of(dict, found["state"], f"{where}.state").items():
        name = f"{where}.state.{short(index)}"
        if type(index) is not int or not 0 <= index < len(shapes):
            raise Unfit(f"{name} is of no parameter: the model has {len(shapes)}")
        moment = torch.empty(shapes[index], device="meta")
        expected = {"step": torch.empty((), device="meta"), "exp_avg": moment, "exp_avg_sq": moment}
        if isinstance(state, dict) and type(state.get("step")) in (int, float):
            _take(_COUNT._replace(whole=False), f"{name}.step", state["step"])
            del expected["step"]
            state = {key: value for key, value in state.items() if key != "step"}
        _require_tensors(state, expected, name)


def _require_muon(found: Any, shapes: Sequence[torch.Size], where: str) -> None:
    """The state of `model.Muon` over parameters of these shapes: momentum of the matrices, Adam of the rest."""
    _require_names(_of(dict, found, where), ("momentum", "adam"), where)
    matrices = [shape for shape in shapes if is_matrix(shape)]
    momentum = _of(dict, found["momentum"], f"{where}.momentum")
    _require_tensors(momentum, {i: torch.empty(shape, device="meta") for i, shape in enumerate(matrices)}, where)
    _require_adam(found["adam"], [shape for shape in shapes if not is_matrix(shape)], f"{where}.adam")


def _require_scaler(found: Any) -> None:
    scaler = _of(dict, found, "scaler")  # empty where gradients are not scaled
    for name, allowed in _SCALER.items() if scaler else ():
        _take(allowed, f"scaler.{name}", scaler.get(name))


def _require_objective(found: Any, recipe: TrainConfig, config: VAEConfig) -> None:
    if found is None:
        return
    objective = OBJECTIVES[recipe.objective]
    expected = _on_meta(lambda: objective(config.latent_dim, recipe.knobs, device="meta")).state_dict()
    _require_names(_of(dict, found, "objective"), expected, "objective")
    if expected:
        weights = expected["discriminator"]
        _require_tensors(found["discriminator"], weights, "objective.discriminator")
        _require_adam(found["optimizer"], [weight.shape for weight in weights.values()], "objective.optimizer")


def _require_tensors(found: Any, expected: Mapping[str, Tensor], where: str) -> None:
    """A tensor for each of these names, of its shape and kind of number."""
    try:
        _require_names(_of(dict, found, where), expected, where)
        for name, like in expected.items():
            _require_tensor(found[name], like, name)
    except Unfit as why:
        raise Unfit(f"its {where} do not fit its own description of the model ({why})") from None


def _require_tensor(found: Any, like: Tensor, where: str) -> None:
    if type(found) is not Stored or found.shape != tuple(like.shape):
        has = f"of shape {short(found.shape)}" if type(found) is Stored else short(found)
        raise Unfit(f"{where} is {has}, but must be a tensor of shape {tuple(like.shape)}")
    if found.dtype != like.dtype and not (found.dtype.is_floating_point and like.dtype.is_floating_point):
        raise Unfit(f"{where} holds numbers of type {found.dtype}, but must hold {like.dtype}")


def _require_names(found: dict, expected: Iterable[str], where: str) -> None:
    for name in expected:
        if name not in found:
            raise Unfit(f"{name} is missing in {where}")
    for name in found:
        if name not in expected:
            raise Unfit(f"{where} has an unknown field {short(name)}")


def _known(found: Any, kind: type) -> dict:
    """The fields of a config that this version knows; an unknown one may change what the others mean."""
    names = {field.name for field in fields(kind)}
    for name in _of(dict, found, "it"):
        if name not in names:
            raise InputError(f"it has a field {short(name)} that this version does not know")
    return found


def _on_meta(make: Callable[[], Any]) -> Any:
    """What `make` builds, as shapes alone: no memory is allocated and the caller's random numbers don't advance."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return make()


@contextmanager
def _named(field: str) -> Iterator[None]:
    try:
        yield
    except (InputError, Unfit) as why:
        raise Unfit(f"its {field} cannot be: {str(why).rstrip('.')}") from None


def _take(allowed: Range, where: str, value: Any) -> None:
    try:
        allowed.take(where, value)
    except InputError as why:
        raise Unfit(str(why).rstrip(".")) from None


def _of(kind: type, value: Any, where: str) -> Any:
    if type(value) is not kind:
        raise Unfit(f"{where} is {short(value)}, but must be of type {kind.__name__}")
    return value


def _below(where: str, name: Any) -> str:
    return f"{where}.{name}" if where else str(name)
