"""The papers' tables, one file each: its models, its rows with the paper's numbers, its measures.

    reenact-jax sweep aan_table3:cpu --workdir out/aan_table3

trains every row and writes the table. A single model of it is a preset for `reenact-jax train`:

    reenact-jax train --config configs/ablations/aan_table3.py:spade_cpu \\
        --data DATA --workdir out/spade

A file has `MODELS` (name -> `tables.Model`), `MEASURES` (kind of measurement -> metrics shown) and
`sweep(add)`, which calls `add` for every row. A row of another program has no
model; `add(NAME, results=FOLDER)` or --results NAME=FOLDER gives its pictures. Sizes: none (the
paper's), `cpu`, `tiny` (tests).
"""
