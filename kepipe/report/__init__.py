"""Report pages: self-contained HTML files for light and dark mode, phones and print."""
