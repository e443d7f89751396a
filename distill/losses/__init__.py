"""Losses as pure functions, one divergence a file, each under its name in the literature and on valid positions only.

Shapes are the last letters of a name:

    N   positions that count (a label, a soft target); the caller has left the others out
    C   the rows of one chunk of N
    V   vocabulary
    K   the teacher's most probable tokens that are stored
    E   events of a distribution: V (dense), K + 1 (sparse: the top-k and one bucket for the tail), or 2 (binarised)
    B   stored temperatures, as inverse temperatures b = 1 / T; in attention, the batch
    H   hidden width of the student; in attention, heads
    D   a feature's width
    S   places of a sequence, Q those that ask
    X   bytes or byte-aligned pieces of a text

Log-probabilities are natural logarithms (nats). A loss is a value per position, ``nats_N``, unless it says "scalar".
Arithmetic is in float32 at least: bfloat16 and float16 are widened first. Wrong shapes and types are one ValueError.
"""
