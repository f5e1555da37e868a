"""Pages for people: one self-contained HTML file, readable in light and dark, on a phone and on paper."""
