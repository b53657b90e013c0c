"""LSTM and GRU over a whole sequence, with gradients written by hand.

Two things make a recurrent layer slow on a CPU when it is left to automatic differentiation: the
weight gradient is accumulated by one small product per position, and every intermediate of a cell
is kept. Here only the recurrence runs in the loop; its gradient collects the gate gradients of all
positions and forms each weight gradient from them by ONE product after the loop.

Arrays are time-major, `(time, batch, ...)`, because a loop reads and writes whole slices of the
leading axis. The cells are those of Keras: LSTM after Hochreiter & Schmidhuber (1997) with the
forget gate of Gers et al. (2000), gates in the order i, f, c, o; GRU after Cho et al.
(arXiv:1406.1078) in the `reset_after` form that cuDNN uses, gates in the order z, r, h.

The gradients are of first order: differentiating them again is not supported.
"""

import tensorflow as tf


def lstm_sequence(projected, h0, c0, recurrent_kernel, mask=None, recurrent_mask=None):
    """Runs an LSTM over a sequence whose input projection `x W + b` is already done.

    Args:
        projected: Float `(time, batch, 4 * units)`, gates i, f, c, o.
        h0: Initial output `(batch, units)`.
        c0: Initial cell state `(batch, units)`.
        recurrent_kernel: `(units, 4 * units)`.
        mask: Optional bool `(time, batch)`; where False the state is carried over unchanged.
        recurrent_mask: Optional float `(batch, units)`, multiplied onto the previous output before
            the recurrent product of every position (variational dropout, arXiv:1512.05287). It
            gets no gradient.

    Returns:
        `(outputs, c_last)`: outputs `(time, batch, units)` and the last cell state
        `(batch, units)`. The last output is `outputs[-1]`.
    """
    keep = None if mask is None else tf.cast(mask, projected.dtype)[:, :, None]

    @tf.custom_gradient
    def run(projected, h0, c0, recurrent_kernel):
        def step(position, h, c):
            z = tf.gather(projected, position) + tf.matmul(
                _times(h, recurrent_mask), recurrent_kernel
            )
            h_new, c_new, gates = lstm_cell(z, c)
            if keep is not None:
                here = tf.gather(keep, position)
                h_new, c_new = h + here * (h_new - h), c + here * (c_new - c)
            return (h_new, c_new), (h_new, c_new, gates)

        (_, c_last), (outputs, cells, gates) = _scan(step, (h0, c0), projected, 3)

        def gradient(d_outputs, d_c_last):
            transposed = tf.transpose(recurrent_kernel)
            cells_before = _shift(c0, cells)

            def step_back(position, dh, dc):
                dh += tf.gather(d_outputs, position)
                i, f, g, o = tf.split(tf.gather(gates, position), 4, axis=-1)
                c_before = tf.gather(cells_before, position)
                dh_here, dc_here = dh, dc
                if keep is not None:
                    here = tf.gather(keep, position)
                    dh_here, dc_here = here * dh, here * dc
                tanh_c = tf.tanh(f * c_before + i * g)
                dc_here += dh_here * o * (1 - tanh_c * tanh_c)
                dz = tf.concat(
                    [
                        dc_here * g * i * (1 - i),
                        dc_here * c_before * f * (1 - f),
                        dc_here * i * (1 - g * g),
                        dh_here * tanh_c * o * (1 - o),
                    ],
                    axis=-1,
                )
                dh_before = _times(tf.matmul(dz, transposed), recurrent_mask)
                dc_before = dc_here * f
                if keep is not None:
                    dh_before += (1 - here) * dh
                    dc_before += (1 - here) * dc
                return (dh_before, dc_before), (dz,)

            (dh0, dc0), (dz,) = _scan(
                step_back, (tf.zeros_like(h0), d_c_last), projected, 1, reverse=True
            )
            h_before = _times(_shift(h0, outputs), recurrent_mask)
            return dz, dh0, dc0, _weight_gradient(h_before, dz)

        return (outputs, c_last), gradient

    return run(projected, h0, c0, recurrent_kernel)


def gru_sequence(projected, h0, recurrent_kernel, recurrent_bias, mask=None, recurrent_mask=None):
    """Runs a GRU (`reset_after=True`) whose input projection `x W + b` is already done.

    Args:
        projected: Float `(time, batch, 3 * units)`, gates z, r, h.
        h0: Initial output `(batch, units)`.
        recurrent_kernel: `(units, 3 * units)`.
        recurrent_bias: `(3 * units,)`.
        mask: Optional bool `(time, batch)`; where False the state is carried over unchanged.
        recurrent_mask: Optional float `(batch, units)`, multiplied onto the previous output before
            the recurrent product of every position (variational dropout, arXiv:1512.05287), not
            onto the part that the update gate carries over. It gets no gradient.

    Returns:
        Outputs `(time, batch, units)`.
    """
    keep = None if mask is None else tf.cast(mask, projected.dtype)[:, :, None]

    @tf.custom_gradient
    def run(projected, h0, recurrent_kernel, recurrent_bias):
        def step(position, h):
            inner = tf.matmul(_times(h, recurrent_mask), recurrent_kernel) + recurrent_bias
            h_new, gates = gru_cell(tf.gather(projected, position), inner, h)
            if keep is not None:
                h_new = h + tf.gather(keep, position) * (h_new - h)
            return (h_new,), (h_new, gates)

        _, (outputs, gates) = _scan(step, (h0,), projected, 2)

        def gradient(d_outputs):
            transposed = tf.transpose(recurrent_kernel)
            h_before = _shift(h0, outputs)

            def step_back(position, dh):
                dh += tf.gather(d_outputs, position)
                z, r, candidate, hh = tf.split(tf.gather(gates, position), 4, axis=-1)
                dh_here = dh
                if keep is not None:
                    here = tf.gather(keep, position)
                    dh_here = here * dh
                d_candidate = dh_here * (1 - z) * (1 - candidate * candidate)
                dz = dh_here * (tf.gather(h_before, position) - candidate) * z * (1 - z)
                dr = d_candidate * hh * r * (1 - r)
                d_inner = tf.concat([dz, dr, d_candidate * r], axis=-1)
                dh_before = dh_here * z + _times(tf.matmul(d_inner, transposed), recurrent_mask)
                if keep is not None:
                    dh_before += (1 - here) * dh
                return (dh_before,), (d_inner, d_candidate)

            (dh0,), (d_inner, d_candidate) = _scan(
                step_back, (tf.zeros_like(h0),), projected, 2, reverse=True
            )
            # The products differ in the candidate only, which the reset gate weighs in one of them.
            d_gates = d_inner[:, :, : -d_candidate.shape[-1]]
            d_projected = tf.concat([d_gates, d_candidate], axis=-1)
            return (
                d_projected,
                dh0,
                _weight_gradient(_times(h_before, recurrent_mask), d_inner),
                tf.reduce_sum(d_inner, axis=[0, 1]),
            )

        return outputs, gradient

    return run(projected, h0, recurrent_kernel, recurrent_bias)


def windowed_sequence(
    recur, projected, state, shown, weights, items, valid, mask=None, recurrent_mask=None
):
    """Runs a recurrent layer with a soft window (arXiv:1308.0850, eq. 46-51) over a sequence.

    Args:
        recur: Function `(x, inner, state) -> state` of one position of the layer, of its products
            with the input and with its own output; the first of the state is the output.
        projected: Float `(time, batch, gates)`, the product with the input.
        state: List of tensors `(batch, units)` before the sequence.
        shown: `[window (batch, width), place (batch, components)]` before the sequence.
        weights: List of the kernel and the bias of the product with the output, the kernel of that
            with the window, and the kernel and the bias of what the window goes by.
        items: `(batch, items, width)`, what the window is over.
        valid: bool `(batch, items)`: which items there are.
        mask: As of `lstm_sequence`; the window stays where it is, too.
        recurrent_mask: As there.

    Returns:
        `(outputs, windows, shares, state, shown)`, the first three `(time, batch, ...)`; the shares
        have no gradient.
    """
    count = len(state)
    keep = None if mask is None else tf.cast(mask, tf.float32)[:, :, None]

    def kept(position, new, old):
        """What stays as it was where the mask is False."""
        if keep is None:
            return new
        return old + tf.cast(tf.gather(keep, position), new.dtype) * (new - old)

    @tf.custom_gradient
    def run(projected, items, window, place, kernel, bias, feedback, own_kernel, own_bias, *state):
        def cell(position, x, inner, *before):
            after = recur(x, inner, before)
            return [kept(position, new, old) for new, old in zip(after, before)]

        def move(position, parameters, place):
            shares, after = window_shares(parameters, place, valid)
            return shares, kept(position, after, place)

        def step(position, window, place, *state):
            x = tf.gather(projected, position) + tf.matmul(window, feedback)
            inner = tf.matmul(_times(state[0], recurrent_mask), kernel) + bias
            state = cell(position, x, inner, *state)
            parameters = tf.matmul(state[0], own_kernel) + own_bias
            shares, place = move(position, parameters, place)
            window = kept(position, weighed(shares, items), window)
            carried = window, place, *state
            return carried, (*carried, shares, x, inner, parameters)

        half, full = projected.dtype, tf.float32
        types = [half, full, *[half] * count, full, half, half, half]
        _, saved = _scan(step, (window, place, *state), projected, types)
        windows, places, *states = saved[: count + 2]
        shares, xs, inners, parameters = saved[count + 2 :]

        def gradient(d_outputs, d_windows, _, *d_last):
            befores = [_shift(*pair) for pair in zip(state, states)]
            windows_before, places_before = _shift(window, windows), _shift(place, places)

            def step_back(position, d_window, d_place, *d_state):
                d_window += tf.gather(d_windows, position)
                d_here = d_window
                if keep is not None:
                    d_here *= tf.cast(tf.gather(keep, position), d_window.dtype)
                d_shown = tf.cast(tf.einsum("bc,bic->bi", d_here, items), tf.float32)
                inputs = tf.gather(parameters, position), tf.gather(places_before, position)
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    moved = move(position, *inputs)
                d_parameters, d_place = tape.gradient(moved, inputs, [d_shown, d_place])
                d_output = d_state[0] + tf.gather(d_outputs, position)
                d_output += tf.matmul(d_parameters, own_kernel, transpose_b=True)
                inputs = [tf.gather(each, position) for each in (xs, inners, *befores)]
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    after = cell(position, *inputs)
                d_x, d_inner, *d_state = tape.gradient(
                    after, inputs, [d_output, *d_state[1:]], tf.UnconnectedGradients.ZERO
                )
                d_state[0] += _times(tf.matmul(d_inner, kernel, transpose_b=True), recurrent_mask)
                d_before = d_window - d_here + tf.matmul(d_x, feedback, transpose_b=True)
                return (d_before, d_place, *d_state), (d_x, d_inner, d_parameters, d_here)

            carried = [*d_last[count:], *d_last[:count]]
            (d_window, d_place, *d_state), found = _scan(
                step_back, carried, projected, [half] * 4, reverse=True
            )
            d_x, d_inner, d_parameters, d_here = found
            d_items = tf.einsum("tbi,tbc->bic", tf.cast(shares, half), d_here)
            outputs_before = _times(befores[0], recurrent_mask)
            return (
                d_x,
                d_items,
                d_window,
                d_place,
                _weight_gradient(outputs_before, d_inner),
                tf.reduce_sum(d_inner, axis=[0, 1]),
                _weight_gradient(windows_before, d_x),
                _weight_gradient(states[0], d_parameters),
                tf.reduce_sum(d_parameters, axis=[0, 1]),
                *d_state,
            )

        last = [each[-1] for each in (*states, windows, places)]
        return (states[0], windows, shares, *last), gradient

    found = run(projected, items, *shown, *weights, *state)
    outputs, windows, shares = found[:3]
    last = list(found[3:])
    return outputs, windows, tf.stop_gradient(shares), last[:count], last[count:]


def window_shares(parameters, place, valid):
    """How a soft window moves on, and what it then shows.

    Args:
        parameters: `(batch, 3 * components)`: the logarithms of each Gaussian's height, of the
            inverse of twice its variance and of how far it moves on.
        place: float32 `(batch, components)`: where each is, the first item being at 1.
        valid: bool `(batch, items)`: which items there are.

    Returns:
        `(shares float32 (batch, items), place)`.
    """
    # Beyond this, a step of a training that went astray would be infinite.
    parameters = tf.minimum(tf.cast(parameters, tf.float32), 20.0)
    height, sharpness, step = tf.split(parameters, 3, axis=-1)
    place += tf.exp(step)
    items = 1 + tf.range(tf.shape(valid)[1], dtype=tf.float32)
    away = tf.square(place[:, :, None] - items)  # (batch, components, items)
    shares = tf.exp(height[:, :, None] - tf.exp(sharpness)[:, :, None] * away)
    return tf.reduce_sum(shares, axis=1) * tf.cast(valid, tf.float32), place


def weighed(shares, items):
    """The sum of items `(batch, items, width)` by their shares `(batch, items)`."""
    return tf.linalg.matvec(items, tf.cast(shares, items.dtype), transpose_a=True)


def lstm_cell(z, c):
    """One position of an LSTM.

    Args:
        z: The sum of both products, `(batch, 4 * units)`.
        c: The cell state before, `(batch, units)`.

    Returns:
        `(h, c, gates)`: output and cell state after, and i, f, g, o side by side.
    """
    # One tanh over all four gates: sigmoid(x) is tanh(x / 2) / 2 + 1 / 2.
    units = z.shape[-1] // 4
    scale = tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units, z.dtype)
    gates = tf.tanh(z * scale) * scale + (1 - scale)
    i, f, g, o = tf.split(gates, 4, axis=-1)
    c = f * c + i * g
    return o * tf.tanh(c), c, gates


def gru_cell(x, inner, h):
    """One position of a GRU.

    Args:
        x: The product with the input, `(batch, 3 * units)`.
        inner: The product with the output before, `(batch, 3 * units)`.
        h: The output before, `(batch, units)`.

    Returns:
        `(h, gates)`: the output after, and z, r, the candidate and the third of `inner` that the
        reset gate weighs, side by side.
    """
    units = h.shape[-1]
    gates = tf.sigmoid(x[:, : 2 * units] + inner[:, : 2 * units])
    z, r = tf.split(gates, 2, axis=-1)
    hh = inner[:, 2 * units :]
    candidate = tf.tanh(x[:, 2 * units :] + r * hh)
    return candidate + z * (h - candidate), tf.concat([gates, candidate, hh], axis=-1)


def _scan(step, states, sequence, saved, reverse=False):
    """Loops `step(position, *states) -> (states, saved)` over the positions of `sequence`.

    Args:
        step: Function.
        states: Tensors before the first position.
        sequence: `(time, batch, ...)`.
        saved: How many tensors are saved, of the sequence's dtype; or a list of their dtypes.
        reverse: Whether to begin with the last position.

    Returns:
        `(states, saved)`: the last states, and each saved tensor stacked over positions.
    """
    length = sequence.shape[0] or tf.shape(sequence)[0]
    dtypes = [sequence.dtype] * saved if isinstance(saved, int) else saved
    arrays = [tf.TensorArray(dtype, size=length) for dtype in dtypes]

    def body(count, states, arrays):
        position = length - 1 - count if reverse else count
        states, saved = step(position, *states)
        arrays = [array.write(position, value) for array, value in zip(arrays, saved)]
        return count + 1, states, arrays

    _, states, arrays = tf.while_loop(
        lambda count, *_: count < length,
        body,
        (tf.constant(0), tuple(states), arrays),
        maximum_iterations=length,
    )
    stacked = [array.stack() for array in arrays]
    for tensor in stacked:
        tensor.set_shape([sequence.shape[0], *tensor.shape[1:]])
    return states, stacked


def _shift(first, sequence):
    """The value before each position: `first`, then `sequence` without its last."""
    return tf.concat([first[None], sequence[:-1]], axis=0)


def _times(value, factor):
    return value if factor is None else value * factor


def _weight_gradient(inputs, d_outputs):
    """Sum over time and batch of the outer products, as one matrix product."""
    rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
    columns = tf.reshape(d_outputs, [-1, d_outputs.shape[-1]])
    return tf.matmul(rows, columns, transpose_a=True)
