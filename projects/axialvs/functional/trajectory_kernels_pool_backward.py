"""Triton kernels of trajectory attention, backward: the attention over frames (Eq. 3-4).

They run in the order of this file, after `points_forward`: the forward pass keeps
nothing. No kernel adds to results of another program, so gradients are deterministic. Layouts as in
the forward kernels.
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
    time_weights,
    grad_scores,
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
    """Weights over frames, gradients of their scores, and the gradient of the second query.

    Writes the second query (Eq. 3), scaled, and its gradient before scaling, (B, S, C); weights and
    gradients of scores (B, h, T, S). Programs as in `pool_forward`.
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
    first_score = (line[:, None] * HEADS + head[None, :]) * num_frames * num_queries
    first_score += token[:, None]

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
    of_score = first_score
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
        tl.store(time_weights + of_score, score, mask=row_valid[:, None])
        tl.store(grad_scores + of_score, grad_weight, mask=row_valid[:, None])
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

    tl.debug_barrier()  # what is loaded below may have been stored by other threads
    of_score = first_score
    for _ in range(num_frames):
        score = tl.load(time_weights + of_score, mask=row_valid[:, None], other=0.0)
        grad_weight = tl.load(grad_scores + of_score, mask=row_valid[:, None], other=0.0)
        weights = tl.exp2(score - top) / total
        tl.store(time_weights + of_score, weights, mask=row_valid[:, None])
        tl.store(grad_scores + of_score, weights * (grad_weight - mean), mask=row_valid[:, None])
        of_score += num_queries


COUNTS = [
    'num_tokens',
    'tokens_per_split',
    'num_rows',
    'rows_per_split',
    'num_frames',
    'num_queries',
]


@triton.jit(do_not_specialize=COUNTS)
def projections_backward(
    points,
    grad_out,
    second_query,
    grad_second_query,
    time_weights,
    grad_scores,
    partial,
    num_tokens,
    tokens_per_split,
    num_rows,
    rows_per_split,
    num_frames,
    num_queries,
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    TOKENS: tl.constexpr,
    GROUP: tl.constexpr,
    PIECE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients of the projections of Eq. 3, from a split of the tokens.

    A program has `GROUP` heads' rows of the query, key or value weight and `PIECE` columns, or
    those heads' biases. `num_rows` counts the trajectory points. Writes `partial`
    (splits, 3 * C * C + 3 * C) in float32: weights, then biases, of query, key and value.
    """
    CHANNELS: tl.constexpr = HEADS * HEAD_SIZE
    WIDTH: tl.constexpr = GROUP * HEAD_SIZE
    GROUPS: tl.constexpr = HEADS // GROUP
    PIECES: tl.constexpr = CHANNELS // PIECE
    TILES: tl.constexpr = GROUPS * PIECES
    split = tl.program_id(0) // (3 * TILES + GROUPS)
    tile = tl.program_id(0) % (3 * TILES + GROUPS)
    group = tile % GROUPS
    channel = group * WIDTH + tl.arange(0, WIDTH)
    head = group * GROUP + tl.arange(0, GROUP)
    column = tile // GROUPS % PIECES * PIECE + tl.arange(0, PIECE)
    partial += split * (3 * CHANNELS * CHANNELS + 3 * CHANNELS)
    first_token = split * tokens_per_split
    end_token = tl.minimum(first_token + tokens_per_split, num_tokens)
    at = partial + tile // TILES * CHANNELS * CHANNELS
    at += channel[:, None] * CHANNELS + column[None, :]
    if tile < TILES:
        result = tl.zeros((WIDTH, PIECE), tl.float32)
        for start in range(first_token, end_token, TOKENS):
            rows = start + tl.arange(0, TOKENS)
            valid = rows < end_token
            line = (rows // num_queries).to(tl.int64)
            token = rows % num_queries
            own_frame = token // (num_queries // num_frames)
            of_side = rows.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
            side = tl.load(grad_second_query + of_side, mask=valid[:, None], other=0.0)
            own = (line * num_frames + own_frame) * num_queries + token
            of_point = own[:, None] * CHANNELS + column[None, :]
            point = tl.load(points + of_point, mask=valid[:, None], other=0.0)
            result = tl.dot(tl.trans(side), point, result, input_precision=PRECISION)
        tl.store(at, result)
    elif tile < 3 * TILES:
        # The gradient of a projected point: of its key, then of its value.
        if tile < 2 * TILES:
            sides = second_query
            factors = grad_scores
        else:
            sides = grad_out
            factors = time_weights
        result = tl.zeros((WIDTH, PIECE), tl.float32)
        end = tl.minimum((split + 1) * rows_per_split, num_rows)
        for start in range(split * rows_per_split, end, TOKENS):
            rows = start + tl.arange(0, TOKENS)
            valid = rows < end
            frame = rows // num_queries
            token = rows % num_queries
            line = (frame // num_frames).to(tl.int64)
            frame = frame % num_frames
            of_factor = (line[:, None] * HEADS + head[None, :]) * num_frames + frame[:, None]
            of_factor = of_factor * num_queries + token[:, None]
            factor = tl.load(factors + of_factor, mask=valid[:, None], other=0.0)
            of_side = (line * num_queries + token)[:, None] * CHANNELS + channel[None, :]
            side = tl.load(sides + of_side, mask=valid[:, None], other=0.0)
            side = (side * by_channel(factor, HEAD_SIZE)).to(side.dtype)
            of_point = rows.to(tl.int64)[:, None] * CHANNELS + column[None, :]
            point = tl.load(points + of_point, mask=valid[:, None], other=0.0)
            result = tl.dot(tl.trans(side), point, result, input_precision=PRECISION)
        tl.store(at, result)
    else:
        of_query = tl.zeros((TOKENS, WIDTH), tl.float32)
        of_value = tl.zeros((TOKENS, WIDTH), tl.float32)
        for start in range(first_token, end_token, TOKENS):
            rows = start + tl.arange(0, TOKENS)
            valid = rows < end_token
            of_side = rows.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
            of_query += tl.load(grad_second_query + of_side, mask=valid[:, None], other=0.0)
            of_value += tl.load(grad_out + of_side, mask=valid[:, None], other=0.0)
        # The key bias cancels in the softmax over frames; weights over frames sum to one.
        at_bias = partial + 3 * CHANNELS * CHANNELS + channel
        tl.store(at_bias, tl.sum(of_query, 0))
        tl.store(at_bias + CHANNELS, tl.zeros((WIDTH,), tl.float32))
        tl.store(at_bias + 2 * CHANNELS, tl.sum(of_value, 0))


@triton.jit(do_not_specialize=['num_tokens', 'num_frames', 'num_queries'])
def points_backward(
    points,
    query_weight,
    key_value_weight,
    grad_out,
    second_query,
    grad_second_query,
    time_weights,
    grad_scores,
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
        of_score = ((line * HEADS + head) * num_frames + frame) * num_queries + token
        time_weight = tl.load(time_weights + of_score, mask=row_valid, other=0.0)
        grad_score = tl.load(grad_scores + of_score, mask=row_valid, other=0.0)
        gradient = tl.load(grad_out + of_token, mask=row_valid[:, None], other=0.0)
        weight = tl.load(key_value_weight + CHANNELS * CHANNELS + of_weight)
        side = (gradient * time_weight[:, None]).to(weight.dtype)
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
