"""Every random number of training comes from generators of its own, which are saved and restored.

Layers draw their first weights, dropout its masks, from generators that all threads of a process
share. Seeding those disturbs other threads and is disturbed by them: of ten fits in ten threads,
one came out different.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, no_type_check

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn import init
from torch.overrides import TorchFunctionMode

_TAKES_GENERATOR = frozenset(
    (
        torch.rand,
        torch.randn,
        torch.randint,
        torch.randperm,
        torch.normal,
        torch.bernoulli,
        torch.multinomial,
        torch.poisson,
        torch.binomial,
        Tensor.bernoulli,
        Tensor.multinomial,
        Tensor.uniform_,
        Tensor.normal_,
        Tensor.bernoulli_,
        Tensor.exponential_,
        Tensor.random_,
        Tensor.cauchy_,
        Tensor.log_normal_,
        Tensor.geometric_,
        init.uniform_,
        init.normal_,
        init.kaiming_uniform_,
    )
)
"""Functions that are told which generator to draw from; the rest of `init` is made of these."""

_TAKES_NONE = frozenset(
    (
        torch.rand_like,
        torch.randn_like,
        torch.randint_like,
        F.dropout,
        F.dropout1d,
        F.dropout2d,
        F.dropout3d,
        F.alpha_dropout,
        F.feature_alpha_dropout,
        F.rrelu,
        F.gumbel_softmax,
        F.fractional_max_pool2d,
        F.fractional_max_pool3d,
        torch.dropout,
        torch.dropout_,
        torch.native_dropout,
        torch.alpha_dropout,
        torch.alpha_dropout_,
        torch.feature_dropout,
        torch.feature_dropout_,
        torch.feature_alpha_dropout,
        torch.feature_alpha_dropout_,
        torch.rrelu,
        torch.rrelu_,
    )
)
"""Functions that draw from the global generator alone."""

_MAY_DROP: dict[Callable[..., Any], str] = {
    F.scaled_dot_product_attention: "dropout_p",
    F.multi_head_attention_forward: "dropout_p",
}
"""Functions that draw where their dropout, given by this name, is not 0."""

_RECURRENT = frozenset((torch.gru, torch.lstm, torch.rnn_tanh, torch.rnn_relu))
"""Functions that draw where one of their fractions, the dropout, is not 0."""

_MAY_DRAW = _RECURRENT.union(_MAY_DROP)
_DRAWS = _TAKES_GENERATOR | _TAKES_NONE | _MAY_DRAW

_swapping = threading.Lock()
_threads = threading.local()


class OwnDraws(TorchFunctionMode):
    """While it is entered, this thread draws from generators that no other thread knows.

    What is drawn is what `torch.manual_seed(seed)` would have given, to the bit. torch's global
    generators stay as they are, with one exception: functions that know no other generator, such as
    dropout, are run with the own state in the global one's place, for as long as they take, under a
    lock. Explicit generators are respected.

    Args:
        seed: Decides every draw.
        device: Beside the CPU, the device that is drawn on.
    """

    def __init__(self, seed: int, device: torch.device | None = None) -> None:
        super().__init__()
        self._generators = {"cpu": torch.Generator().manual_seed(seed)}
        self._gpu = _gpu(device)
        if self._gpu is not None:
            self._generators[self._gpu.type] = torch.Generator(self._gpu).manual_seed(seed)

    def __enter__(self) -> "OwnDraws":
        self._outer = getattr(_threads, "current", None)
        _threads.current = self
        super().__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        super().__exit__(None, None, None)  # which it does not look at
        _threads.current = self._outer

    def state(self) -> dict[str, Tensor]:
        """The state of each generator, by the type of its device."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Set each generator to what `state` gave."""
        for name, generator in self._generators.items():
            generator.set_state(state[name])

    @no_type_check  # called for every function of torch: a check of its own types would cost more
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Calls a function of torch, its draws from the own generator."""
        if func not in _DRAWS:
            return func(*args, **kwargs) if kwargs else func(*args)
        kwargs = kwargs or {}
        if getattr(_threads, "current", None) is not self:  # one was entered inside this one
            return func(*args, **kwargs)
        if func in _TAKES_GENERATOR:
            own = self._generators.get(_device(args, kwargs))  # on "meta" nothing is drawn
            if own is not None and kwargs.get("generator") is None:
                kwargs = kwargs | {"generator": own}
        elif func in _TAKES_NONE or _drops(func, args, kwargs):
            return self._swapped(func, args, kwargs)
        return func(*args, **kwargs)

    def _swapped(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls it with the own states in the place of the global ones."""
        with self.as_global():
            return func(*args, **kwargs)

    @contextmanager
    def as_global(self) -> Iterator[None]:
        """The own states stand in the place of the global ones; other threads that want to wait."""
        with _swapping:
            before = _global_state(self._gpu)
            _set_global_state(self._gpu, self.state())
            try:
                yield
            finally:
                self.restore(_global_state(self._gpu))
                _set_global_state(self._gpu, before)


class Generators:
    """The random generators of a run: the views' own, and what stands in for torch's global ones.

    As a context it lets this thread draw from its own generators where code asks torch's: training
    neither depends on what is drawn before or beside it nor changes what comes after. NumPy's and
    Python's global generators are left alone: nothing in training draws from them.

    Args:
        seed: Decides every draw.
        device: Where the views are drawn.
        rank: Each rank has streams of its own; those of rank 0 are those of a single process.

    Attributes:
        views: The generator that the random views draw from.
    """

    def __init__(self, seed: int, device: torch.device, rank: int = 0) -> None:
        self._seed, self._device, self._rank = seed, device, rank
        for_views, for_torch = _independent_seeds(seed, (rank,) if rank else ())
        self.views = torch.Generator(device).manual_seed(for_views)
        self._own = OwnDraws(for_torch, device)

    def __enter__(self) -> "Generators":
        self._own.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._own.__exit__(*raised)

    def state(self) -> dict[str, Tensor]:
        """The state of every generator, by its name."""
        return {"views": self.views.get_state(), **self._own.state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Set every generator to what `state` gave."""
        self.views.set_state(state["views"])
        self._own.restore(state)

    def begin_anew(self, step: int) -> None:
        """Streams that seed, rank and step decide, of a run whose number of ranks has changed.

        Args:
            step: Steps taken; no stream from before is repeated.
        """
        for_views, for_torch = _independent_seeds(self._seed, (self._rank, step))
        self.views.manual_seed(for_views)
        self._own.restore(OwnDraws(for_torch, self._device).state())


def _independent_seeds(seed: int, key: tuple[int, ...]) -> tuple[int, int]:
    """Two of one seed: the views must not repeat the draws of the weights."""
    first, second = np.random.SeedSequence(seed, spawn_key=key).generate_state(2)
    return int(first), int(second)


def drawn_state(device: torch.device) -> dict[str, Tensor]:
    """The state of what this thread draws from: its own generators, or torch's.

    Args:
        device: Beside the CPU, the device that is drawn on.
    """
    current: OwnDraws | None = getattr(_threads, "current", None)
    return _global_state(_gpu(device)) if current is None else current.state()


def restore_drawn(state: dict[str, Tensor], device: torch.device) -> None:
    """Sets what this thread draws from to what `drawn_state` gave."""
    current: OwnDraws | None = getattr(_threads, "current", None)
    if current is None:
        _set_global_state(_gpu(device), state)
    else:
        current.restore(state)


def own_draws_as_global() -> AbstractContextManager[None]:
    """A context for what asks torch's global generators and nothing else, such as compiled code.

    This thread's own generators stand in the place of the global ones, where it has any.
    """
    current: OwnDraws | None = getattr(_threads, "current", None)
    return nullcontext() if current is None else current.as_global()


def _drops(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this call of a function that may draw (`_MAY_DRAW`) does so."""
    if func in _MAY_DROP:
        dropout = kwargs.get(_MAY_DROP[func])
        given = args if dropout is None else (dropout,)
        return any(isinstance(each, float) and each > 0 for each in given)
    return any(isinstance(each, float) and each > 0 for each in args)


def _device(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Type of the device on which a function draws."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"]).type
    for each in (*args, *kwargs.values()):
        if isinstance(each, Tensor):
            return each.device.type
    return torch.get_default_device().type


def _gpu(device: torch.device | None) -> torch.device | None:
    """The device, if it is drawn on by a generator of its own."""
    return device if device is not None and device.type in ("cuda", "mps") else None


def _global_state(gpu: torch.device | None) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if gpu is not None and gpu.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(gpu)
    if gpu is not None and gpu.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def _set_global_state(gpu: torch.device | None, state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if gpu is not None and gpu.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], gpu)
    if gpu is not None and gpu.type == "mps":
        torch.mps.set_rng_state(state["mps"])
