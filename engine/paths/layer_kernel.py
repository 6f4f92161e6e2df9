"""Selects the synapses of a layer's active neurons (definitions 2), compiled.

A row is one active neuron. Rows come ordered by image, tile of neighbouring positions, channel and position, so that
the weights of a channel and the patches of a tile are read while they are at hand. Of a row's contributions few are
selected; they are found without sorting the rest:

1. One pass over weights and patch sums the contributions in float32, keeps them, and finds the largest.
2. Another finds those above half of the largest, above a quarter, and so on, until they reach θ·s together.
3. Of these few, the smallest are left out again.

The first two are written so that the compiler makes vector instructions of them. How far a sum in float32 may be off is
known (Higham 2002, section 4.2). Where a selection would be another for a sum within that distance, about one row in a
hundred, the sum is taken again of float64 products, which are exact for float32 factors. What is selected is thus what
the exact sum selects, on every processor. Rounding never turns an order round, so that rounded contributions may tell
the few from the rest; the few themselves are compared and summed in float64.
"""

from __future__ import annotations

import numpy as np

from engine.paths.compiled import compiled
from engine.paths.largest import TOLERANCE, mark_largest

#: Contributions summed in float32 before the sum goes on in float64.
BLOCK = 512
#: By how much, as a share of the sum of their sizes, that sum may be off in whatever order it is taken: a rounding of
#: 2⁻²⁴ for the product and for every addition, and one in a hundred more, for the sum of sizes is rounded itself.
SUM_ERROR = (BLOCK + 2) * 2.0**-24 * 1.01
#: Where the largest contribution is below this, those that float32 cannot hold may add up to more than that.
SMALLEST = 1e-25
#: A little more than the largest relative rounding of float32.
ROUNDING = 2.0**-23
#: Below this, roundings of float32 are no longer relative.
NORMAL = 2.0**-126
#: How often the limit is halved before all positive contributions are looked at.
HALVINGS = 24


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _multiply(weights, patch, sign, products, bits, top, top_bits):  # type: ignore[no-untyped-def]
    """Writes sign·w·x, rounded to float32; returns about their sum, about that of their sizes, and the largest."""
    total, size, largest = 0.0, 0.0, np.int32(0)
    for first in range(0, len(patch), BLOCK):  # slices: only plain indices become vector instructions
        here = slice(first, min(first + BLOCK, len(patch)))
        w, x, rounded, as_bits = weights[here], patch[here], products[here], bits[here]
        part, part_size = np.float32(0), np.float32(0)
        for b in range(len(x)):
            product = sign * (w[b] * x[b])
            rounded[b] = product
            part += product
            part_size += abs(product)
        for b in range(len(x)):  # floats that are not negative are ordered as their bits, whose maximum needs no care
            largest = max(largest, as_bits[b])
        total += np.float64(part)
        size += np.float64(part_size)
    top_bits[0] = largest
    return total, size, top[0]


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _exact_sum(weights, patch, sign):  # type: ignore[no-untyped-def]
    """The sum of sign·w·x, of float64 products, which are exact for float32 factors."""
    total = 0.0
    for k in range(len(patch)):
        total += np.float64(weights[k]) * np.float64(patch[k])
    return sign * total


@compiled(inline="always")
def _above(products, limit, marks, words, busy, places):  # type: ignore[no-untyped-def]
    """Writes the places of the products above ``limit``, ascending; returns how many.

    ``words`` is ``marks`` by 8, ``busy`` for those of them that are not 0.
    """
    for k in range(len(products)):
        marks[k] = products[k] > limit
    n_busy = found = 0
    for i in range(len(words)):  # no branches: a few in random places would all be guessed wrong
        busy[n_busy] = i
        n_busy += words[i] != 0
    for b in range(n_busy):
        first = 8 * busy[b]
        for k in range(first, first + 8):
            places[found] = k
            found += marks[k]
    return found


# Inlined: to hand the arrays over takes longer than to look at a short row.
@compiled(inline="always")
def _select_row(weights, patch, sign, theta, scratch):  # type: ignore[no-untyped-def]
    """Selects among one row's contributions.

    Returns:
        How many, with their places ascending in ``places[:that]``; 0 where their sum is not positive.
    """
    products, bits, top, top_bits = scratch[:4]
    total, size, largest = _multiply(weights, patch, np.float32(sign), products, bits, top, top_bits)
    error = SUM_ERROR * size
    if total > error and largest > SMALLEST and size < np.inf:
        taken = _select_for(total, error, largest, weights, patch, sign, theta, scratch)
        if taken >= 0:
            return taken
    total = _exact_sum(weights, patch, sign)
    if not total > 0:
        return 0
    return _select_for(total, 0.0, largest, weights, patch, sign, theta, scratch)


@compiled(inline="always")
def _select_for(total, error, largest, weights, patch, sign, theta, scratch):  # type: ignore[no-untyped-def]
    """The same for a sum that may be off by ``error``; −1 if another sum as near could select others."""
    products, _, _, _, marks, words, busy, places, values = scratch
    threshold, error = theta * total * (1 - TOLERANCE), theta * error
    high, limit = np.inf, np.float32(largest * np.float32(0.5))
    found, reached = 0, 0.0
    for halving in range(HALVINGS):
        # the last time, and where float32 is too small or too narrow for the products, all positive ones
        every = halving == HALVINGS - 1 or not NORMAL < limit < np.inf
        found = _above(products, np.float32(-1) if every else limit, marks, words, busy, places)
        reached = 0.0
        for m in range(found):
            k = places[m]
            values[m] = sign * (np.float64(weights[k]) * np.float64(patch[k]))
            reached += max(values[m], 0.0)
        if every or reached >= threshold + error:
            break
        # those that were above the limit were too few; what is above this was above it when rounded, too
        high, limit = np.float64(limit) * (1 + ROUNDING), np.float32(limit * np.float32(0.5))
    if not mark_largest(values, found, high, threshold, error, marks) and error > 0:
        return -1
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


@compiled(inline="always")
def _corner(position, out_width, stride, padding):  # type: ignore[no-untyped-def]
    """Where the receptive field of an output position begins, from above and from the left."""
    return position // out_width * stride[0] - padding[0], position % out_width * stride[1] - padding[1]


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
    tile,
):
    """Selects the synapses of some active neurons of a convolution or linear layer.

    Args:
        fields: (R,) int64, image·positions + position of each row, in the order of :func:`rows_of`.
        channels: (R,) int64, o of each row.
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
        tile: positions whose patches are kept, a power of two.

    Returns:
        Places k of all rows, one after another, ascending in each; and (R,) how many each row has.
    """
    image_width = geometry[1]
    out_channels, field = weight.shape
    positions = outputs.shape[1] // out_channels
    per_group = out_channels // groups
    step = inputs.shape[1] // groups
    patches, held = np.zeros((tile, field), np.float32), np.full((tile, 2), -1, np.int64)
    images, at, bases = np.empty(tile, np.int64), np.empty(tile, np.int64), np.empty(tile, np.int64)
    products, top = np.zeros(field, np.float32), np.zeros(1, np.float32)
    marks = np.zeros(-(-field // 8) * 8, np.uint8)
    words = marks.view(np.uint64)
    busy, places = np.empty(len(words) + 1, np.int32), np.empty(field + 8, np.int32)
    values = np.empty(field + 8, np.float64)
    scratch = (products, products.view(np.int32), top, top.view(np.int32), marks, words, busy, places, values)
    found, n_found = np.empty(4096, np.int32), 0
    counts = np.zeros(len(fields), np.int32)
    for r in range(len(fields)):
        o = channels[r]
        group = o // per_group if groups > 1 else np.int64(0)
        slot = fields[r] & (tile - 1)
        patch = patches[slot]
        if held[slot, 0] != fields[r] or held[slot, 1] != group:
            n, position = fields[r] // positions, fields[r] % positions
            above, left = _corner(position, out_width, stride, padding)
            base = group * step + above * image_width + left
            _gather(inputs[n], offsets, base, above, left, geometry, patch)
            held[slot, 0], held[slot, 1] = fields[r], group
            images[slot], at[slot], bases[slot] = n, position, base
        n, position, base = images[slot], at[slot], bases[slot]  # kept: dividing for every row takes longer
        sign = 1.0 if outputs[n, o * positions + position] >= 0 else -1.0
        taken = _select_row(weight[o], patch, sign, theta, scratch)
        if taken == 0:
            above, left = _corner(position, out_width, stride, padding)
            places[0] = _largest(weight[o], patch, sign, above, left, geometry)
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
def rows_of(neurons, n_images, out_channels, positions, tile):  # type: ignore[no-untyped-def]
    """The rows of active neurons, ordered by image, tile of positions, channel and position.

    Args:
        neurons: (R,) int64, image·O·positions + channel·positions + position of each, ascending.
        n_images: N.
        out_channels: O.
        positions: of the output map.
        tile: positions that share their patches.

    Returns:
        (R,) image·positions + position and (R,) channel of each.
    """
    fields, channels = np.empty(len(neurons), np.int64), np.empty(len(neurons), np.int64)
    places = np.empty(min(len(neurons), out_channels * positions), np.int64)
    channels_of = np.empty(len(places), np.int64)
    ends = np.zeros((positions - 1) // tile + 2, np.int64)
    begin = 0
    for n in range(n_images):
        ends[:] = 0
        ends[0] = begin
        channel, first, end = np.int64(0), n * out_channels * positions, begin
        last = first + out_channels * positions
        while end < len(neurons) and neurons[end] < last:
            while neurons[end] >= first + positions:
                channel += 1
                first += positions
            places[end - begin], channels_of[end - begin] = neurons[end] - first, channel
            ends[(neurons[end] - first) // tile + 1] += 1
            end += 1
        for t in range(1, len(ends)):
            ends[t] += ends[t - 1]
        for i in range(end - begin):
            t = places[i] // tile
            fields[ends[t]] = n * positions + places[i]
            channels[ends[t]] = channels_of[i]
            ends[t] += 1
        begin = end
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
