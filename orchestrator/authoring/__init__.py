"""What a user writes: study files in Python or TOML, their templates, and the text syntax of attacks and measures."""
