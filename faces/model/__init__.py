"""The face model: its folder and manifest, its runtime, its thresholds."""
