"""Many teachers, one rationale a question: their conflict measured, five ways to purify it, and two baselines."""
