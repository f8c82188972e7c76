"""Mutants, and troubles of the harness: together they are the controls.

A mutant is a deliberately broken implementation; on every backend it must fail at least one case. A
trouble is something wrong with the harness itself, which the suite must notice. Each module below
this folder, at any depth, may have a list `MUTANTS` and a list `TROUBLES`.
"""
