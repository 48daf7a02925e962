"""Live traffic against the release that served it: drift of data and of scores, calibration, quality."""
