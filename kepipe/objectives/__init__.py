"""Objectives: a corruption, a visibility and a loss behind one interface; `table` lists them."""
