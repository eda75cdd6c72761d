"""How good, how fast: every figure of the README comes from a command in here.

python -m rag.evals.seeds       questions about the seed texts, end to end
python -m rag.evals.calibrate   the gate's weights and thresholds, from questions with and without an answer
python -m rag.evals.judge       the judge on true and edited claims
python -m rag.evals.retrieval   each retriever alone, fused, beside sentence-transformers, and by weight
python -m rag.evals.bench       seconds and megabytes, as ratios where a peer exists
python -m rag.evals.pace        seconds to an answer over 10,000 passages, milliseconds to read one
python -m rag.evals.scale       one index at several sizes, to a million passages, with recall
"""
