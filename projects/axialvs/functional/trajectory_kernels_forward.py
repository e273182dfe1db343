"""Triton kernels of trajectory attention, forward: trajectory points, then the pooling over frames.

Source: Axial-VS Eq. 2-4. Letters as in `trajectory_attention`; S = T * n queries of a line. Scores
are kept in base 2, in which the hardware takes its exponentials. Trajectory points lie as
(B, T, S, C), statistics of tokens as (B, h, T, S) in float32.
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit(do_not_specialize=['num_frames', 'num_queries', 'num_keys'])
def points_forward(
    query,
    key,
    value,
    points,
    log_sums,
    scale,
    num_frames,
    num_queries,
    num_keys,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    ONE_BLOCK: tl.constexpr,
    KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Attend to each frame on its own (Eq. 2); a program has one head and `QUERIES` tokens.

    `num_queries` is S, `num_keys` those of one frame. With `ONE_BLOCK` a frame's keys fit into one
    block and need no running maximum. `KEEP` stores each softmax's logarithm of the sum.
    """
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
    key += line * num_frames * num_keys * CHANNELS
    value += line * num_frames * num_keys * CHANNELS
    points += line * num_frames * num_queries * CHANNELS
    if KEEP:
        log_sums += (line * HEADS + head) * num_frames * num_queries
    q = tl.load(query + offsets, mask=row_valid[:, None], other=0.0)
    scale *= LOG2_E
    for _ in range(num_frames):
        if ONE_BLOCK:
            valid = columns < num_keys
            k = tl.load(key + of_keys, mask=valid[:, None], other=0.0)
            v = tl.load(value + of_keys, mask=valid[:, None], other=0.0)
            scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
            scores = tl.where(valid[None, :], scores, float('-inf'))
            top = tl.max(scores, 1)
            weights = tl.exp2(scores - top[:, None])
            total = tl.sum(weights, 1)
            point = tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
        else:
            top = tl.full((QUERIES,), float('-inf'), tl.float32)
            total = tl.zeros((QUERIES,), tl.float32)
            point = tl.zeros((QUERIES, HEAD_SIZE), tl.float32)
            for start in range(0, num_keys, KEYS):
                valid = start + columns < num_keys
                k = tl.load(key + start * CHANNELS + of_keys, mask=valid[:, None], other=0.0)
                v = tl.load(value + start * CHANNELS + of_keys, mask=valid[:, None], other=0.0)
                scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
                scores = tl.where(valid[None, :], scores, float('-inf'))
                new_top = tl.maximum(top, tl.max(scores, 1))
                shrink = tl.exp2(top - new_top)
                weights = tl.exp2(scores - new_top[:, None])
                total = total * shrink + tl.sum(weights, 1)
                point *= shrink[:, None]
                point = tl.dot(weights.to(v.dtype), v, point, input_precision=PRECISION)
                top = new_top
        point /= total[:, None]
        tl.store(points + offsets, point.to(points.dtype.element_ty), mask=row_valid[:, None])
        if KEEP:
            tl.store(log_sums + rows, top + tl.log2(total), mask=row_valid)
            log_sums += num_queries
        key += num_keys * CHANNELS
        value += num_keys * CHANNELS
        points += num_queries * CHANNELS


@triton.jit(do_not_specialize=['num_tokens', 'num_frames', 'num_queries'])
def pool_forward(
    points,
    query_weight,
    query_bias,
    key_value_weight,
    key_value_bias,
    out,
    scale,
    num_tokens,
    num_frames,
    num_queries,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    TOKENS: tl.constexpr,
    GROUP: tl.constexpr,
    PIECE: tl.constexpr,
    QUERY_BIAS: tl.constexpr,
    VALUE_BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Attend over frames (Eq. 3-4); a program has `TOKENS` tokens and `GROUP` of their heads.

    Points are projected frame by frame, `PIECE` channels at a time, and never stored so. The key
    bias adds the same to every score of a token and cancels in the softmax; the value bias is added
    once because weights sum up to one.
    """
    CHANNELS: tl.constexpr = HEADS * HEAD_SIZE
    WIDTH: tl.constexpr = GROUP * HEAD_SIZE
    GROUPS: tl.constexpr = HEADS // GROUP
    rows = tl.program_id(0) // GROUPS * TOKENS + tl.arange(0, TOKENS)
    row_valid = rows < num_tokens
    line = (rows // num_queries).to(tl.int64)
    token = rows % num_queries
    frame_step = num_queries * CHANNELS
    piece = tl.arange(0, PIECE)
    channel = tl.program_id(0) % GROUPS * WIDTH + tl.arange(0, WIDTH)
    of_weight = channel[:, None] * CHANNELS + piece[None, :]
    first = (line * num_frames * num_queries + token) * CHANNELS
    own_frame = token // (num_queries // num_frames)
    at_own = points + (first + own_frame * frame_step)[:, None] + piece[None, :]
    at = points + first[:, None] + piece[None, :]

    query = tl.zeros((TOKENS, WIDTH), tl.float32)
    for start in range(0, CHANNELS, PIECE):
        point = tl.load(at_own + start, mask=row_valid[:, None], other=0.0)
        weight = tl.load(query_weight + start + of_weight)
        query = tl.dot(point, tl.trans(weight), query, input_precision=PRECISION)
    if QUERY_BIAS:
        query += tl.load(query_bias + channel).to(tl.float32)[None, :]
    query *= scale * LOG2_E

    top = tl.full((TOKENS, GROUP), float('-inf'), tl.float32)
    total = tl.zeros((TOKENS, GROUP), tl.float32)
    result = tl.zeros((TOKENS, WIDTH), tl.float32)
    for _ in range(num_frames):
        key = tl.zeros((TOKENS, WIDTH), tl.float32)
        value = tl.zeros((TOKENS, WIDTH), tl.float32)
        for start in range(0, CHANNELS, PIECE):
            point = tl.load(at + start, mask=row_valid[:, None], other=0.0)
            weight = tl.load(key_value_weight + start + of_weight)
            key = tl.dot(point, tl.trans(weight), key, input_precision=PRECISION)
            weight = tl.load(key_value_weight + CHANNELS * CHANNELS + start + of_weight)
            value = tl.dot(point, tl.trans(weight), value, input_precision=PRECISION)
        score = head_sums(query * key, GROUP)
        new_top = tl.maximum(top, score)
        shrink = tl.exp2(top - new_top)
        weights = tl.exp2(score - new_top)
        total = total * shrink + weights
        result = result * by_channel(shrink, HEAD_SIZE) + value * by_channel(weights, HEAD_SIZE)
        top = new_top
        at += frame_step
    result /= by_channel(total, HEAD_SIZE)
    if VALUE_BIAS:
        result += tl.load(key_value_bias + CHANNELS + channel).to(tl.float32)[None, :]
    of_out = rows.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
    tl.store(out + of_out, result.to(out.dtype.element_ty), mask=row_valid[:, None])


@triton.jit
def head_sums(x, GROUP: tl.constexpr):
    """Sums of the channels of each head: (tokens, GROUP * d) -> (tokens, GROUP)."""
    return tl.sum(tl.reshape(x, (x.shape[0], GROUP, x.shape[1] // GROUP)), 2)


@triton.jit
def by_channel(x, HEAD_SIZE: tl.constexpr):
    """A head's number for each of its channels: (tokens, GROUP) -> (tokens, GROUP * d)."""
    wide = tl.broadcast_to(x[:, :, None], (x.shape[0], x.shape[1], HEAD_SIZE))
    return tl.reshape(wide, (x.shape[0], x.shape[1] * HEAD_SIZE))
