"""What one output unit of a layer sees of each weight, from the definition of the layer.

A unit's number is a sum over some axes of a weight: y[unit] = sum over i of x[i] * kernel[i, unit].
Those axes lie inside the unit's group. A weight that is not listed is not summed over at all.
"""

# Dense and recurrent cells sum over their inputs. Convolutions sum over places and input channels;
# a transposed one has its kernel as (places, out, in). A depthwise one sums over places only. An
# embedding's unit is a word, whose vector lies along the last axis.
INSIDE = {
    "Dense": {"kernel": [0]},
    "Conv1D": {"kernel": [0, 1]},
    "Conv2D": {"kernel": [0, 1, 2]},
    "Conv3D": {"kernel": [0, 1, 2, 3]},
    "Conv1DTranspose": {"kernel": [0, 2]},
    "Conv2DTranspose": {"kernel": [0, 1, 3]},
    "DepthwiseConv1D": {"kernel": [0]},
    "DepthwiseConv2D": {"kernel": [0, 1]},
    "SeparableConv2D": {"depthwise_kernel": [0, 1], "pointwise_kernel": [0, 1, 2]},
    "SimpleRNN": {"kernel": [0], "recurrent_kernel": [0]},
    "LSTM": {"kernel": [0], "recurrent_kernel": [0]},
    "GRU": {"kernel": [0], "recurrent_kernel": [0]},
    "Embedding": {"embeddings": [1]},
    # Queries, keys and values: (in, heads, size). The output: (heads, size, out).
    "MultiHeadAttention": {"projection": [0], "output": [0, 1]},
    # y[a, b, d] = sum over c of x[a, b, c] * kernel[b, c, d]
    "EinsumDense abc,bcd->abd": {"kernel": [1]},
    # y[time, unit] = sum over places of x[place] * kernel[place, 0, unit]
    "STFTSpectrogram": {"kernel": [0, 1]},
}
