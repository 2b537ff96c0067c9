"""Numbers about models: sizes, FLOPs and bytes counted, scaling laws fitted, scores compared.

- `accounting`: parameters, FLOPs, activation and cache bytes of every architecture, exactly
- `costs`: what a chat, a mixture of experts or a removed piece of structure costs, in closed form
- `routing`: what a router of experts does: loads, repeats, information, experts deleted, renamed
- `metrics`: exact match, token accuracy, Brier, edit distance, the loss split over tasks
- `probes`: the metrics above, all on the same answers of one model
- `curves`: whether a curve is smooth, flat, inverse, uncorrelated or emergent; widths, crossings
- `scaling`, `laws`: power laws and Chinchilla's: fits, intervals, IsoFLOP minima; best sizes
- `pictures`, `spectrum`: sets of pictures compared, beside yardsticks that learn nothing
- `skipgram`, `editing`: word vectors and the counts they compress; ROME's change of one fact
- `ngram`, `rivals`: predictors of text that need no neural network

Each is imported by its own name (`from minilm.analysis import scaling`). SciPy loads when a fit
first runs.
"""
