"""`torch.compile` of a method's encoders, in the steps of a training and nowhere else."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from nearfar.errors import NearfarError, SettingError
from nearfar.installed import version_of
from nearfar.methods.method import Method
from nearfar.outside_text import first_line
from nearfar.training.generators import own_draws_as_global


class CompiledEncoders:
    """The encoders of a method, compiled while a step is computed.

    Those are its encoder, that of what is paired, and their copies, such as a momentum encoder. A
    look for collapse, a probe and a check pass other numbers of examples, in other modes, and each
    would be compiled anew; so they see the encoders as they are. What is compiled draws from
    torch's global generators, in whose place this thread's own stand meanwhile: dropout draws other
    units than without compiling, the same when a run is gone on with.

    Args:
        method: Its encoders are compiled in place, names and weights stay. Copies of them are not
            compiled.
    """

    def __init__(self, method: Method) -> None:
        self._in_use = self._called = False
        self._title = type(method).__name__
        self._modules = _encoders(method)
        for module in self._modules:
            compiled = torch.compile(module._call_impl)
            module._compiled_call_impl = partial(self._call, module, compiled)

    def _call(
        self, module: nn.Module, compiled: Callable[..., Any], *given: Any, **named: Any
    ) -> Any:
        if not self._in_use:
            return module._call_impl(*given, **named)
        self._called = True
        # A mode of functions would be compiled along, and break the graph where it draws.
        with own_draws_as_global(), torch._C.DisableTorchFunction():
            try:
                return compiled(*given, **named)
            except Exception as error:
                if not _is_of_the_compiler(error):
                    raise
                raise NearfarError(
                    f"training.compile is True: torch cannot compile {type(module).__name__} "
                    f"({first_line(error)}): leave it out"
                ) from error

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """What is compiled computes in here.

        Raises:
            SettingError: The method calls its encoder in another way, so nothing was compiled.
        """
        self._in_use = True
        try:
            yield
        finally:
            self._in_use = False
        if not self._called:
            raise SettingError(
                f"training.compile is True: {self._title} does not call its encoder as a whole, so "
                "nothing is compiled: leave it out"
            )

    def restore(self) -> None:
        """Leave the encoders as they were."""
        for module in self._modules:
            module._compiled_call_impl = None


@contextmanager
def compiled_encoders(
    method: Method, device: torch.device, *, wanted: bool
) -> Iterator[CompiledEncoders | None]:
    """The encoders of a method, compiled as long as the context lasts.

    Args:
        method: What is trained.
        device: Where it computes.
        wanted: Else nothing is compiled.

    Raises:
        SettingError: Nothing here can compile for the device.
    """
    if not wanted:
        yield None
        return
    require_compiler(device)
    compiled = CompiledEncoders(method)
    with contextlib.ExitStack() as stack:
        stack.callback(compiled.restore)
        yield compiled


def require_compiler(device: torch.device) -> None:
    """Refuse where torch has nothing to compile with.

    Raises:
        SettingError: Naming what is missing.
    """
    missing = ""
    if device.type == "cuda" and not version_of("triton"):
        missing = "the package triton, which is not installed"
    if device.type == "cpu" and not cpp_compiler():
        missing = f"a C++ compiler, and {_compiler_name()} is not here (CXX names another)"
    if missing:
        raise SettingError(f"training.compile is True: it needs {missing}; else leave it out")


def cpp_compiler() -> str:
    """The C++ compiler that `torch.compile` calls on a CPU, by its name; empty without one."""
    name = _compiler_name()
    return name if shutil.which(name) else ""


def _compiler_name() -> str:
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")


def _is_of_the_compiler(error: Exception) -> bool:
    # Here, because it takes seconds to import, which only who compiles should wait for.
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)


def _encoders(method: Method) -> list[nn.Module]:
    """The encoders that are trained, and what is of the same kind beside them."""
    tower = method.second_tower
    trained = [method.encoder] if tower is None else [method.encoder, tower.encoder]
    kinds = {type(each) for each in trained}
    copies = [each for each in method.children() if type(each) in kinds]
    return list({id(each): each for each in (*trained, *copies)}.values())
