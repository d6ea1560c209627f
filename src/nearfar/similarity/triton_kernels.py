"""GPU kernels over tiles of a matrix of similarities; a tile never leaves the chip.

Every program holds a block of rows and walks over the keys, a tile at a time. Rows are the queries,
or the keys where the launcher exchanges the two. Exponents are in base 2, for which GPUs have an
instruction. Operands are contiguous, `DIM` values a row; where `DIM == BLOCK_DIM` a program reads
its rows once, else a tile's products are summed over blocks of `BLOCK_DIM` columns. Imported by
`triton_logsumexp.py` alone, and only where Triton is installed. Experimental: they have run by
Triton's interpreter and have been compiled, and not yet run on a GPU.
"""

from typing import Any, NamedTuple, no_type_check

import triton
import triton.language as tl
from triton import knobs

LOG2_E = tl.constexpr(1.4426950408889634)
# Finite, so that it can be subtracted from itself; below every exponent that is not infinite.
LOWEST = tl.constexpr(-3.0e38)
NOTHING = tl.constexpr(float("-inf"))

INTERPRETED: bool = knobs.runtime.interpret
"""Whether these kernels were imported for Triton's interpreter, which computes on the CPU."""


class SideNumbers(NamedTuple):
    """What the rows, or the keys, carry beside their values: vectors, None where not asked for.

    Attributes:
        apart: Integers; pairs with equal ones are left out.
        together: Integers; only pairs with equal ones take part.
        group: Integers; pairs with equal ones are summed by themselves.
        bias: Added to the similarities.
        by: Gradient of the log-sum-exp; or, where one shift serves all, `by · 2^(shift − lse)`.
            With groups two vectors, the others' and then the own group's.
        logsumexp: In base 2, for `by`; None where one shift serves all.
    """

    apart: Any
    together: Any
    group: Any
    bias: Any
    by: Any = None
    logsumexp: Any = None


class BlockNumbers(NamedTuple):
    """A block of a side."""

    apart: Any
    together: Any
    group: Any
    bias: Any
    by: Any
    own_by: Any
    logsumexp: Any
    own_logsumexp: Any


@triton.jit
@no_type_check
def _vector(pointer, start, count, BLOCK: tl.constexpr):
    """A block of a vector, 0 beyond its end; None where there is no vector."""
    if pointer is None:
        found = None
    else:
        inside = tl.arange(0, BLOCK)
        found = tl.load(pointer + start + inside, mask=inside < count - start, other=0)
    return found


@triton.jit
@no_type_check
def _own_vector(pointer, group, start, count, BLOCK: tl.constexpr):
    """A block of the own groups' vector, which follows the others'; None without groups."""
    if pointer is None or group is None:
        found = None
    else:
        found = _vector(pointer + count, start, count, BLOCK)
    return found


@triton.jit
@no_type_check
def _vectors(side, start, count, BLOCK: tl.constexpr):
    """A block of all that a side carries."""
    return BlockNumbers(
        _vector(side.apart, start, count, BLOCK),
        _vector(side.together, start, count, BLOCK),
        _vector(side.group, start, count, BLOCK),
        _vector(side.bias, start, count, BLOCK),
        _vector(side.by, start, count, BLOCK),
        _own_vector(side.by, side.group, start, count, BLOCK),
        _vector(side.logsumexp, start, count, BLOCK),
        _own_vector(side.logsumexp, side.group, start, count, BLOCK),
    )


@triton.jit
@no_type_check
def _block(
    pointer, start, count, column, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, BLOCK: tl.constexpr
):
    """A block of rows and columns of an operand, 0 beyond the last row."""
    inside = tl.arange(0, BLOCK)
    # The first row may lie beyond 2^31 values; those within a block do not.
    first = pointer + tl.cast(start, tl.int64) * DIM + column
    places = inside[:, None] * DIM + tl.arange(0, BLOCK_DIM)[None, :]
    return tl.load(first + places, mask=(inside < count - start)[:, None], other=0.0)


@triton.jit
@no_type_check
def _dot(left, right, accumulated, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
    """A product of blocks, added up in float32."""
    if WIDEN:  # Triton's interpreter multiplies the bits of bfloat16 as if they were integers.
        left = left.to(tl.float32)
        right = right.to(tl.float32)
    return tl.dot(left, right, accumulated, input_precision=PRECISION)


@triton.jit
@no_type_check
def _products_in_blocks(
    rows,
    row_start,
    row_count,
    keys,
    key_start,
    key_count,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """A tile of dot products of more values than fit on the chip."""
    products = tl.zeros((ROWS, KEYS), tl.float32)
    for column in range(0, DIM, BLOCK_DIM):
        left = _block(rows, row_start, row_count, column, DIM, BLOCK_DIM, ROWS)
        right = _block(keys, key_start, key_count, column, DIM, BLOCK_DIM, KEYS)
        products = _dot(left, tl.trans(right), products, PRECISION, WIDEN)
    return products


@triton.jit
@no_type_check
def _exponents(products, row, key, keys_left, shift, KEYS: tl.constexpr):
    """A tile's exponents less the shift; minus infinity where a pair takes no part."""
    # What depends on the key alone is one number a key: a pair costs one multiply-add.
    term = tl.zeros((KEYS,), tl.float32) - shift
    if key.bias is not None:
        term += key.bias * LOG2_E
    term = tl.where(tl.arange(0, KEYS) < keys_left, term, NOTHING)
    exponents = products * LOG2_E + term[None, :]
    if row.bias is not None:
        exponents += (row.bias * LOG2_E)[:, None]
    if row.apart is not None:
        exponents = tl.where(row.apart[:, None] == key.apart[None, :], NOTHING, exponents)
    if row.together is not None:
        exponents = tl.where(row.together[:, None] == key.together[None, :], exponents, NOTHING)
    return exponents


@triton.jit
@no_type_check
def _add(maximum, total, terms, ONE_SHIFT: tl.constexpr):
    """Add a tile's terms, exponentials or else exponents, to the running sums of its rows."""
    if ONE_SHIFT:
        total += tl.sum(terms, 1)
    else:
        higher = tl.maximum(maximum, tl.max(terms, 1))
        total = total * tl.exp2(maximum - higher)
        total += tl.sum(tl.exp2(terms - higher[:, None]), 1)
        maximum = higher
    return maximum, total


@triton.jit
@no_type_check
def _column_sums(terms, rows_left, ROWS: tl.constexpr, ONE_SHIFT: tl.constexpr):
    """What a block of rows gives to the sums of a tile's columns, as `logsumexp_kernel` says."""
    inside = (tl.arange(0, ROWS) < rows_left)[:, None]
    if ONE_SHIFT:
        found = tl.sum(tl.where(inside, terms, 0.0), 0)
    else:
        terms = tl.where(inside, terms, NOTHING)
        maximum = tl.maximum(tl.max(terms, 0), LOWEST)
        found = tl.log2(tl.sum(tl.exp2(terms - maximum[None, :]), 0)) + maximum
    return found


# Sizes that change from call to call must not each compile a kernel of their own.
@triton.jit(
    do_not_specialize=["row_count", "key_count", "first_block", "block_step", "keys_of_split"]
)
@no_type_check
def logsumexp_kernel(
    rows,
    keys,
    row_side,
    key_side,
    by_row,
    by_column,
    row_count,
    key_count,
    shift,
    first_block,
    block_step,
    keys_of_split,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    ONE_SHIFT: tl.constexpr,
    HALF: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Sums over rows and columns, in parts: of exponentials where one shift serves all rows, else
    base-2 log-sum-exps.

    Program (i, j) takes the block of rows `first_block + i · block_step` and the j-th split of the
    keys. With `HALF` the matrix is symmetric, and only tiles on and above the diagonal are
    computed; `ROWS` is then a multiple of `KEYS`.

    `by_row` is (splits, row_count); with groups (2, splits, row_count), the others' and the own
    groups'. `by_column` is (blocks of rows, key_count), with groups likewise twice; None where
    columns are not wanted; left as it is where no tile is computed.
    """
    row_start = (first_block + tl.program_id(0) * block_step) * ROWS
    start = tl.program_id(1) * keys_of_split
    stop = tl.minimum(start + keys_of_split, key_count)
    if HALF:
        start = tl.maximum(start, row_start)
    row = _vectors(row_side, row_start, row_count, ROWS)
    if DIM == BLOCK_DIM:
        row_block = _block(rows, row_start, row_count, 0, DIM, BLOCK_DIM, ROWS)
    maximum = tl.full((ROWS,), LOWEST, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    own_maximum = tl.full((ROWS,), LOWEST, tl.float32)
    own_total = tl.zeros((ROWS,), tl.float32)
    for key_start in range(start, stop, KEYS):
        if DIM == BLOCK_DIM:
            key_block = _block(keys, key_start, key_count, 0, DIM, BLOCK_DIM, KEYS)
            products = tl.zeros((ROWS, KEYS), tl.float32)
            products = _dot(row_block, tl.trans(key_block), products, PRECISION, WIDEN)
        else:
            products = _products_in_blocks(
                rows, row_start, row_count, keys, key_start, key_count,
                DIM, BLOCK_DIM, ROWS, KEYS, PRECISION, WIDEN,
            )  # fmt: skip
        key = _vectors(key_side, key_start, key_count, KEYS)
        terms = _exponents(products, row, key, key_count - key_start, shift, KEYS)
        nothing = NOTHING
        if ONE_SHIFT:
            terms = tl.exp2(terms)
            nothing = 0.0
        if row.group is not None:
            same = row.group[:, None] == key.group[None, :]
            own = tl.where(same, terms, nothing)
            terms = tl.where(same, nothing, terms)
            own_maximum, own_total = _add(own_maximum, own_total, own, ONE_SHIFT)
        maximum, total = _add(maximum, total, terms, ONE_SHIFT)
        if by_column is not None:
            inside = tl.arange(0, KEYS)
            place = by_column + tl.program_id(0).to(tl.int64) * key_count + key_start + inside
            wanted = inside < key_count - key_start
            if HALF:
                # A tile on the diagonal holds both triangles: its rows have them all.
                wanted = wanted & (key_start + inside >= row_start + ROWS)
            found = _column_sums(terms, row_count - row_start, ROWS, ONE_SHIFT)
            tl.store(place, found, mask=wanted)
            if row.group is not None:
                place += tl.num_programs(0).to(tl.int64) * key_count
                found = _column_sums(own, row_count - row_start, ROWS, ONE_SHIFT)
                tl.store(place, found, mask=wanted)
    inside = tl.arange(0, ROWS)
    place = by_row + tl.program_id(1).to(tl.int64) * row_count + row_start + inside
    if not ONE_SHIFT:
        total = tl.log2(total) + maximum
        own_total = tl.log2(own_total) + own_maximum
    tl.store(place, total, mask=inside < row_count - row_start)
    if row.group is not None:
        place += tl.num_programs(1).to(tl.int64) * row_count
        tl.store(place, own_total, mask=inside < row_count - row_start)


@triton.jit
@no_type_check
def _factors(row_by, key_by, ROWS: tl.constexpr, KEYS: tl.constexpr):
    """The sum of a number for each row and a number for each key; either may be None."""
    factors = tl.zeros((ROWS, KEYS), tl.float32)
    if row_by is not None:
        factors += row_by[:, None]
    if key_by is not None:
        factors += key_by[None, :]
    return factors


@triton.jit
@no_type_check
def _softmax(exponents, by, own_by, logsumexp, own_logsumexp, same, AXIS: tl.constexpr):
    """`by · 2^(exponent − lse)`, with the own group's numbers where row and key are of one."""
    by = tl.expand_dims(by, AXIS)
    logsumexp = tl.expand_dims(logsumexp, AXIS)
    if same is not None:
        by = tl.where(same, tl.expand_dims(own_by, AXIS), by)
        logsumexp = tl.where(same, tl.expand_dims(own_logsumexp, AXIS), logsumexp)
    return tl.exp2(exponents - logsumexp) * by


@triton.jit
@no_type_check
def _weights(exponents, row, key, ROWS: tl.constexpr, KEYS: tl.constexpr):
    """The gradient with respect to a tile's similarities.

    One exponential a pair where one shift serves all rows, else one for each side.
    """
    same = None
    if row.group is not None:
        same = row.group[:, None] == key.group[None, :]
    if row.logsumexp is None and key.logsumexp is None:
        weights = _factors(row.by, key.by, ROWS, KEYS)
        if row.group is not None:
            weights = tl.where(same, _factors(row.own_by, key.own_by, ROWS, KEYS), weights)
        weights *= tl.exp2(exponents)
    else:
        weights = tl.zeros((ROWS, KEYS), tl.float32)
        if row.by is not None:
            weights += _softmax(
                exponents, row.by, row.own_by, row.logsumexp, row.own_logsumexp, same, 1
            )
        if key.by is not None:
            weights += _softmax(
                exponents, key.by, key.own_by, key.logsumexp, key.own_logsumexp, same, 0
            )
    return weights


@triton.jit(
    do_not_specialize=["row_count", "key_count", "first_block", "block_step", "keys_of_split"]
)
@no_type_check
def gradient_kernel(
    rows,
    keys,
    row_side,
    key_side,
    to_rows,
    to_row_bias,
    row_count,
    key_count,
    shift,
    first_block,
    block_step,
    keys_of_split,
    DIM: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """The gradient to the rows, a part for each split of the keys; two products a tile.

    Programs are laid out as in `logsumexp_kernel`, without `HALF`. `to_rows` is (splits, row_count,
    DIM); `to_row_bias` is (splits, row_count), or None.
    """
    row_start = (first_block + tl.program_id(0) * block_step) * ROWS
    start = tl.program_id(1) * keys_of_split
    stop = tl.minimum(start + keys_of_split, key_count)
    row = _vectors(row_side, row_start, row_count, ROWS)
    row_block = _block(rows, row_start, row_count, 0, DIM, DIM, ROWS)
    gradient = tl.zeros((ROWS, DIM), tl.float32)
    bias_gradient = tl.zeros((ROWS,), tl.float32)
    for key_start in range(start, stop, KEYS):
        key_block = _block(keys, key_start, key_count, 0, DIM, DIM, KEYS)
        products = tl.zeros((ROWS, KEYS), tl.float32)
        products = _dot(row_block, tl.trans(key_block), products, PRECISION, WIDEN)
        key = _vectors(key_side, key_start, key_count, KEYS)
        exponents = _exponents(products, row, key, key_count - key_start, shift, KEYS)
        weights = _weights(exponents, row, key, ROWS, KEYS)
        gradient = _dot(weights.to(key_block.dtype), key_block, gradient, PRECISION, WIDEN)
        if to_row_bias is not None:
            bias_gradient += tl.sum(weights, 1)
    inside = tl.arange(0, ROWS)
    wanted = inside < row_count - row_start
    part = tl.program_id(1).to(tl.int64) * row_count + row_start
    places = inside[:, None] * DIM + tl.arange(0, DIM)[None, :]
    tl.store(to_rows + part * DIM + places, gradient, mask=wanted[:, None])
    if to_row_bias is not None:
        tl.store(to_row_bias + part + inside, bias_gradient, mask=wanted)


@triton.jit(do_not_specialize=["row_count", "key_count", "first_row", "first_key", "stride"])
@no_type_check
def weights_kernel(
    rows,
    keys,
    row_side,
    key_side,
    weights,
    row_count,
    key_count,
    shift,
    first_row,
    first_key,
    stride,
    DIM: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """The gradient with respect to the similarities of a slab of rows and keys; a tile a program.

    `weights` is the slab, `stride` keys a row, from (`first_row`, `first_key`) on.
    """
    row_inside = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    key_inside = tl.program_id(1) * KEYS + tl.arange(0, KEYS)
    row_start = first_row + tl.program_id(0) * ROWS
    key_start = first_key + tl.program_id(1) * KEYS
    products = _products_in_blocks(
        rows, row_start, row_count, keys, key_start, key_count,
        DIM, BLOCK_DIM, ROWS, KEYS, PRECISION, WIDEN,
    )  # fmt: skip
    row = _vectors(row_side, row_start, row_count, ROWS)
    key = _vectors(key_side, key_start, key_count, KEYS)
    exponents = _exponents(products, row, key, key_count - key_start, shift, KEYS)
    found = _weights(exponents, row, key, ROWS, KEYS)
    wanted = (row_inside < row_count - first_row)[:, None]
    wanted = wanted & (key_inside < key_count - first_key)[None, :]
    places = row_inside[:, None] * stride + key_inside[None, :]
    tl.store(weights + places, found.to(weights.dtype.element_ty), mask=wanted)
