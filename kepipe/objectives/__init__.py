"""Objectives: a corruption, a visibility and a loss under one contract; `table` names them."""
