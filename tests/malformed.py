"""A tiny run's real checkpoints, and a table of ways to spoil them; plain, for child processes to use."""

import copy
import io
import math
import os
import pickle
import re
import warnings
import zipfile

import numpy as np
import torch

from vae_helpers.data import PictureSet
from vae_helpers.model import VAEConfig
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Batch, Processes, new_state, save_best, save_last, train_step

REQUEST = {"source": "synthetic", "image_size": 8, "fit": "crop", "limit": 12, "allow_bad": 0.01, "seed": 0}
SCORES = {"total": 3.0, "reconstruction": 2.0, "kl": 1.0, "psnr": 9.0, "active_units": 1, "pictures": 2}
NUMBERS = ("x", None, math.nan, -math.inf, -7, 10**30, True, [], {"a": 1}, torch.ones(2))
OBJECTS = ("x", None, 3, [1], (), {}, {"x": 1}, torch.ones(3))
TENSORS = (
    None,
    "x",
    0.5,
    [],
    torch.ones(1),
    torch.tensor(math.nan),
    torch.ones(2, 3, 5),
    torch.ones(1000).long(),
    torch.ones(7, dtype=torch.complex64),
    torch.ones(()).expand(4, 3, 4, 4),
)


def some_set():
    pictures = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    return PictureSet("tiny", pictures, tuple(f"{n}.png" for n in range(12)), ("",) * 12, request=REQUEST)


def a_step(state, config):
    train_step(state, Batch(torch.from_numpy(some_set().pictures[:8]), 0, 8), config, 0.5)


def make_run(folder):
    """A run with everything that one can have: a discriminator, an average, sums in the middle of an epoch."""
    run = Run("tiny", folder)
    config = TrainConfig(epochs=3, batch_size=8, objective="factor", knobs={"layers": 2.0, "width": 3.0}, ema=0.9)
    state = new_state(config, VAEConfig(image_size=8, latent_dim=2, widths=(4,)), Processes(torch.device("cpu")), 12)
    a_step(state, config)
    state.first_loss = 5.0
    save_last(run, state, config, some_set())
    state.epochs_closed, state.best, state.best_epoch = 1, 3.0, 1
    save_best(run, state, config, some_set(), SCORES, state.eval_model)
    return run


def _put(content, path, value):
    for name in path[:-1]:
        content = content[name]
    content[path[-1]] = value


def _paths(value, path=()):
    """Every field, nested ones included; of the many weights only some."""
    for name, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, name), each
        yield from _paths(each, (*path, name))


def _values(content):
    """Every field with each junk value of its kind that it does not hold, thinned to one or two a field."""
    for number, (path, value) in enumerate(_paths(content)):
        if path[0] in ("model", "ema") and len(path) == 2 and number % 9:
            continue
        junk = (
            TENSORS
            if isinstance(value, torch.Tensor)
            else OBJECTS
            if isinstance(value, (dict, list, tuple))
            else NUMBERS
        )
        for turn in range(2 if len(path) < 3 else 1):
            bad = junk[(number * 3 + turn) % len(junk)]
            yield f"{'.'.join(map(str, path))} = {str(bad)[:30]!r}", lambda c, path=path, bad=bad: _put(c, path, bad)


def _names(content):
    for field in content:
        yield f"no {field}", lambda c, field=field: c.pop(field)
        if isinstance(content[field], dict):
            yield f"junk in {field}", lambda c, field=field: c[field].update({"zz\x1b[31m": torch.ones(2), 7: [None]})


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value, value]
    return value


def _itself():
    value = []
    value.append(value)
    return value


def _wide(c):
    c["config"] = {"image_size": 4096, "latent_dim": 16_384, "widths": [8192] * 10}


def _shared(c):
    state = c["optimizer"]["state"][0]
    state["exp_avg_sq"] = state["exp_avg"]


ODD = {
    "format": lambda c: c.update(format=["vae_helpers-1"]),
    "many weights": _wide,
    "size": lambda c: c["config"].update(image_size=2**40),
    "latents": lambda c: c["config"].update(latent_dim=10**9),
    "NaN": lambda c: c["model"]["decoder.out.bias"].fill_(math.nan),
    "a newer field": lambda c: c["config"].update(depth=3),
    "infinite": lambda c: c["model"]["encoder.mu.weight"].fill_(math.inf),
    "a list inside itself": lambda c: c.update(x=_itself()),
    "2^40 values": lambda c: c.update(x=_nested(11), y=[_nested(40)]),
    "deep": lambda c: c.update(x=_nested(50)),
    "unknown plain entry": lambda c: c.update(note=["by hand", 3]),
    "unknown tensor": lambda c: c.update(note=torch.ones(3)),
    "negative variance": lambda c: c["model"]["encoder.blocks.0.norm.running_var"].fill_(-1),
    "wrong kind": lambda c: c["model"].update({"encoder.mu.bias": torch.ones(2, dtype=torch.int64)}),
    "fewer dimensions": lambda c: c["model"].update({"decoder.out.bias": torch.ones(3, 1)}),
    "control characters": lambda c: c["train_config"].update(objective="\x1b[2J\r\n" * 9999),
    "newer recipe": lambda c: c["train_config"].update(temperature=1.0),
    "lr": lambda c: c["train_config"].update(lr=1e12),
    "knob": lambda c: c["train_config"].update(knobs={"layers": 100.0, "width": 1e5}),
    "knob of a list": lambda c: c["train_config"].update(objective="factor", knobs={"layers": [2]}),
    "unhashable objective": lambda c: c["train_config"].update(objective=[]),
    "places": lambda c: c["data"]["request"].update(cache_dir="/tmp/elsewhere", workers=9999),
    "fingerprint": lambda c: c["data"].update(fingerprint={"a.png": [3, "abc"]}),
    "best before it began": lambda c: c.update(best_epoch=5),
    "text that is long": lambda c: c["data"].update(name="x" * 10**6),
    "scores": lambda c: c.update(scores={"psnr": "1e3"}),
    "scores in a list": lambda c: c.update(scores=[1.0]),
    "64 bits": lambda c: c["train_config"].update(seed=2**70),
    "not UTF-8": lambda c: c["data"].update(name="\udcff.jpg"),
}
ODD_LAST = {
    "threads": lambda c: c.update(threads=100_000),
    "no threads": lambda c: c.update(threads=0),
    "exp_avg": lambda c: c["optimizer"]["state"][0].update(exp_avg=torch.zeros(1)),
    "exp_avg of another": lambda c: c["optimizer"]["state"][0].update(
        exp_avg=c["optimizer"]["state"][4]["exp_avg"].clone()
    ),
    "exp_avg everywhere the same": lambda c: c["optimizer"]["state"][0].update(
        exp_avg=torch.zeros(()).expand(4, 3, 4, 4)
    ),
    "exp_avg_sq of float16": lambda c: c["optimizer"]["state"][0].update(exp_avg_sq=torch.zeros(4, 3, 4, 4).half()),
    "negative exp_avg_sq": lambda c: c["optimizer"]["state"][0]["exp_avg_sq"].fill_(-1),
    "shared": _shared,
    "sums": lambda c: c.update(sums=torch.ones(3)),
    "long sums": lambda c: c.update(sums=torch.ones(10**6)),
    "whole sums": lambda c: c.update(sums=torch.ones(7, dtype=torch.int64)),
    "no sums": lambda c: c.update(sums=None),
    "infinite sums": lambda c: c.update(sums=torch.full((7,), math.inf)),
    "amsgrad": lambda c: c["optimizer"]["param_groups"][0].update(amsgrad=True),
    "betas": lambda c: c["optimizer"]["param_groups"][0].update(betas=(2.0, 3.0)),
    "groups": lambda c: c["optimizer"]["param_groups"].append({}),
    "no groups": lambda c: c["optimizer"].update(param_groups=[]),
    "params": lambda c: c["optimizer"]["param_groups"][0].update(params=[0, 0, 1]),
    "no state": lambda c: c["optimizer"].update(state={}),
    "state of none": lambda c: c["optimizer"]["state"].update({99: {}}),
    "step -1": lambda c: c["optimizer"]["state"][0].update(step=torch.tensor(-1.0)),
    "plain step": lambda c: c["optimizer"]["state"][0].update(step=1),
    "a tensor in a list": lambda c: c["optimizer"]["param_groups"][0].update(x=[torch.ones(2)]),
    "scaler": lambda c: c.update(scaler={"scale": -1.0}),
    "other objective": lambda c: c["train_config"].update(objective="beta", knobs=None),
    "discriminator": lambda c: c["objective"]["discriminator"].update({"layers.0.weight": torch.ones(3, 3)}),
    "its Adam": lambda c: c["objective"]["optimizer"]["state"][1].update(exp_avg=torch.zeros(99)),
    "half an ema": lambda c: c["ema"].pop("encoder.mu.bias"),
    "NaN ema": lambda c: c["ema"]["encoder.mu.bias"].fill_(math.nan),
    "ema as list": lambda c: c.update(ema=list(c["ema"].values())),
    "far away": lambda c: c.update(step=2**60),
}


def spoiled_contents(path):
    """`(name, content)` of every spoilt copy of a checkpoint."""
    content = torch.load(path, weights_only=True)
    table = [*_values(content), *_names(content), *ODD.items(), *(ODD_LAST.items() if "optimizer" in content else ())]
    for name, spoil in table:
        copied = copy.deepcopy(content)
        spoil(copied)
        yield name, copied


class _Code:
    def __reduce__(self):
        return os.mkdir, ("harm",)


class _Eval:
    def __reduce__(self):
        return eval, ("1",)


def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(members, how=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a name that is there twice
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _repickled(members, content):
    return _zip([(name, content if name.endswith("data.pkl") else each) for name, each in members.items()])


def _saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def spoiled_files(path):
    """`(name, bytes)` of every file that is wrong as an archive or as a pickle."""
    whole, members = path.read_bytes(), _members(path)
    description = next(content for name, content in members.items() if name.endswith("data.pkl"))
    root = next(iter(members)).partition("/")[0]
    # The bias of the first layer has 4 numbers, says `cpu, 4, a storage`; `0, (4,)` of it are the tensor.
    claimed = re.sub(rb"K\x04(t(?:q.|r....)QK\0)K\x04", _larger, description, flags=re.S)
    assert claimed != description
    yield "a tensor of 2 GB", _repickled(members, claimed)
    for cut in (0, 1, 3, 4, 30, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        yield f"cut after {cut}", whole[:cut]
    for at in range(0, len(whole), len(whole) // 24):
        yield f"zeros at {at}", whole[:at] + bytes(64) + whole[at + 64 :]
    yield "text", b"hello"
    yield "zeros", bytes(4096)
    yield "something in front", b"x" * 100 + whole
    yield "something behind", whole + b"x" * 100
    yield "deflated", _zip(members.items(), zipfile.ZIP_DEFLATED)
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # larger than it was, so it claims no more than it has
        yield f"packed as {how}", _zip([*members.items(), (f"{root}/.pad", os.urandom(20_000))], how)
    yield "no members", _zip([])
    yield "only a description", _zip([(f"{root}/data.pkl", description)])
    yield "a member twice", _zip([*members.items(), (f"{root}/data/1", members[f"{root}/data/1"])])
    yield "TorchScript", _zip([*members.items(), (f"{root}/constants.pkl", b"\x80\x02).")])
    yield "TorchScript code", _zip([*members.items(), (f"{root}/code/__torch__.py", b"")])
    yield "something more", _zip([*members.items(), (f"{root}/extra.bin", b"1")])
    yield "another root", _zip([*members.items(), ("../evil", b"1")])
    yield "byte order", _zip([(name, b"big" if name.endswith("byteorder") else each) for name, each in members.items()])
    yield "short tensors", _zip([(name, each[:-1] if "/data/" in name else each) for name, each in members.items()])
    yield "long tensors", _zip([(name, each + b"0" if "/data/" in name else each) for name, each in members.items()])
    yield "a plain pickle", pickle.dumps({"format": "vae_helpers-1"})
    yield "code in a plain pickle", pickle.dumps({"model": _Code()})
    yield "an older torch file", _legacy()
    yield "a module", _saved(torch.nn.Linear(1, 1))
    for code in (
        _Code(),
        _Eval(),
        torch.device("cpu"),
        np.float64(3),
        np.ones(2),
        range(3),
        {1, 2},
        b"x",
        3j,
        torch.float16,
    ):
        yield f"holds a {type(code).__name__}", _saved({"format": "vae_helpers-1", "config": {}, "model": code})
    for value in ([1], None, "x", {}, {"format": None}, {"format": "vae_helpers-1"}, torch.ones(3)):
        yield f"is {str(value)[:20]}", _saved(value)
    pickles = {
        "empty": b"",
        "only a stop": b".",
        "nothing but marks": b"(((((.",
        "a huge memo": b"\x80\x02Nr\xff\xff\xff\xff.",
        "text without end": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "bytes of 8 EB": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "a number of 4 GB": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
        "unknown memo": b"\x80\x02h\x07.",
        "a key of lists": b"\x80\x02}]Ns.",
        "building a name": b"\x80\x02ccollections\nOrderedDict\n}b.",
        "a call of text": b"\x80\x02X\1\0\0\0a)R.",
        "an extension": b"\x80\x02\x82\x01.",
        "eval": b"\x80\x02cbuiltins\neval\nX\1\0\0\0" + b"1\x85R.",
        "an instance": b"(S'echo'\nios\nsystem\n.",
        "tuple of nothing": b"\x80\x02\x87.",
        "a long line": b"c" + b"x" * 10**6,
    }
    ours, deep = b"\x80\x02}X\6\0\0\0formatX\x0d\0\0\0vae_helpers-1sX\5\0\0\0model", 100_000
    pickles["lists in lists"] = ours + b"]" * deep + b"a" * (deep - 1) + b"s."
    for name, content in pickles.items():
        yield f"pickle: {name}", _repickled(members, content)
    for old, new in (
        (b"FloatStorage", b"LongStorage"),
        (b"FloatStorage", b"HalfStorage"),
        (b"FloatStorage", b"QUInt8Storage"),
        (b"_rebuild_tensor_v2", b"_rebuild_parameter"),
        (b"storage", b"module_"),
        (b"cpu", b"gpu"),
    ):
        yield f"pickle: {old[:20]} as {new[:20]}", _repickled(members, description.replace(old, new))


def _larger(found):
    return b"J\0\0\0\x20" + found[1] + b"J\0\0\0\x20"


def _legacy():
    file = io.BytesIO()
    torch.save({"format": "vae_helpers-1"}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()
