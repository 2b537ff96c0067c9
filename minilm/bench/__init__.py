"""Ours beside the others: what is claimed to be faster, measured.

What made it fast, and what each change gained where it was measured (2 cores, AVX2):

- Batch shards on outer threads with 1-thread BLAS, for steps above 1e9 operations only: below
  that, two threads lost to one.
- Whole halves of a block as one primitive: 3.5 times fewer steps on the tape, 1.65 times faster
  (lesson 0).
- A tape without a topological sort: 1.7 us of bookkeeping for an operation.
- Attention from register tiles over panels, nothing copied twice: 1.3 to 1.7 times SDPA.
- Attention that leaves out what no query of a tile sees, and softmax loops whose length is whole
  vectors: at T 256 from 1.69 to 1.85 times SDPA. At T 4096 the tiles run at 80 of the 88 GFLOP/s
  that a core has, so what remains there is torch's own distance from that.
- Keys and values moved into panels by whole registers, blocks transposed in them, and rows asked
  for ahead, since each lies in a page of its own: packing fell from 21 to 8 % of attention's
  forward at T 256, which got 15 % faster, and backward 8 %.
- Maximum and sum of a row of scores as loops over registers, instead of what LLVM makes of plain
  ones: nothing gained, they wait for each other's last step; taken back.
- exp as a polynomial of degree 5 in pairs instead of one of degree 6 in a chain: 0.37 to 0.22 ns an
  element, GELU a fifth faster, cross-entropy a tenth; attention, which waits for its products,
  nothing.
- Vector reductions kept in an array of lanes, instead of plain loops: 30 % slower; taken back.
- AdamW for all parameters in one call, its numbers computed once, the addresses of what it updates
  kept from step to step (a nano step went from 1.79 to 1.47 ms); large models in one share per
  thread.
- Tokenizer: text becomes UTF-8 chunk by chunk in the thread that encodes it, not twice before all
  of it (once to look for what UTF-8 cannot hold): 30 MB on two threads went from 145 to 178 MB/s.
- Tokenizer: rows of the cache asked for eight words ahead, and laid so that none lies in two lines:
  nothing gained, the processor overlaps those loads by itself; taken back.
- The tape's last microseconds: no keywords unpacked where there are none (0.1 us of 4.5). One tuple
  for a step instead of three attributes (nothing), one flag instead of two (0.04 us), closures over
  fewer names (0.06 us): taken back. A third of an operation on 4 x 4 numbers is NumPy, the rest is
  how long Python takes to make a step and to walk it.
- Decoding a whole token in one compiled call, weights read in place.
- int8 weights that meet 16-bit codes, added in pairs as whole numbers: the loop went from 14 to
  50 GB/s in cache.
- A third of the Python around each token of `generate` (no masks where no row can stop, the model
  looked through twice instead of four times): `tiny` from 108 to 94 us a token, int8 from 83 to 66.
- Decoding kernels that ask for memory one block of rows ahead.
- Sixteen texts at once in register tiles, a row against a number of every text, instead of dot
  products: the products of `small` went from 61 to 82 of 88 GFLOP/s. Without asking for the next
  rows ahead the same tiles ran at 55.
- Attention over a cache that asks for values while it reads keys, and for the next head's keys
  while it reads values: 10 to 15 % where the cache lies in memory.
"""
