"""A file that torch.save wrote, read without running or trusting anything in it.

torch.load believes what a file says of its own sizes: a number that lies is memory read out of bounds. So the archive
is held to what torch.save writes, its pickle is read as a description in which a tensor is only a shape and a place,
and bytes are fetched one tensor at a time, by whoever has checked the description.
"""

from __future__ import annotations

import math
import os
import pickletools
import stat
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vae_helpers.errors import InputError

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LARGEST_DESCRIPTION = 16 * 2**20  # bytes; those of a run with 200 tensors are 0.1 MB
_BROKEN = (OSError, ValueError, EOFError, RuntimeError, struct.error, OverflowError, zipfile.BadZipFile)
_KNOWN = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {name}" for name in _DTYPES)}
_NUMBERS_AND_TEXT = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE")
_CODE = "it carries code besides weights, which loading would run"


class DamagedFile(InputError):
    """A checkpoint whose writing was cut, or whose bytes changed on the disk: absent, where another is left."""


class Unfit(Exception):
    """Why a file cannot be used, as the part of a sentence that follows "because"."""


class Stored(NamedTuple):
    """A tensor that has not been read: `key` names its bytes in the archive, of which it takes all."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    key: str


class _Name(NamedTuple):
    text: str  # "module name"


class _Storage(NamedTuple):
    dtype: torch.dtype
    key: str
    count: int


class Archive:
    """The description of a file (`content`) and the way to its tensors; a context that keeps the file open.

    Raises DamagedFile for a damaged file, InputError for one that is no regular file or not torch.save's.
    """

    def __init__(self, path: Path):
        self.path = path
        _require_regular(path)
        self._file = self._open()
        try:
            members = self._members()
            self._root = next(iter(members)).partition("/")[0]
            if f"{self._root}/data.pkl" not in members:
                raise foreign(path)
            if members[f"{self._root}/data.pkl"].file_size > _LARGEST_DESCRIPTION:
                raise Unfit("its description is larger than a checkpoint's can be")
            self._sizes = {name: member.file_size for name, member in members.items()}
            if self._sizes.get(f"{self._root}/byteorder") and self._read("byteorder") != sys.byteorder.encode():
                raise Unfit("its numbers are in the byte order of another kind of machine")
            self.content = _describe(bytes(self._read("data.pkl")))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def require_bytes(self, tensor: Stored, where: str) -> None:
        """Refuse a tensor whose bytes are not there, or not as many as its shape takes, before they are read."""
        found = self._sizes.get(f"{self._root}/data/{tensor.key}")
        if found != math.prod(tensor.shape) * tensor.dtype.itemsize:
            raise Unfit(f"{where} needs other bytes than the {found or 0:,} that the file has for it")

    def read(self, tensor: Stored) -> Tensor:
        """Fetch a tensor whose bytes were required before; raises DamagedFile where they are not those written."""
        values = torch.frombuffer(self._read(f"data/{tensor.key}"), dtype=tensor.dtype)
        return values.as_strided(tensor.shape, tensor.stride)

    def _open(self) -> zipfile.ZipFile:
        try:
            with open(self.path, "rb") as file:
                start = file.read(4)
        except OSError as problem:
            raise _closed(self.path, problem.strerror) from None
        if start.strip(b"\0") and not b"PK\3\4".startswith(start):
            raise unreadable(self.path)
        try:
            return zipfile.ZipFile(self.path)
        except _BROKEN:
            raise unreadable(self.path, DamagedFile) from None

    def _members(self) -> dict[str, zipfile.ZipInfo]:
        """What is in the archive, by name; refused unless it takes no more room unpacked than the file does."""
        listed = self._file.infolist()
        members = {member.filename: member for member in listed}
        root = listed[0].filename.partition("/")[0] if listed else ""
        names = [name.partition("/")[2] for name in members if name.startswith(f"{root}/")]
        if any(name == "constants.pkl" or name.startswith("code/") for name in names):
            raise Unfit("it is a TorchScript archive, a program rather than weights")
        known = all(name in ("data.pkl", "byteorder", "version") or name.startswith((".", "data/")) for name in names)
        if not known or not len(names) == len(members) == len(listed):
            ours = f"{root}/data.pkl" in members
            raise Unfit("it holds more than torch.save writes") if ours else foreign(self.path)
        if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in listed):
            raise Unfit("another program than torch.save packed it, so its size tells nothing about what is in it")
        if sum(member.file_size for member in listed) > os.path.getsize(self.path):
            raise Unfit("it claims more bytes than the file has")
        return members

    def _read(self, name: str) -> bytearray:
        """The bytes of a member, whose check sum must be right."""
        content = bytearray(self._sizes[f"{self._root}/{name}"])
        try:
            with self._file.open(f"{self._root}/{name}") as member:
                if member.readinto(content) == len(content) and not member.read(1):  # type: ignore[attr-defined]
                    return content
        except _BROKEN:
            pass
        raise unreadable(self.path, DamagedFile)


def foreign(path: Path) -> InputError:
    """What to say of a file that may be sound but is none of this project's."""
    return InputError(
        f"{path} is not a checkpoint of this project: train a run with notebook 02 or `python -m vae_helpers train`."
    )


def unreadable(path: Path, kind: type[InputError] = InputError) -> InputError:
    """What to say of a file that is damaged, or no archive at all."""
    return kind(
        f"{path} cannot be read as a checkpoint, because the file is damaged, cut short or of another kind: "
        "use another checkpoint or train the run again."
    )


def _closed(path: Path, why: object) -> InputError:
    return InputError(f"{path} cannot be read ({why}): mend that, or use another checkpoint.")


def _require_regular(path: Path) -> None:
    """Opening a pipe waits for ever, reading a device or a file of the kernel's never ends or changes the machine."""
    try:
        state, place = os.stat(path), os.path.realpath(path)
    except (OSError, ValueError) as problem:
        if isinstance(problem, (FileNotFoundError, NotADirectoryError)):
            raise InputError(f"there is no checkpoint {path}: train a run first, or check the name.") from None
        raise _closed(path, getattr(problem, "strerror", None) or problem) from None
    if not stat.S_ISREG(state.st_mode) or place.startswith(("/proc/", "/sys/")):
        raise InputError(f"{path} is no regular file, so it is not opened: give a checkpoint that this project wrote.")


def _describe(content: bytes) -> Any:
    """What a pickle by torch.save says: plain types, and `Stored` for tensors; raises Unfit for anything else.

    A machine for the few instructions that such pickles are made of. None of them calls anything.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    try:
        for code, argument, _ in pickletools.genops(content):
            if code.name in _NUMBERS_AND_TEXT:
                stack.append(argument)
            elif code.name == "MARK":
                marks.append(len(stack))
            elif code.name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif code.name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif code.name in _TAKES:
                count = _TAKES[code.name]
                start = marks.pop() if count is None else len(stack) - count
                if start < 0:
                    raise IndexError
                taken = stack[start:]
                del stack[start:]
                _combine(code.name, taken, stack)
            elif code.name == "GLOBAL":
                if argument not in _KNOWN:
                    raise Unfit(_CODE)
                stack.append(_Name(argument))
            elif code.name == "STOP":
                (result,) = stack
                return result
            elif code.name != "PROTO":
                raise Unfit(_CODE)
    except (ValueError, TypeError, LookupError):
        pass
    raise Unfit("its description is not one that torch.save writes")


def _combine(code: str, taken: list, stack: list) -> None:
    """One instruction that takes values from the stack and leaves one there, or adds them to the one before."""
    if code in _NEW:
        stack.append(_NEW[code]())
    elif code.startswith("TUPLE"):
        stack.append(tuple(taken))
    elif code.startswith("APPEND"):
        _must_be(list, stack[-1]).extend(taken)
    elif code.startswith("SETITEM"):
        if len(taken) % 2 or any(type(key) not in (str, int) for key in taken[::2]):
            raise TypeError
        _must_be(dict, stack[-1]).update(zip(taken[::2], taken[1::2]))
    elif code == "BUILD":
        _must_be(dict, stack[-1])  # torch.save's note of versions beside a model's weights
    elif code == "BINPERSID":
        word, kind, key, _, count = _must_be(tuple, taken[0])
        if word != "storage":
            raise ValueError
        stack.append(_Storage(_DTYPES[_must_be(_Name, kind).text.removeprefix("torch ")], _must_be(str, key), count))
    else:
        stack.append(_reduced(*taken))


def _reduced(function: Any, arguments: Any) -> dict | Stored:
    """What calling a function would give; only two are known, and neither is called."""
    name = _must_be(_Name, function).text
    if name == "collections OrderedDict" and arguments == ():
        return {}
    if name != "torch._utils _rebuild_tensor_v2":
        raise Unfit(_CODE)
    storage, offset, shape, stride, *_ = _must_be(tuple, arguments)
    tensor = Stored(_must_be(_Storage, storage).dtype, _must_be(tuple, shape), _must_be(tuple, stride), storage.key)
    if len(shape) != len(stride) or any(type(number) is not int or number < 0 for number in (*shape, *stride)):
        raise TypeError
    # The elements one after the other, in whatever order of the dimensions: none twice, and nothing in between.
    length = 1
    for step, size in sorted((step, size) for size, step in zip(shape, stride) if size != 1):
        if step != length:
            raise Unfit("a tensor of it is spread over more bytes than it has, or fewer")
        length *= size
    if offset != 0 or storage.count != length:
        raise Unfit("a tensor of it is a part of another")
    return tensor


def _must_be(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


_NEW = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_TAKES = dict.fromkeys(_NEW, 0) | {  # values from the stack; None: all since the last mark
    "TUPLE1": 1,
    "TUPLE2": 2,
    "TUPLE3": 3,
    "APPEND": 1,
    "SETITEM": 2,
    "REDUCE": 2,
    "BUILD": 1,
    "BINPERSID": 1,
    "TUPLE": None,
    "APPENDS": None,
    "SETITEMS": None,
}
