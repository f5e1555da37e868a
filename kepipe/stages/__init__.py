"""The kinds of stage, one thin module each."""
