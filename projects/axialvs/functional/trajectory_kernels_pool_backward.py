"""Triton kernels of trajectory attention, backward: the attention over frames (Eq. 3-4).

They run in the order in which they stand here, after `points_forward`: the forward pass keeps
nothing. No kernel adds to results of another program, so gradients are deterministic. Layouts as in
the forward kernels; scores are in base 2, their gradients are not.
"""

import triton
import triton.language as tl

from axialvs.functional.trajectory_kernels_forward import LOG2_E, by_channel, head_sums


@triton.jit(do_not_specialize=['num_tokens', 'num_frames', 'num_queries'])
def pool_backward(
    points,
    query_weight,
    query_bias,
    key_value_weight,
    grad_out,
    second_query,
    grad_second_query,
    scores,
    grad_weights,
    log_sums,
    means,
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
    PRECISION: tl.constexpr,
):
    """Scores over frames, gradients of their weights, and the gradient of the second query.

    Writes the second query (Eq. 3), scaled, and its gradient before scaling, (B, S, C); scores and
    gradients of weights (B, h, T, S); the softmax's logarithm of the sum and the mean of the
    weights' gradients (B, h, S). Programs as in `pool_forward`.
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
    of_token = rows.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
    head = tl.program_id(0) % GROUPS * GROUP + tl.arange(0, GROUP)
    of_statistic = (line[:, None] * HEADS + head[None, :]) * num_queries + token[:, None]
    of_score = (line[:, None] * HEADS + head[None, :]) * num_frames * num_queries + token[:, None]

    query = tl.zeros((TOKENS, WIDTH), tl.float32)
    for start in range(0, CHANNELS, PIECE):
        point = tl.load(at_own + start, mask=row_valid[:, None], other=0.0)
        weight = tl.load(query_weight + start + of_weight)
        query = tl.dot(point, tl.trans(weight), query, input_precision=PRECISION)
    if QUERY_BIAS:
        query += tl.load(query_bias + channel).to(tl.float32)[None, :]
    query *= scale
    tl.store(
        second_query + of_token, query.to(second_query.dtype.element_ty), mask=row_valid[:, None]
    )
    gradient = tl.load(grad_out + of_token, mask=row_valid[:, None], other=0.0).to(tl.float32)

    top = tl.full((TOKENS, GROUP), float('-inf'), tl.float32)
    total = tl.zeros((TOKENS, GROUP), tl.float32)
    mean = tl.zeros((TOKENS, GROUP), tl.float32)
    keys = tl.zeros((TOKENS, WIDTH), tl.float32)
    weighted_keys = tl.zeros((TOKENS, WIDTH), tl.float32)
    for _ in range(num_frames):
        key = tl.zeros((TOKENS, WIDTH), tl.float32)
        value = tl.zeros((TOKENS, WIDTH), tl.float32)
        for start in range(0, CHANNELS, PIECE):
            point = tl.load(at + start, mask=row_valid[:, None], other=0.0)
            weight = tl.load(key_value_weight + start + of_weight)
            key = tl.dot(point, tl.trans(weight), key, input_precision=PRECISION)
            weight = tl.load(key_value_weight + CHANNELS * CHANNELS + start + of_weight)
            value = tl.dot(point, tl.trans(weight), value, input_precision=PRECISION)
        score = head_sums(query * key, GROUP) * LOG2_E
        grad_weight = head_sums(gradient * value, GROUP)
        tl.store(scores + of_score, score, mask=row_valid[:, None])
        tl.store(grad_weights + of_score, grad_weight, mask=row_valid[:, None])
        new_top = tl.maximum(top, score)
        shrink = tl.exp2(top - new_top)
        weights = tl.exp2(score - new_top)
        total = total * shrink + weights
        keys = keys * by_channel(shrink, HEAD_SIZE) + key * by_channel(weights, HEAD_SIZE)
        weights *= grad_weight
        mean = mean * shrink + weights
        weighted_keys = weighted_keys * by_channel(shrink, HEAD_SIZE)
        weighted_keys += key * by_channel(weights, HEAD_SIZE)
        top = new_top
        at += frame_step
        of_score += num_queries
    mean /= total
    grad_query = weighted_keys - keys * by_channel(mean, HEAD_SIZE)
    grad_query *= by_channel(scale / total, HEAD_SIZE)
    grad_query = grad_query.to(grad_second_query.dtype.element_ty)
    tl.store(grad_second_query + of_token, grad_query, mask=row_valid[:, None])
    tl.store(log_sums + of_statistic, top + tl.log2(total), mask=row_valid[:, None])
    tl.store(means + of_statistic, mean, mask=row_valid[:, None])


@triton.jit(do_not_specialize=['num_tokens', 'tokens_per_split', 'num_frames', 'num_queries'])
def projections_backward(
    points,
    grad_out,
    second_query,
    grad_second_query,
    scores,
    grad_weights,
    log_sums,
    means,
    partial,
    num_tokens,
    tokens_per_split,
    num_frames,
    num_queries,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    TOKENS: tl.constexpr,
    PIECE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients of the weights of Eq. 3: one head's rows, `PIECE` columns, a split of the tokens.

    Writes `partial` (splits, 3, C, C) in float32: of the query, key and value weights.
    """
    CHANNELS: tl.constexpr = HEADS * HEAD_SIZE
    PIECES: tl.constexpr = CHANNELS // PIECE
    head = tl.program_id(0) // PIECES % HEADS
    split = tl.program_id(0) // (PIECES * HEADS)
    column = tl.program_id(0) % PIECES * PIECE + tl.arange(0, PIECE)
    channel = head * HEAD_SIZE + tl.arange(0, HEAD_SIZE)
    frame_step = num_queries * CHANNELS
    of_query = tl.zeros((HEAD_SIZE, PIECE), tl.float32)
    of_key = tl.zeros((HEAD_SIZE, PIECE), tl.float32)
    of_value = tl.zeros((HEAD_SIZE, PIECE), tl.float32)
    end = tl.minimum((split + 1) * tokens_per_split, num_tokens)
    for start in range(split * tokens_per_split, end, TOKENS):
        rows = start + tl.arange(0, TOKENS)
        row_valid = rows < end
        line = (rows // num_queries).to(tl.int64)
        token = rows % num_queries
        own_frame = token // (num_queries // num_frames)
        of_statistic = (line * HEADS + head) * num_queries + token
        log_sum = tl.load(log_sums + of_statistic, mask=row_valid, other=0.0)
        mean = tl.load(means + of_statistic, mask=row_valid, other=0.0)
        pooled = tl.zeros((TOKENS, PIECE), tl.float32)
        weighted = tl.zeros((TOKENS, PIECE), tl.float32)
        first = (line * num_frames * num_queries + token) * CHANNELS
        at = points + first[:, None] + column[None, :]
        of_score = (line * HEADS + head) * num_frames * num_queries + token
        for _ in range(num_frames):
            point = tl.load(at, mask=row_valid[:, None], other=0.0).to(tl.float32)
            score = tl.load(scores + of_score, mask=row_valid, other=0.0)
            grad_weight = tl.load(grad_weights + of_score, mask=row_valid, other=0.0)
            weight_in_time = tl.exp2(score - log_sum)
            pooled += weight_in_time[:, None] * point
            weighted += (weight_in_time * (grad_weight - mean))[:, None] * point
            at += frame_step
            of_score += num_queries
        of_token = rows.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
        gradient = tl.load(grad_out + of_token, mask=row_valid[:, None], other=0.0)
        pooled = pooled.to(gradient.dtype)
        of_value = tl.dot(tl.trans(gradient), pooled, of_value, input_precision=PRECISION)
        q = tl.load(second_query + of_token, mask=row_valid[:, None], other=0.0)
        of_key = tl.dot(tl.trans(q), weighted.to(q.dtype), of_key, input_precision=PRECISION)
        grad_q = tl.load(grad_second_query + of_token, mask=row_valid[:, None], other=0.0)
        at = points + (first + own_frame * frame_step)[:, None] + column[None, :]
        own = tl.load(at, mask=row_valid[:, None], other=0.0)
        of_query = tl.dot(tl.trans(grad_q), own, of_query, input_precision=PRECISION)
    at = partial + split * 3 * CHANNELS * CHANNELS + channel[:, None] * CHANNELS + column[None, :]
    tl.store(at, of_query)
    tl.store(at + CHANNELS * CHANNELS, of_key)
    tl.store(at + 2 * CHANNELS * CHANNELS, of_value)


@triton.jit(do_not_specialize=['num_tokens', 'num_frames', 'num_queries'])
def points_backward(
    points,
    query_weight,
    key_value_weight,
    grad_out,
    second_query,
    grad_second_query,
    scores,
    grad_weights,
    log_sums,
    means,
    point_means,
    num_tokens,
    num_frames,
    num_queries,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    TOKENS: tl.constexpr,
    GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients of the points of one frame, in their place; a program has `GROUP` of their heads.

    Also writes `point_means` (B, h, T, S), the product of each head's point with its gradient: the
    mean that the first step's softmax takes off the gradients of its weights.
    """
    CHANNELS: tl.constexpr = HEADS * HEAD_SIZE
    WIDTH: tl.constexpr = GROUP * HEAD_SIZE
    GROUPS: tl.constexpr = HEADS // GROUP
    group = tl.program_id(0) % GROUPS
    frame = tl.program_id(0) // GROUPS % num_frames
    rows = tl.program_id(0) // (GROUPS * num_frames) * TOKENS + tl.arange(0, TOKENS)
    row_valid = rows < num_tokens
    line = (rows // num_queries).to(tl.int64)
    token = rows % num_queries
    own_frame = token // (num_queries // num_frames)
    channel = group * WIDTH + tl.arange(0, WIDTH)
    of_head = tl.arange(0, HEAD_SIZE)
    grad_point = tl.zeros((TOKENS, WIDTH), tl.float32)
    for head in range(HEADS):
        of_weight = (head * HEAD_SIZE + of_head)[:, None] * CHANNELS + channel[None, :]
        of_token = rows.to(tl.int64)[:, None] * CHANNELS + (head * HEAD_SIZE + of_head)[None, :]
        of_statistic = (line * HEADS + head) * num_queries + token
        of_score = ((line * HEADS + head) * num_frames + frame) * num_queries + token
        log_sum = tl.load(log_sums + of_statistic, mask=row_valid, other=0.0)
        mean = tl.load(means + of_statistic, mask=row_valid, other=0.0)
        score = tl.load(scores + of_score, mask=row_valid, other=0.0)
        grad_weight = tl.load(grad_weights + of_score, mask=row_valid, other=0.0)
        weight_in_time = tl.exp2(score - log_sum)
        grad_score = weight_in_time * (grad_weight - mean)

        gradient = tl.load(grad_out + of_token, mask=row_valid[:, None], other=0.0)
        weight = tl.load(key_value_weight + CHANNELS * CHANNELS + of_weight)
        side = (gradient * weight_in_time[:, None]).to(weight.dtype)
        grad_point = tl.dot(side, weight, grad_point, input_precision=PRECISION)
        q = tl.load(second_query + of_token, mask=row_valid[:, None], other=0.0)
        weight = tl.load(key_value_weight + of_weight)
        side = (q * grad_score[:, None]).to(weight.dtype)
        grad_point = tl.dot(side, weight, grad_point, input_precision=PRECISION)
    is_own = row_valid & (own_frame == frame)
    if tl.max(is_own.to(tl.int32), 0) > 0:
        for head in range(HEADS):
            of_weight = (head * HEAD_SIZE + of_head)[:, None] * CHANNELS + channel[None, :]
            of_token = rows.to(tl.int64)[:, None] * CHANNELS + (head * HEAD_SIZE + of_head)[None, :]
            grad_q = tl.load(grad_second_query + of_token, mask=is_own[:, None], other=0.0)
            weight = tl.load(query_weight + of_weight)
            grad_point = tl.dot(grad_q, weight, grad_point, input_precision=PRECISION)

    first = ((line * num_frames + frame) * num_queries + token) * CHANNELS
    at = points + first[:, None] + channel[None, :]
    point = tl.load(at, mask=row_valid[:, None], other=0.0)
    grad_point = grad_point.to(point.dtype)
    product = point.to(tl.float32) * grad_point.to(tl.float32)
    product = head_sums(product, GROUP)
    heads = group * GROUP + tl.arange(0, GROUP)
    of_score = ((line[:, None] * HEADS + heads[None, :]) * num_frames + frame) * num_queries
    tl.store(point_means + of_score + token[:, None], product, mask=row_valid[:, None])
    tl.debug_barrier()  # other threads of this program may still read what is overwritten
    tl.store(at, grad_point, mask=row_valid[:, None])
