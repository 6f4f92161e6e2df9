"""Selects the synapses of a layer's active neurons (definitions 2), compiled.

A row is one active neuron. Rows come ordered by image, position and group, so that neighbours share one patch of the
input. Of a row's contributions few are selected; they are found without sorting the rest:

1. One pass over weights and patch sums the contributions, keeps them, rounded, and finds the largest.
2. Another marks those above half of the largest, above a quarter, and so on, until they reach θ·s together.
3. Of these few, the smallest are left out again.

The first two are written so that the compiler makes vector instructions of them. Sums and comparisons that decide are
of float64 products, which are exact for float32 factors, so the sets do not depend on the processor. Rounding never
turns an order round, so that rounded values may tell the marked from the rest.
"""

from __future__ import annotations

import numpy as np

from engine.paths.compiled import compiled
from engine.paths.largest import TOLERANCE, mark_largest

#: Largest contributions that are kept apart in the first pass, so that it needs no comparison across a vector.
LANES = 128
#: How often the limit is halved before all positive contributions are looked at.
HALVINGS = 24


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _multiply(weights, patch, sign, products, lanes, lane_bits):  # type: ignore[no-untyped-def]
    """Writes sign·w·x, rounded to float32; returns the sum of the exact products and the largest rounded one."""
    total = 0.0
    for b in range(len(lanes)):
        lanes[b] = np.float32(0)
    for first in range(0, len(patch), len(lanes)):  # slices: only plain indices become vector instructions
        here = slice(first, min(first + len(lanes), len(patch)))
        w, x, rounded = weights[here], patch[here], products[here]
        for b in range(len(x)):
            part = sign * (np.float64(w[b]) * np.float64(x[b]))
            total += part
            rounded[b] = np.float32(part)
        for b in range(len(x)):
            lanes[b] = max(lanes[b], rounded[b])
    top = np.int32(0)
    for b in range(len(lanes)):  # floats that are not negative are ordered as their bits, whose maximum needs no care
        top = max(top, lane_bits[b])
    lane_bits[0] = top
    return total, lanes[0]


@compiled()
def _above(products, limit, marks, words, places):  # type: ignore[no-untyped-def]
    """Writes the places of the products above ``limit``, ascending; returns how many. ``words`` is ``marks`` by 8."""
    for k in range(len(products)):
        marks[k] = products[k] > limit
    found = 0
    for i in range(len(words)):
        if words[i]:
            for k in range(8 * i, 8 * i + 8):
                places[found] = k
                found += marks[k]
    return found


@compiled()
def _select_row(weights, patch, sign, theta, products, lanes, lane_bits, marks, words, places, values):  # type: ignore[no-untyped-def]
    """Selects among one row's contributions.

    Returns:
        How many, with their places ascending in ``places[:that]``; 0 where their sum is not positive.
    """
    total, top = _multiply(weights, patch, sign, products, lanes, lane_bits)
    if not total > 0:
        return 0
    threshold = theta * total * (1 - TOLERANCE)
    high, limit = np.float32(np.inf), np.float32(top * np.float32(0.5))
    found = 0
    for halving in range(HALVINGS):
        # the last time, and where float32 is too small or too narrow for the products, all positive ones
        every = halving == HALVINGS - 1 or not 0 < limit < np.inf
        found = _above(products, np.float32(-1) if every else limit, marks, words, places)
        reached = 0.0
        for m in range(found):
            k = places[m]
            values[m] = sign * (np.float64(weights[k]) * np.float64(patch[k]))
            reached += max(values[m], 0.0)
        if every or reached >= threshold:
            break
        high, limit = limit, np.float32(limit * np.float32(0.5))
    reached = 0.0
    for m in range(found):  # those above the limit before did not reach θ·s: all of them belong to the selection
        marks[m] = products[places[m]] > high
        reached += values[m] if marks[m] else 0.0
    mark_largest(values, found, reached, threshold, marks)
    taken = 0
    for m in range(found):
        places[taken] = places[m]
        taken += marks[m]
    return taken


@compiled()
def _gather(image, offsets, base, top, left, geometry, patch):  # type: ignore[no-untyped-def]
    """Copies the receptive field at one position into ``patch``, zeros on padding."""
    height, width, kernel_height, kernel_width, dilation_y, dilation_x = geometry
    bottom, right = top + (kernel_height - 1) * dilation_y, left + (kernel_width - 1) * dilation_x
    if top >= 0 and left >= 0 and bottom < height and right < width:
        for k in range(len(patch)):
            patch[k] = image[base + offsets[k]]
        return
    k = 0
    for _ in range(len(patch) // (kernel_height * kernel_width)):
        for i in range(kernel_height):
            y = top + i * dilation_y
            for j in range(kernel_width):
                x = left + j * dilation_x
                inside = 0 <= y < height and 0 <= x < width
                patch[k] = image[base + offsets[k]] if inside else np.float32(0)
                k += 1


@compiled()
def _largest(weights, patch, sign, top, left, geometry):  # type: ignore[no-untyped-def]
    """The lowest k of the largest contribution on the image, zeros included; −1 where the whole field is padding."""
    height, width, kernel_height, kernel_width, dilation_y, dilation_x = geometry
    best_key = -1
    best = 0.0
    k = -1
    for _ in range(len(patch) // (kernel_height * kernel_width)):
        for i in range(kernel_height):
            y = top + i * dilation_y
            for j in range(kernel_width):
                x = left + j * dilation_x
                k += 1
                if y < 0 or y >= height or x < 0 or x >= width:
                    continue
                part = sign * (np.float64(weights[k]) * np.float64(patch[k]))
                if best_key < 0 or part > best:
                    best = part
                    best_key = k
    return best_key


@compiled()
def select_rows(  # type: ignore[no-untyped-def]
    fields,
    channels,
    inputs,
    outputs,
    weight,
    offsets,
    geometry,
    stride,
    padding,
    out_width,
    groups,
    theta,
    input_active,
):
    """Selects the synapses of some active neurons of a convolution or linear layer.

    Args:
        fields: (R,) int64, image·positions + position of each row, ascending.
        channels: (R,) int64, o of each row, ascending where the field is the same.
        inputs: (N, C·H·W) float32, what the layer read.
        outputs: (N, O·positions) float32, its pre-activation values.
        weight: (O, K) float32.
        offsets: (K,) int64, where element k of a field lies in an image, seen from the field's first.
        geometry: (H, W, kh, kw, dilation down, dilation across).
        stride, padding: (vertical, horizontal); padding is that above and to the left.
        out_width: of the output map.
        groups: of the convolution.
        theta: share of the sum to reach.
        input_active: (N, C·H·W) bool, set where a selected synapse begins. Threads may share it.

    Returns:
        Places k of all rows, one after another, ascending in each; and (R,) how many each row has.
    """
    image_width = geometry[1]
    out_channels, field = weight.shape
    positions = outputs.shape[1] // out_channels
    per_group = out_channels // groups
    step = inputs.shape[1] // groups
    patch, products = np.zeros(field, np.float32), np.zeros(field, np.float32)
    lanes, marks = np.zeros(min(LANES, field), np.float32), np.zeros(-(-field // 8) * 8, np.uint8)
    lane_bits, words = lanes.view(np.int32), marks.view(np.uint64)
    places, values = np.empty(field + 8, np.int32), np.empty(field + 8, np.float64)
    found, n_found = np.empty(4096, np.int32), 0
    counts = np.zeros(len(fields), np.int32)
    last_field, last_group = np.int64(-1), np.int64(-1)
    n, position, base, top, left = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for r in range(len(fields)):
        o = channels[r]
        group = o // per_group if groups > 1 else np.int64(0)
        if fields[r] != last_field or group != last_group:
            last_field, last_group = fields[r], group
            n, position = last_field // positions, last_field % positions
            top = position // out_width * stride[0] - padding[0]
            left = position % out_width * stride[1] - padding[1]
            base = group * step + top * image_width + left
            _gather(inputs[n], offsets, base, top, left, geometry, patch)
        sign = 1.0 if outputs[n, o * positions + position] >= 0 else -1.0
        taken = _select_row(weight[o], patch, sign, theta, products, lanes, lane_bits, marks, words, places, values)
        if taken == 0:
            places[0] = _largest(weight[o], patch, sign, top, left, geometry)
            if places[0] < 0:
                continue
            taken = 1
        while n_found + taken > len(found):
            found = np.concatenate((found, np.empty_like(found)))
        for m in range(taken):  # not by slices: copying three numbers so takes longer than finding them
            found[n_found + m] = places[m]
            input_active[n, base + offsets[places[m]]] = True
        n_found += taken
        counts[r] = taken
    return found[:n_found], counts


@compiled()
def rows_of(active, out_channels, positions):  # type: ignore[no-untyped-def]
    """The rows of active neurons, (N, O·positions) bool, in the order of :func:`select_rows`: fields and channels."""
    n_images = len(active)
    ends = np.zeros(n_images * positions + 1, np.int64)
    for n in range(n_images):
        for o in range(out_channels):
            here = active[n, o * positions : (o + 1) * positions]
            for p in range(positions):
                ends[n * positions + p + 1] += here[p]
    for f in range(n_images * positions):
        ends[f + 1] += ends[f]
    fields, channels = np.empty(ends[-1], np.int64), np.empty(ends[-1], np.int64)
    for n in range(n_images):
        for o in range(out_channels):
            here = active[n, o * positions : (o + 1) * positions]
            for p in range(positions):
                if here[p]:
                    f = n * positions + p
                    fields[ends[f]] = f
                    channels[ends[f]] = o
                    ends[f] += 1
    return fields, channels


@compiled()
def in_order_of_neurons(fields, channels, keys, counts, n_images, positions, out_channels, field):  # type: ignore[no-untyped-def]
    """Turns the places of :func:`select_rows` into synapse ids, ascending within each image.

    Returns:
        The ids of all images, and (N + 1,) where each image's begin.
    """
    synapses = np.empty(len(keys), np.int64)
    begins = np.zeros(n_images + 1, np.int64)
    row_of = np.full(out_channels * positions, -1, np.int32)
    first_key = np.empty(len(fields), np.int64)
    r = written = start = 0
    for n in range(n_images):
        first_row, first_field = r, n * positions
        while r < len(fields) and fields[r] < first_field + positions:
            row_of[channels[r] * positions + fields[r] - first_field] = r
            first_key[r] = start
            start += counts[r]
            r += 1
        if r > first_row:
            for neuron in range(len(row_of)):
                row = row_of[neuron]
                if row < 0:
                    continue
                for k in range(first_key[row], first_key[row] + counts[row]):
                    synapses[written] = neuron * field + keys[k]
                    written += 1
                row_of[neuron] = -1
        begins[n + 1] = written
    return synapses, begins
