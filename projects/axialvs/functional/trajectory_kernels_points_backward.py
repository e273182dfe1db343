"""Triton kernels of trajectory attention, backward: the attention to each frame (Eq. 2).

Both recompute its weights from the logarithms of their sums, as flash attention does, and run after
`points_backward`. Layouts as in the forward kernels.
"""

import triton
import triton.language as tl

from axialvs.functional.trajectory_kernels_forward import LOG2_E


@triton.jit(do_not_specialize=['num_frames', 'num_queries', 'num_keys'])
def query_backward(
    query,
    key,
    value,
    grad_points,
    log_sums,
    means,
    grad_query,
    scale,
    num_frames,
    num_queries,
    num_keys,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradient of the query of Eq. 2; programs as in `points_forward`."""
    CHANNELS: tl.constexpr = HEADS * HEAD_SIZE
    blocks = tl.cdiv(num_queries, QUERIES)
    head = tl.program_id(0) // blocks % HEADS
    line = (tl.program_id(0) // blocks // HEADS).to(tl.int64)
    rows = tl.program_id(0) % blocks * QUERIES + tl.arange(0, QUERIES)
    row_valid = rows < num_queries
    channel = head * HEAD_SIZE + tl.arange(0, HEAD_SIZE)
    offsets = rows[:, None] * CHANNELS + channel[None, :]
    columns = tl.arange(0, KEYS)
    of_keys = columns[:, None] * CHANNELS + channel[None, :]

    query += line * num_queries * CHANNELS
    grad_query += line * num_queries * CHANNELS
    key += line * num_frames * num_keys * CHANNELS
    value += line * num_frames * num_keys * CHANNELS
    grad_points += line * num_frames * num_queries * CHANNELS
    log_sums += (line * HEADS + head) * num_frames * num_queries
    means += (line * HEADS + head) * num_frames * num_queries
    q = tl.load(query + offsets, mask=row_valid[:, None], other=0.0)
    gradient = tl.zeros((QUERIES, HEAD_SIZE), tl.float32)
    for _ in range(num_frames):
        grad_point = tl.load(grad_points + offsets, mask=row_valid[:, None], other=0.0)
        log_sum = tl.load(log_sums + rows, mask=row_valid, other=0.0)
        mean = tl.load(means + rows, mask=row_valid, other=0.0)
        for start in range(0, num_keys, KEYS):
            valid = start + columns < num_keys
            k = tl.load(key + start * CHANNELS + of_keys, mask=valid[:, None], other=0.0)
            v = tl.load(value + start * CHANNELS + of_keys, mask=valid[:, None], other=0.0)
            scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * (scale * LOG2_E)
            weights = tl.exp2(scores - log_sum[:, None])
            weights = tl.where(valid[None, :], weights, 0.0)
            grad_weights = tl.dot(grad_point, tl.trans(v), input_precision=PRECISION)
            grad_scores = (weights * (grad_weights - mean[:, None])).to(k.dtype)
            gradient = tl.dot(grad_scores, k, gradient, input_precision=PRECISION)
        key += num_keys * CHANNELS
        value += num_keys * CHANNELS
        grad_points += num_queries * CHANNELS
        log_sums += num_queries
        means += num_queries
    gradient = (gradient * scale).to(grad_query.dtype.element_ty)
    tl.store(grad_query + offsets, gradient, mask=row_valid[:, None])


@triton.jit(do_not_specialize=['num_frames', 'num_queries', 'num_keys'])
def key_value_backward(
    query,
    key,
    value,
    grad_points,
    log_sums,
    means,
    grad_key,
    grad_value,
    scale,
    num_frames,
    num_queries,
    num_keys,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients of keys and values of Eq. 2; a program has one head and `KEYS` of one frame."""
    CHANNELS: tl.constexpr = HEADS * HEAD_SIZE
    blocks = tl.cdiv(num_keys, KEYS)
    columns = tl.program_id(0) % blocks * KEYS + tl.arange(0, KEYS)
    valid = columns < num_keys
    frame = tl.program_id(0) // blocks % num_frames
    head = tl.program_id(0) // blocks // num_frames % HEADS
    line = (tl.program_id(0) // blocks // num_frames // HEADS).to(tl.int64)
    channel = head * HEAD_SIZE + tl.arange(0, HEAD_SIZE)
    frames = line * num_frames + frame
    of_keys = (frames * num_keys + columns[:, None]) * CHANNELS + channel[None, :]
    k = tl.load(key + of_keys, mask=valid[:, None], other=0.0)
    v = tl.load(value + of_keys, mask=valid[:, None], other=0.0)

    query += line * num_queries * CHANNELS
    grad_points += frames * num_queries * CHANNELS
    statistics = ((line * HEADS + head) * num_frames + frame) * num_queries
    of_k = tl.zeros((KEYS, HEAD_SIZE), tl.float32)
    of_v = tl.zeros((KEYS, HEAD_SIZE), tl.float32)
    for start in range(0, num_queries, QUERIES):
        rows = start + tl.arange(0, QUERIES)
        row_valid = rows < num_queries
        offsets = rows[:, None] * CHANNELS + channel[None, :]
        q = tl.load(query + offsets, mask=row_valid[:, None], other=0.0)
        grad_point = tl.load(grad_points + offsets, mask=row_valid[:, None], other=0.0)
        log_sum = tl.load(log_sums + statistics + rows, mask=row_valid, other=0.0)
        mean = tl.load(means + statistics + rows, mask=row_valid, other=0.0)
        scores = tl.dot(k, tl.trans(q), input_precision=PRECISION) * (scale * LOG2_E)
        weights = tl.exp2(scores - log_sum[None, :])
        of_v = tl.dot(weights.to(v.dtype), grad_point, of_v, input_precision=PRECISION)
        grad_weights = tl.dot(v, tl.trans(grad_point), input_precision=PRECISION)
        grad_scores = (weights * (grad_weights - mean[None, :])).to(q.dtype)
        of_k = tl.dot(grad_scores, q, of_k, input_precision=PRECISION)
    of_k *= scale
    tl.store(grad_key + of_keys, of_k.to(grad_key.dtype.element_ty), mask=valid[:, None])
    tl.store(grad_value + of_keys, of_v.to(grad_value.dtype.element_ty), mask=valid[:, None])
