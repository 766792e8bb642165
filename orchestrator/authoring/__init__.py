"""What a user writes, read: study files in Python and TOML, and attacks and measures as text.

Read ``study_files`` first, then ``study_toml`` and ``attack_text``. ``study_templates`` and ``plugin_template`` are the files
that ``advsweep new-study`` writes. Stands on ``orchestrator.plugins`` and imports neither torch nor Ray.
"""
